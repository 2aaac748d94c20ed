"""What Viva is about, without I/O: standard library only."""
