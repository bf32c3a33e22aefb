"""The families of figures, one module for each; a module that is added here is found by itself."""

__all__: list[str] = []
