"""Registries that plugins add to, beside those of methods, datasets, networks and metrics.

A room that has one adds it here, so that what a plugin has registered can be forgotten by rooms
below it, when the plugin is loaded again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

REGISTRIES: dict[str, tuple[dict[str, Any], Callable[[Any], str]]] = {}
"""By kind of entry, the registry, and a function that returns the module of an entry."""
