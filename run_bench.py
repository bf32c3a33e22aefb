"""Entry point: `python run_bench.py --help`."""

if __name__ == "__main__":
    try:
        from bench.interruption import end_at_once

        end_at_once()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    from bench.cli import main

    main()
