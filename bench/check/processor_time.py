"""A limit on the processor time of this process; how busy the machine is does not matter."""

from __future__ import annotations

import math
import resource
import time


def limit(seconds: float) -> None:
    """End this process by SIGXCPU when it has computed for so many seconds from now on."""
    used = math.ceil(time.process_time() + seconds)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    hard = used + 1 if most == resource.RLIM_INFINITY else min(used + 1, most)
    resource.setrlimit(resource.RLIMIT_CPU, (min(used, hard), hard))
