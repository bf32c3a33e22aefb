"""What every room may use; it decides no value except through random streams.

devices          the devices and cores that a run may use
errors           errors of the user, and the nearest right name
files            files that are written whole or not at all, and read without following links
hashing          hashes of source code and of canonical JSON
locks            locks of files
paths            where the code is, and default folders
process_memory   the memory of this process: its peak, and giving back what is free
program          how the program was started
random_streams   named random streams
registries       registries that plugins add to
signals          how signals end the program and its workers
terminal_tables  tables as text
text             text for a terminal
"""

__all__ = [
    "devices",
    "errors",
    "files",
    "hashing",
    "locks",
    "paths",
    "process_memory",
    "program",
    "random_streams",
    "registries",
    "signals",
    "terminal_tables",
    "text",
]
