"""Figures of predictions: pure functions on arrays, and the registry that names them."""
