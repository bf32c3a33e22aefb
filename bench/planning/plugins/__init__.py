"""Code from outside the repository: found, imported, and kept from changing this suite."""
