"""The minimisation of a loss, alike for students and for batches of teacher members.

loop         epochs, steps, the best epoch and the history
optimizer    Adam with decay and clipping for each network of a batch
checkpoints  the state of a training, from which it continues after a kill
"""

__all__ = ["checkpoints", "loop", "optimizer"]
