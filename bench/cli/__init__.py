"""The command line: commands and options, nothing else. Heavy modules are imported by commands."""

from __future__ import annotations

import os
import sys

import typer
from typer.exceptions import TyperException

from bench.cli.app import app
from bench.errors import UsageError
from bench.printable import shortened

# Each module registers its commands, in the order that help shows them in.
# isort: off
import bench.cli.running
import bench.cli.looking
import bench.cli.compare
import bench.cli.table
import bench.cli.plot
import bench.cli.report
import bench.cli.upkeep  # noqa: F401
# isort: on


def main() -> None:
    """The program; exit status 0 all fine, 1 some cell failed, 2 wrong usage, 130 interrupted."""
    try:
        sys.exit(app(standalone_mode=False))
    except TyperException as error:
        # Of an option that does not exist or has a wrong value.
        sys.exit(_refused(" ".join(error.format_message().split())))
    except UsageError as error:
        sys.exit(_refused(str(error)))
    except BrokenPipeError:
        # The reader of a pipe left; Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        kept = "; finished cells are kept" if sys.argv[1:2] == ["run"] else ""
        sys.exit(_refused(f"{where}{error.strerror or error}{kept}"))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)


def _refused(message: str) -> int:
    """Say why; what a run holds can't steer the terminal. Returns the exit status."""
    print(f"error: {shortened(message, 2000)}", file=sys.stderr)
    return 2
