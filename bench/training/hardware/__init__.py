"""What a process computes on: its device, its precision, and their speed."""
