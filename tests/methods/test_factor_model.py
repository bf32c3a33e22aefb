"""The factor model of functions against the normal distribution that it is."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from distillation_bench.methods.factor_model import FactorModel, centred

Draw = Callable[..., Tensor]
MakeModel = Callable[..., FactorModel]

EXAMPLES, OUTPUTS, FACTORS, FUNCTIONS = 6, 3, 2, 4
POINTWISE = pytest.mark.parametrize("pointwise", [False, True])
CENTRED = pytest.mark.parametrize("is_centred", [False, True])


@pytest.fixture
def model(draw: Draw) -> MakeModel:
    """model(True): a model whose values sum to 0 over the outputs."""

    def make(is_centred: bool = False, factors: int = FACTORS) -> FactorModel:
        mean, mixing = draw(EXAMPLES, OUTPUTS), draw(OUTPUTS, OUTPUTS).tril()
        if is_centred:
            mean, mixing = centred(mean), centred(mixing.mT).mT
        features, noise = draw(EXAMPLES, factors), torch.tensor(0.3, dtype=torch.float64)
        for tensor in (mean, features, mixing, noise):
            tensor.requires_grad_()
        return FactorModel(mean, features, mixing, noise, OUTPUTS - is_centred)

    return make


def eye(size: int) -> Tensor:
    return torch.eye(size, dtype=torch.float64)


def parameters(model: FactorModel) -> list[Tensor]:
    return [model.mean, model.features, model.mixing, model.noise]


def covariance(model: FactorModel, pointwise: bool) -> Tensor:
    """Cov(f(x_b), f(x_c)) = Φ_b·Φ_c L Lᵀ + [b = c] σ² I, [B K, B K]; or its blocks b = c alone."""
    rows = []
    for b in range(EXAMPLES):
        row = []
        for c in range(EXAMPLES):
            product = model.features[b] @ model.features[c] * (b == c or not pointwise)
            noise = model.noise * eye(OUTPUTS) * (b == c)
            row.append(product * model.mixing @ model.mixing.T + noise)
        rows.append(torch.cat(row, 1))
    return torch.cat(rows)


def marginal_loss(model: FactorModel, values: Tensor, pointwise: bool) -> Tensor:
    """−ln p(f) per value, without the constant of the normal distribution."""
    normal = MultivariateNormal(model.mean.flatten(), covariance(model, pointwise))
    count = FUNCTIONS * EXAMPLES * model.degrees
    log_prob: Tensor = normal.log_prob(values.flatten(1))  # type: ignore[no-untyped-call]
    return -log_prob.sum() / count


def draws(model: FactorModel, draw: Draw) -> Tensor:
    values = draw(FUNCTIONS, EXAMPLES, OUTPUTS, scale=2.0)
    return centred(values) if model.degrees < OUTPUTS else values


def test_functions_are_those_of_loops(model: MakeModel, draw: Draw) -> None:
    """f_k(x) = μ_k(x) + Σ_j L_kj Σ_i z_ji Φ_i(x)."""
    made, z = model(), draw(5, OUTPUTS, FACTORS)
    functions = made.functions(z)
    assert functions.shape == (5, EXAMPLES, OUTPUTS)
    for s in range(5):
        for b in range(EXAMPLES):
            for k in range(OUTPUTS):
                expected = made.mean[b, k] + sum(
                    made.mixing[k, j] * z[s, j, i] * made.features[b, i]
                    for j in range(OUTPUTS)
                    for i in range(FACTORS)
                )
                assert functions[s, b, k].item() == pytest.approx(expected.item(), rel=1e-9)


def test_draws_have_the_models_covariance(model: MakeModel, draw: Draw) -> None:
    made, count = model(), 100_000
    functions = made.functions(draw(count, OUTPUTS, FACTORS)).flatten(1)
    expected = covariance(made, pointwise=False) - made.noise * eye(EXAMPLES * OUTPUTS)
    variances = expected.diagonal()
    # The variance of a sample covariance is (σ_ii σ_jj + σ_ij²)/n.
    error = ((variances[:, None] * variances + expected**2) / count).sqrt()
    assert ((functions.T.cov() - expected).abs() < 5 * error + 1e-12).all()


@CENTRED
def test_the_complete_loss_is_a_normal_likelihood(
    model: MakeModel, draw: Draw, is_centred: bool
) -> None:
    """−ln N(f; μ + L z Φ, σ² I) per dimension, without ½ ln 2π."""
    made = model(is_centred)
    values, z = draws(made, draw), draw(FUNCTIONS, OUTPUTS, FACTORS)
    squares = ((values - made.functions(z)) ** 2).sum().item()
    count = FUNCTIONS * EXAMPLES * made.degrees
    noise = made.noise.item()
    expected = (squares / (2 * noise) + count * math.log(noise) / 2) / count
    assert made.complete_loss(values, z).item() == pytest.approx(expected, rel=1e-9)


def test_the_joint_posterior_is_that_of_conditioned_normals(model: MakeModel, draw: Draw) -> None:
    """E(z | f) = C_zf C_ff⁻¹ (f − μ) and Cov(z | f) = I − C_zf C_ff⁻¹ C_fz, by full matrices."""
    made = model()
    values = draws(made, draw)
    posterior = made.posterior(values, pointwise=False)
    of_factors = [made.functions(row.view(1, OUTPUTS, FACTORS)) - made.mean for row in eye(6)]
    design = torch.cat(of_factors).flatten(1).T
    gain = torch.linalg.solve(covariance(made, pointwise=False), design).T
    for m in range(FUNCTIONS):
        expected = gain @ (values[m] - made.mean).flatten()
        torch.testing.assert_close(posterior.mean[0, :, m], expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(
        posterior.covariance[0], eye(6) - gain @ design, rtol=1e-9, atol=1e-12
    )


@POINTWISE
@CENTRED
def test_the_bound_touches_the_marginal_likelihood(
    model: MakeModel, draw: Draw, pointwise: bool, is_centred: bool
) -> None:
    """Fisher's identity: at the parameters of the E-step, ∇(−Q) is the gradient of −ln p(f)."""
    made = model(is_centred)
    values = draws(made, draw)
    loss = made.expected_loss(values, made.posterior(values, pointwise), pointwise)
    gradients = torch.autograd.grad(loss, parameters(made))
    expected = list(torch.autograd.grad(marginal_loss(made, values, pointwise), parameters(made)))
    if is_centred:
        # The full normal distribution has K dimensions of noise, of which one is never seen.
        expected[3] = expected[3] - 0.5 / (made.noise * made.degrees)
    for actual, gradient in zip(gradients, expected, strict=True):
        torch.testing.assert_close(actual, gradient, rtol=1e-9, atol=1e-12)


