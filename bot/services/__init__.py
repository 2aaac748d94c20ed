"""Use cases, the same for every frontend."""
