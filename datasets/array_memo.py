"""A hook by which the program that loads datasets stores arrays that are slow to make."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

LoadOrMake = Callable[[str, Callable[[], np.ndarray]], np.ndarray]
"""A function of a key and a function without arguments that makes an array.

It returns the array stored under the key; if there is none, it makes the array and stores it.
"""


class ArrayMemo:
    """The place where datasets look for arrays that they made before, such as decoded images.

    By default nothing is stored. A program that has a cache replaces `load_or_make`.
    """

    load_or_make: ClassVar[LoadOrMake] = staticmethod(lambda key, make: make())
