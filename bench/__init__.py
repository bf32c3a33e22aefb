"""The engine: knows cells, never a particular method or dataset."""
