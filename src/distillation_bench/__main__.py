"""The program: `distillation-bench`, `python -m distillation_bench`, in a clone `run_bench.py`."""


def main() -> None:
    """Run a command; from the first import on, Ctrl-C ends it with status 130."""
    try:
        from distillation_bench.bench.common.signals import exit_on_signals

        exit_on_signals()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    from distillation_bench.bench.cli import main as run_command

    run_command()


if __name__ == "__main__":
    main()
