"""What to run, decided without torch: configuration, recipe, cells, keys, estimates of time."""
