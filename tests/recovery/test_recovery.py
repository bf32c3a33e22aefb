"""Students recover the uncertainties of teachers whose distribution is known.

`python -m tests.recovery` measures all methods on all teachers; here each method has one that it
can represent, or is known to have no epistemic uncertainty.
"""

from __future__ import annotations

import pytest
import torch
from tests.recovery.students import SMALL, Size, errors
from tests.recovery.teachers import TEACHERS, SyntheticTeacher, inputs

from distillation_bench.methods import METHODS
from distillation_bench.methods.predictions import Samples
from distillation_bench.methods.tasks import TASKS

CLASSIFIERS = [teacher for teacher in TEACHERS.values() if teacher.task == "classification"]
pytestmark = pytest.mark.usefixtures("one_thread")

ENOUGH = Size(30, 512, 80)
RECOVERED = {
    "kd-uncertainty": ("mixture", 0.10),
    "endd": ("Dirichlet", 0.30),
    "h2d": ("Dirichlet", 0.30),
    "proxy-endd": ("Dirichlet", 0.25),
    "hydra": ("mixture", 0.20),
    "be-kd": ("mixture", 0.20),
    "hydra+": ("mixture", 0.20),
    "small-ensemble": ("mixture", 0.20),
    "mc-dropout": ("mixture", 0.30),
    "gauss": ("mixture", 0.30),
    "fed": ("mixture", 0.45),
    "dlf": ("factor model", 0.30),
    "logit-gaussian": ("logit Gaussian", 0.30),
    "edfm": ("mixture", 0.20),
}
"""The teacher of each method, and the bound on the error of its epistemic uncertainty."""
NONE = ("single", "temperature", "kd", "latent-be")
"""Methods of one network, whose epistemic uncertainty is 0."""
INTERVALS = ("ced",)
"""Methods whose epistemic uncertainty is the range of the entropy, not the mutual information."""
ABSENT = ("ensemble",)
"""Methods that need the members' networks."""
UNTAUGHT = ("sub-ensemble",)
"""Methods whose heads never see the members."""


def test_every_method_is_tested() -> None:
    assert {*RECOVERED, *NONE, *INTERVALS, *ABSENT, *UNTAUGHT} == set(METHODS)


@pytest.mark.parametrize("name", RECOVERED)
def test_uncertainties_approach_the_truth(name: str) -> None:
    teacher, bound = RECOVERED[name]
    little, much = (errors(name, TEACHERS[teacher], size) for size in (SMALL, ENOUGH))
    assert much["epistemic"] < bound
    assert all(much[uncertainty] < little[uncertainty] for uncertainty in much)


@pytest.mark.parametrize("name", NONE)
def test_one_network_has_no_epistemic_uncertainty(name: str) -> None:
    much = errors(name, TEACHERS["mixture"], ENOUGH)
    assert much["epistemic"] == 1
    assert much["total"] < 0.2


@pytest.mark.parametrize("name", INTERVALS)
def test_a_range_of_entropies_exceeds_the_mutual_information(name: str) -> None:
    """By far, and the more so with more members; 1 is the error of no epistemic uncertainty."""
    little, much = (errors(name, TEACHERS["mixture"], size) for size in (SMALL, ENOUGH))
    assert 1 < little["epistemic"] < much["epistemic"]


@pytest.mark.parametrize("teacher", CLASSIFIERS, ids=lambda teacher: teacher.name)
def test_the_truth_is_the_limit_of_many_members(teacher: SyntheticTeacher) -> None:
    """The members' functions have the stated distribution at each input."""
    x = inputs(50, seed=8)
    members = teacher.members(x, 20_000, torch.Generator().manual_seed(5))
    true, limit = teacher.truth(x), TASKS[teacher.task].prediction(members)
    assert isinstance(limit, Samples)
    for uncertainty in ("total", "aleatoric", "epistemic"):
        difference = getattr(true, uncertainty) - getattr(limit, uncertainty)
        assert difference.abs().max() < 0.03
        assert difference.abs().mean() < 0.01
