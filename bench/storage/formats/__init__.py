"""What the files of a run and of a cache hold, checked when they are read and written.

A run may come from a stranger. What commands rely on is checked here, once, and nowhere else.

    limits          bounds of names, numbers and nesting
    schema          columns of the tables, models of records and of run.json
    older_formats   what older formats hold, in the words of the present one
    json_files      JSON with a checksum as its last entry
    table_files     rows of results.csv and metrics.csv
    cell_files      the history and the curves of a cell
    csv_files       CSV that every reader splits into the same rows
    tensor_files    named arrays, written one after another
    write_checks    content is read back before it is written
"""

__all__ = [
    "cell_files",
    "csv_files",
    "json_files",
    "limits",
    "older_formats",
    "schema",
    "table_files",
    "tensor_files",
    "write_checks",
]
