"""Reads notes, embeds them and publishes generations of the index. Knows nothing of the bot."""
