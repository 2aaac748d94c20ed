"""Making an answer out of evidence."""