@POINTWISE
def test_an_em_step_raises_the_marginal_likelihood(
    model: MakeModel, draw: Draw, pointwise: bool
) -> None:
    """Steps that lower −Q with the posterior of the start lower −ln p(f) at least as much."""
    made = model()
    values = draws(made, draw)
    posterior = made.posterior(values, pointwise)

    def losses() -> tuple[float, float]:
        bound = made.expected_loss(values, posterior, pointwise)
        return bound.item(), marginal_loss(made, values, pointwise).item()

    before = losses()
    for _ in range(50):
        bound = made.expected_loss(values, posterior, pointwise)
        for tensor, gradient in zip(
            parameters(made), torch.autograd.grad(bound, parameters(made)), strict=True
        ):
            tensor.data -= 0.01 * gradient
    after = losses()
    assert before[0] - after[0] > 0.01
    assert before[1] - after[1] > before[0] - after[0]


@POINTWISE
def test_without_factors_it_is_a_normal_distribution_of_one_variance(
    model: MakeModel, draw: Draw, pointwise: bool
) -> None:
    made = model(factors=0)
    values = draws(made, draw)
    loss = made.expected_loss(values, made.posterior(values, pointwise), pointwise)
    squares = (values - made.mean).square().mean()
    torch.testing.assert_close(loss, (squares / made.noise + made.noise.log()) / 2)
    assert torch.equal(made.functions(draw(2, OUTPUTS, 0)), made.mean.expand(2, -1, -1))
