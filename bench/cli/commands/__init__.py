"""The commands: a module each, with the name of the command (`list` is in list_).

A command imports what it needs when it is called, so that `--help` is quick.
"""
