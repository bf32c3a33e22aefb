"""Checkpoints of long trainings: after a kill, training continues from the last one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from distillation_bench.bench.common import signals
from distillation_bench.bench.storage.cache import Cache, DamagedEntry

HistoryRow = dict[str, float | int | str]
"""One epoch of a training: its stage, number, learning rate, loss, terms and gradient norm."""
FITTED = "fitted"
"""The part of the state that holds what `Method.fit` gave."""


class Checkpoint:
    """The state of one training, in a cache entry that is overwritten until training has ended.

    Random streams are named by epoch, so the weights, the optimiser's moments and the history are
    the complete state at the end of an epoch.

    Args:
        cache: where the entry is stored.
        key: of the training; it must identify everything that decides its values.
        seconds: the least time between two writes.

    Attributes:
        history: the rows that were stored when this object was made; empty if there were none.
    """

    def __init__(self, cache: Cache, key: str, seconds: float) -> None:
        self._cache = cache
        self._key = f"checkpoint-{key}"
        self._seconds = seconds
        self._last = time.monotonic()
        try:
            self._arrays = cache.load(self._key)
            self.history = _read_history(cache.note(self._key)["history"])
        except (DamagedEntry, KeyError, TypeError, ValueError):
            self._arrays, self.history = {}, []

    def rows_of_finished(self, stage: str) -> list[HistoryRow]:
        """Return the rows of a stage if it had ended before the checkpoint; else none."""
        rows = [row for row in self.history if row["stage"] == stage]
        return rows if rows and self.history[-1]["stage"] != stage else []

    @property
    def fitted(self) -> dict[str, Tensor]:
        """What `Method.fit` had given, by name; empty if nothing was stored."""
        start = f"{FITTED}."
        return {
            name.removeprefix(start): tensor
            for name, tensor in self._arrays.items()
            if name.startswith(start)
        }

    @torch.no_grad()
    def restore(self, stage: str, state: Mapping[str, Tensor]) -> list[HistoryRow]:
        """Copy the stored state into tensors, if the checkpoint was written during this stage.

        Returns:
            The stage's rows so far; none if there is nothing to restore.
        """
        if not self.history or self.history[-1]["stage"] != stage:
            return []
        for name, tensor in state.items():
            tensor.copy_(self._arrays[name])
        return [row for row in self.history if row["stage"] == stage]

    def save(self, state: Mapping[str, Tensor], history: Sequence[HistoryRow]) -> None:
        """Write the state after an epoch, if enough time has passed or this process is to end.

        A process that was asked to terminate ends here, after the write.
        """
        if time.monotonic() - self._last < self._seconds and not signals.termination_requested():
            return
        arrays: dict[str, Any] = {name: tensor.cpu().numpy() for name, tensor in state.items()}
        self._cache.save(self._key, arrays, {"history": [list(row.items()) for row in history]})
        self._last = time.monotonic()
        if signals.termination_requested():
            signals.terminate()

    def remove(self) -> None:
        """Delete the entry; for when the result of the training is stored."""
        self._cache.remove(self._key)


def _read_history(stored: Any) -> list[HistoryRow]:
    """Return the rows of a stored history.

    Raises:
        TypeError, ValueError, KeyError: the stored value is not a history.
    """
    rows: list[HistoryRow] = [dict(row) for row in stored]
    for row in rows:
        if not isinstance(row["stage"], str) or not isinstance(row["epoch"], int):
            raise ValueError("not a row of a history")
    return rows
