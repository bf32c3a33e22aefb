import torch as torch
from torch.nn import functional as functional

from distillation_bench.methods import predictions as predictions
from distillation_bench.methods.networks import batched as batched
from distillation_bench.methods.networks import heads as heads
