"""A family of networks on random inputs, and the checks of what it builds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from distillation_bench.bench.check.checks import ContractBroken, require
from distillation_bench.bench.common.random_streams import torch_stream
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.networks.families import Family
from distillation_bench.methods.networks.heads import core_and_heads

EXAMPLES, MEMBERS, HEADS, OUTPUTS = 6, 3, 2, 4
OTHER_OUTPUTS = (1, 9)
VECTOR, IMAGE = (5,), (3, 32, 32)
"""Shapes of an input, unless the options have an example."""
LAYERS = "give the layers of both by core_layers and head_layers"


class NetworkUnderTest:
    """A family of networks with default options, on random inputs.

    Each `check_…` raises ContractBroken, or whatever the networks raise, if the check fails.
    """

    def __init__(self, family: Family) -> None:
        self._options = family.options
        default = IMAGE if family.options.needs_images else VECTOR
        self._shape = family.options.example or default
        self._description = {"family": family.name}
        self._networks = network_builder(self._description, self._shape, OUTPUTS)
        self._x = _inputs(self._shape, "inputs")

    def check_members(self) -> None:
        """Check that members give outputs [M, B, K], on shared inputs and on their own."""
        members = self._members(range(MEMBERS))
        expected = (MEMBERS, EXAMPLES, OUTPUTS)
        _require_shape("members", self._pass(members, self._x), expected)
        own = torch.stack([self._x] * MEMBERS)
        _require_shape("members, each on inputs of its own,", self._pass(members, own), expected)
        for name, tensor in members.state_dict().items():
            require(
                tensor.dim() > 0 and len(tensor) == MEMBERS,
                f"{name} of members is {list(tensor.shape)}: its first axis has to be the member",
            )

    def check_core_and_heads(self) -> None:
        """Check that a student with heads gives outputs [S, B, K], of any width."""
        for outputs in (None, *OTHER_OUTPUTS):
            student = core_and_heads(self._networks, HEADS, torch_stream(0), outputs)
            features = self._pass(student.core, self._x)
            require(len(features) == 1, f"features are {list(features.shape)}, not [1, B, …]")
            expected = (HEADS, EXAMPLES, outputs or OUTPUTS)
            _require_shape(f"heads with outputs={outputs}", student.heads(features), expected)
        heads = student.heads(features)
        require(not torch.equal(heads[0], heads[1]), "two heads are the same; draw each anew")

    def check_trunk(self) -> None:
        """Check that a trunk gives features [1, B, F]."""
        trunk, width = self._networks.trunk(torch_stream(0))
        _require_shape("features of a trunk", self._pass(trunk, self._x), (1, EXAMPLES, width))

    def check_network(self) -> None:
        """Check that a plain network gives outputs [B, K], of any width, with more inputs too."""
        for outputs in (None, *OTHER_OUTPUTS):
            network = self._networks.network(torch_stream(0), outputs=outputs)
            got = self._pass(network, self._x)
            _require_shape(f"network(outputs={outputs})", got, (EXAMPLES, outputs or OUTPUTS))
        first, *others = self._shape
        wider = self._networks.network(torch_stream(0), channels=2)
        got = self._pass(wider, _inputs((first + 2, *others), "wider"))
        _require_shape("network(channels=2)", got, (EXAMPLES, OUTPUTS))

    def check_parameters(self) -> None:
        """Check that a plain network has as many parameters as a student with one head."""
        network, student = self._networks.network(torch_stream(0)), self._student(1)
        counts = [sum(p.numel() for p in module.parameters()) for module in (network, student)]
        require(
            counts[0] == counts[1],
            f"network has {counts[0]} parameters, core and head have {counts[1]}; {LAYERS}",
        )

    def check_gradients(self) -> None:
        """Check that each parameter has a finite gradient."""
        for kind, module in self._modules():
            parameters = dict(module.named_parameters())
            require(bool(parameters), f"{kind}: no parameters; make layers within core_layers")
            total = self._pass(module, self._x).square().sum()
            gradients = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
            for name, gradient in zip(parameters, gradients, strict=True):
                require(gradient is not None, f"{kind}: no gradient for {name}; use it or drop it")
                assert gradient is not None
                require(bool(gradient.isfinite().all()), f"{kind}: gradient of {name} not finite")

    def check_finite(self) -> None:
        """Check that outputs are finite while training and afterwards."""
        for kind, module in self._modules():
            for is_training in (True, False):
                outputs = self._pass(module.train(is_training), self._x)
                mode = "training" if is_training else "evaluation"
                require(bool(outputs.isfinite().all()), f"{kind}: not finite in {mode}")

    def check_examples(self) -> None:
        """Check that in evaluation an output depends on its own example alone."""
        for kind, module in self._modules():
            module.eval()
            together, apart = self._pass(module, self._x), self._pass(module, self._x[:1])
            axis = together.dim() - 2
            require(
                torch.allclose(together.narrow(axis, 0, 1), apart, rtol=1e-3, atol=1e-4),
                f"{kind}: in evaluation, outputs depend on what else is in the batch; normalise "
                "by statistics of the training, as nn.BatchNorm2d does",
            )

    def check_generator(self) -> None:
        """Check that weights and outputs draw from the generator, and never from torch's stream."""
        before = torch.get_rng_state()
        first, again, other = (dict(self._modules(seed)) for seed in (0, 0, 1))
        for kind, module in first.items():
            for name, tensor in module.state_dict().items():
                same = torch.equal(tensor, again[kind].state_dict()[name])
                require(same, f"{kind}: {name} differs between two equal generators")
            require(
                not _is_equal(module, other[kind]),
                f"{kind}: the weights are the same from another generator; draw them from it",
            )
            self._pass(module, self._x)
        require(
            torch.equal(torch.get_rng_state(), before),
            "torch's global stream was used; make layers within core_layers and head_layers, and "
            "draw nothing in a forward pass",
        )

    def check_stack(self) -> None:
        """Check that a member has the same bits in any stack, if networks are computed in turn."""
        if getattr(self._networks.options, "batching", "turn") != "turn":
            return
        together, alone = (self._trained(seeds) for seeds in (range(MEMBERS), [1]))
        for name, tensor in together.items():
            require(
                torch.equal(tensor[1:2], alone[name]),
                f"{name} of a member differs when other members are trained with it; draw its "
                "weights from its own generator, and compute members in turn, as Batched does",
            )

    def check_batching(self) -> None:
        """Check that networks, computed as one grouped convolution, have the outputs of turns."""
        if "batching" not in self._options.model_fields:
            return
        turn, vmap = (self._outputs_with(batching) for batching in ("turn", "vmap"))
        require(
            torch.allclose(turn, vmap, rtol=1e-3, atol=1e-4),
            "batching=vmap gives other outputs than batching=turn; leave the option out",
        )

    def _outputs_with(self, batching: str) -> Tensor:
        description = {**self._description, "batching": batching}
        networks = network_builder(description, self._shape, OUTPUTS)
        members = networks.members([torch_stream(seed) for seed in range(MEMBERS)])
        try:
            outputs: Tensor = members(self._x)
        except RuntimeError as error:
            raise ContractBroken(f"batching={batching}: {error}; leave the option out") from None
        return outputs

    def check_saving(self) -> None:
        """Check that outputs are the same after the tensors are saved and loaded."""
        loaded = dict(self._modules(1))
        for kind, module in self._modules():
            self._pass(module, self._x)
            state = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
            loaded[kind].load_state_dict(load(save(state)))
            outputs = [self._pass(m.eval(), self._x) for m in (module, loaded[kind])]
            require(
                torch.equal(*outputs),
                f"{kind}: loaded, the outputs differ; keep state in parameters and buffers",
            )

    def check_products(self) -> None:
        """Check that the products of a pass, if the options give them, are three numbers."""
        products = self._networks.options.products(self._shape, OUTPUTS)
        is_good = products is None or (
            len(products) == 3 and all(type(n) is int and n > 0 for n in products)
        )
        require(is_good, f"products gives {products}, not three integers above 0")

    # What is checked

    def _members(self, seeds: Sequence[int]) -> nn.Module:
        return self._networks.members([torch_stream(seed, "member") for seed in seeds])

    def _student(self, heads: int, seed: int = 0) -> nn.Module:
        return core_and_heads(self._networks, heads, torch_stream(seed))

    def _modules(self, seed: int = 0) -> Iterator[tuple[str, nn.Module]]:
        """Yield new modules of each kind."""
        yield "members", self._members(range(seed, seed + MEMBERS))
        yield "core and heads", self._student(HEADS, seed)
        yield "network", self._networks.network(torch_stream(seed))

    def _pass(self, module: nn.Module, x: Tensor) -> Tensor:
        try:
            outputs: Tensor = module(x)
        except Exception as error:
            raise ContractBroken(
                f"inputs {list(x.shape)}: {type(error).__name__}: {error}; networks for images "
                "have needs_images = True among their options, those for other inputs an example"
            ) from None
        return outputs

    def _trained(self, seeds: Sequence[int]) -> dict[str, Tensor]:
        """Return the state and the outputs of members after a step of training."""
        members = self._members(seeds)
        parameters = list(members.parameters())
        gradients = torch.autograd.grad(self._pass(members, self._x).square().sum(), parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(1e-3 * gradient)
        return {**members.state_dict(), "the output": self._pass(members.eval(), self._x)}


def _inputs(shape: tuple[int, ...], name: str) -> Tensor:
    x = torch.randn(EXAMPLES, *shape, generator=torch_stream(0, "check", name))
    # As the images of a run.
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def _require_shape(what: str, outputs: Tensor, expected: tuple[int, ...]) -> None:
    require(
        outputs.shape == expected,
        f"outputs of {what} are {list(outputs.shape)}, not {list(expected)}",
    )


def _is_equal(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)
