"""Measures the product by running its own code; what judges it is not the product."""
