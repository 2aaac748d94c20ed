"""The command `viva`: one module a group of commands."""
