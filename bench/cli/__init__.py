"""The command line: commands and options, nothing else.

main           runs the command that was typed
app            the Typer application with all commands
commands       the commands, a module each
options        options that several commands share
run_setup      options of `run` and `plan`
folders        names that are given as folders, without their option
rerun_command  the command that runs one cell again
leaderboard    the leaderboard, for `board` and `run`
output_files   files that commands write
streams        stdout and stderr that survive a closed pipe, a full disk and other encodings
terminal       text for the terminal
typer_messages Typer's error messages in the form of our own
"""

__all__ = ["main"]
