"""Compares methods that distil a deep ensemble into one network and keep its uncertainty."""

__version__ = "0.1.0"
