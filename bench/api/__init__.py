"""The suite from Python: what `distillation_bench` offers by name, beside the results themselves.

run           `run`: what the command `run` does
results       `load` and `Results`: what commands make of a run, by method
arguments     the arguments of `run`, checked and written as the command line writes them
python_words  messages in the words of Python
"""

__all__ = ["python_words", "results", "run"]
