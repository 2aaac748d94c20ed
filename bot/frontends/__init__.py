"""What people and programs talk to: each parses, calls one service and renders."""
