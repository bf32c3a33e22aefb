import torch as torch
from torch.nn import functional as functional

from distillation_bench.methods import dirichlets as dirichlets
from distillation_bench.methods import factor_model as factor_model
from distillation_bench.methods import flow as flow
from distillation_bench.methods import logit_distributions as logit_distributions
from distillation_bench.methods import low_discrepancy as low_discrepancy
from distillation_bench.methods import predictions as predictions
from distillation_bench.methods import sample_distances as sample_distances
from distillation_bench.methods import tasks as tasks
from distillation_bench.methods.networks import batch_ensemble as batch_ensemble
from distillation_bench.methods.networks import batched as batched
from distillation_bench.methods.networks import frozen as frozen
from distillation_bench.methods.networks import heads as heads
from distillation_bench.methods.networks import lenet as lenet
from distillation_bench.methods.networks import mlp as mlp
from distillation_bench.methods.networks import noisy_network as noisy_network
from distillation_bench.methods.networks import rescaled as rescaled
from distillation_bench.methods.networks import resnet as resnet
from distillation_bench.methods.networks import two_heads as two_heads
from distillation_bench.methods.networks import velocity as velocity
from distillation_bench.methods.networks import wide_resnet as wide_resnet
