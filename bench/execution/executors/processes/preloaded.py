"""What the server that workers are forked from loads beforehand; nothing else imports this."""

from __future__ import annotations

import gc
import os

# Nearly all that is made while torch is imported stays. Collecting garbage would take a tenth of
# the time, here and again in every worker.
gc.disable()
# A worker has one thread; the other threads of numpy would only wait, and use the processor.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# np.quantile and np.median import numpy.ma when they are called.
import numpy.ma  # noqa: E402, F401
import safetensors.numpy  # noqa: E402, F401
import sklearn.metrics  # type: ignore[import-untyped, unused-ignore]  # noqa: E402, F401

import distillation_bench.bench.execution.executors.processes.worker_process  # noqa: E402
import distillation_bench.bench.execution.worker  # noqa: E402
import distillation_bench.bench.training.cell  # noqa: E402
import distillation_bench.bench.training.data_preparation  # noqa: E402
import distillation_bench.bench.training.hardware.bfloat16_speed  # noqa: E402
import distillation_bench.bench.training.teacher_cache  # noqa: E402
import distillation_bench.methods.networks.heads  # noqa: E402, F401
from distillation_bench.bench.planning.plugins.installed_plugins import import_installed  # noqa: E402
from distillation_bench.bench.training.hardware.compute import prepare_process  # noqa: E402
from distillation_bench.bench.training.hardware.environment import machine  # noqa: E402
from distillation_bench.methods.networks.families import FAMILIES  # noqa: E402

for family in FAMILIES.values():
    family.builder()
# Workers inherit the plugins.
import_installed()
# Each job does so again; here it applies to the memory that workers inherit.
prepare_process()
machine()
gc.freeze()
gc.enable()
