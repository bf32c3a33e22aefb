"""What the files of a run and of a cache hold, checked when they are read and written.

A run may come from a stranger. What commands rely on is checked here, once, and nowhere else.

    schema          limits, columns, and models of records and of run.json
    older_formats   the words of older formats, in those of the present one
    sealed_json     JSON that ends with a hash of itself
    cell_files      rows of the tables, histories and curves
    csv_files       CSV that every reader splits into the same rows
    tensor_files    named arrays, written one after another
"""

__all__ = ["cell_files", "csv_files", "older_formats", "schema", "sealed_json", "tensor_files"]
