"""The former figures, until each family is ported."""
