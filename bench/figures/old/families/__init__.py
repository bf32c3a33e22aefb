"""The families of figures, one module for each; `registry` says what each of them shows."""

__all__: list[str] = []
