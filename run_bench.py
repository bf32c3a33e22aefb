"""The program from a clone: `python run_bench.py --help`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Instead of this folder, whose `datasets` would hide a library of that name.
    sys.path[0] = str(Path(__file__).resolve().parent / "src")
    from distillation_bench.__main__ import main

    main()
