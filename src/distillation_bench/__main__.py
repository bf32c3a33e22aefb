"""The program: `distillation-bench`, `python -m distillation_bench`, in a clone `run_bench.py`."""

import sys
from pathlib import Path


def main() -> None:
    """Run a command; from the first import on, Ctrl-C ends it with status 130."""
    try:
        from distillation_bench.bench.common.signals import exit_on_signals

        exit_on_signals()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    from distillation_bench.bench.cli.main import main as run_command

    run_command()


def _forget_current_folder() -> None:
    """Undo that `python -m` imports from the current folder, unless this package lies in it.

    The `datasets` of a clone would hide a library of that name.
    """
    if sys.path[:1] == [str(Path.cwd())] and sys.path[0] != str(Path(__file__).parents[1]):
        del sys.path[0]


if __name__ == "__main__":
    _forget_current_folder()
    main()
