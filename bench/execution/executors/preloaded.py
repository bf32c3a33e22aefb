"""Loaded by the server that workers are forked from, and by nothing else."""

from __future__ import annotations

import gc
import os

# Nearly all that is made while torch is loaded stays: looking for rubbish in it takes a tenth of
# the time, and workers would do so again and again.
gc.disable()
# A worker has one thread; numpy's others would but wait, and each of them busily.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# numpy.ma: of np.quantile and np.median, which import it when they are called.
import numpy.ma  # noqa: E402, F401
import safetensors.numpy  # noqa: E402, F401

import distillation_bench.methods.networks.families  # noqa: E402, F401
from distillation_bench.bench.execution import worker  # noqa: E402
from distillation_bench.bench.training.hardware.compute import prepare_process  # noqa: E402

# As each job does; here it is in time for the memory that they inherit.
prepare_process()
worker.machine()
gc.freeze()
gc.enable()
