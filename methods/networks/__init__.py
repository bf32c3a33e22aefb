"""Networks: members of a teacher, cores and heads of students, and plain networks.

Everything that a family of networks needs can be imported from here:

    NetworkBuilder, register_network
                    the base class of a family, and the decorator that adds one
    NetworkOptions, Batching
                    the options of a family, and the type of the option `batching`
    network_builder the builder of a family, by the description of a dataset's network

None of these names imports torch. The modules:

builder     what every family of networks builds
families    all families by name; does not import torch
options     the options of each family; does not import torch
batched     n copies of any network as one module
batch_ensemble
            members that share their weights, up to a factor of rank one
heads       students: a core with heads, dropout or a Gaussian in the last layer
mlp         perceptrons, and the batched linear layer
"""

from __future__ import annotations

from distillation_bench.methods.networks.builder import NetworkBuilder
from distillation_bench.methods.networks.families import network_builder, register_network
from distillation_bench.methods.networks.options import Batching, NetworkOptions

__all__ = ["Batching", "NetworkBuilder", "NetworkOptions", "network_builder", "register_network"]
