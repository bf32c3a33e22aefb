"""Where things lie, unless a command is told otherwise."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA_ROOT = ROOT / "data"
CACHE = ROOT / "results" / "cache"
