"""The state of a long training, kept every few minutes, so that a kill costs no more than that."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from distillation_bench.bench.common import signals
from distillation_bench.bench.storage.cache import Cache, Damaged

HistoryRow = dict[str, float | int | str]


class Checkpoint:
    """An entry of the cache that is replaced while a training goes on and removed after it.

    Random streams are named by epoch, so weights, the optimiser's moments and the epochs' history
    are the whole state at the end of an epoch.

    Args:
        cache: where it is kept.
        key: of the training, whose content decides every bit of it.
        seconds: the least time between two of them.
    """

    def __init__(self, cache: Cache, key: str, seconds: float) -> None:
        self._cache = cache
        self._key = f"checkpoint-{key}"
        self._seconds = seconds
        self._last = time.monotonic()
        try:
            self._arrays = cache.load(self._key)
            self.history = _rows(cache.note(self._key)["history"])
        except (Damaged, KeyError, TypeError, ValueError):
            self._arrays, self.history = {}, []

    def finished(self, stage: str) -> list[HistoryRow]:
        """The rows of a stage that was finished before the state was kept; else none."""
        rows = [row for row in self.history if row["stage"] == stage]
        return rows if rows and self.history[-1]["stage"] != stage else []

    @torch.no_grad()
    def restore(self, stage: str, state: Mapping[str, Tensor]) -> list[HistoryRow]:
        """Copy what was kept of this stage into the tensors; returns the stage's rows so far."""
        if not self.history or self.history[-1]["stage"] != stage:
            return []
        for name, tensor in state.items():
            tensor.copy_(self._arrays[name])
        return [row for row in self.history if row["stage"] == stage]

    def keep(self, state: Mapping[str, Tensor], history: Sequence[HistoryRow]) -> None:
        """Write the state after an epoch, if it is time to, or the last chance."""
        if time.monotonic() - self._last < self._seconds and not signals.termination_requested():
            return
        arrays: dict[str, Any] = {name: tensor.cpu().numpy() for name, tensor in state.items()}
        self._cache.save(self._key, arrays, {"history": [list(row.items()) for row in history]})
        self._last = time.monotonic()
        if signals.termination_requested():
            signals.terminate()

    def remove(self) -> None:
        """The training's result is safe."""
        self._cache.remove(self._key)


def _rows(kept: Any) -> list[HistoryRow]:
    """The history as it was kept.

    Raises:
        TypeError, ValueError, KeyError: it is none.
    """
    rows: list[HistoryRow] = [dict(row) for row in kept]
    for row in rows:
        if not isinstance(row["stage"], str) or not isinstance(row["epoch"], int):
            raise ValueError("not a row of a history")
    return rows
