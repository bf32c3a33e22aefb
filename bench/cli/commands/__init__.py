"""The commands, found by their name or by what they are for.

    run, plan, check, plot, report, table   a module each, with the same name
    comparison  compare
    inspection  status, board, why: what a run holds
    listings    list: methods, datasets, networks, metrics, presets, recipe
    upkeep      verify, merge, clean, export

A command imports what it needs when it is called, so that `--help` is quick.
"""
