"""What is measured of a student: metrics on every set, curves for figures, cost."""
