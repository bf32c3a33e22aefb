"""Ground that every room may stand on: errors, files, hashes, random streams, devices, paths."""
