"""Entry point: `python run_bench.py --help`."""

if __name__ == "__main__":
    # Not at the top: worker processes import this file too, and need nothing of it.
    try:
        from bench.cli import main
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    main()
