"""Compares methods that distil a deep ensemble into one network and keep its uncertainty."""
