"""What data and teachers are made of, and the cache keys that follow from it; without torch.

Keys are made of content alone: names, values, hashes of code and of files. No path, no order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distillation_bench.bench.common.hashing import digest, versions
from distillation_bench.bench.common.random_streams import stream_name
from distillation_bench.bench.planning.code_digests import (
    DATA_LIBRARIES,
    EVALUATION_SETS,
    SPLITS,
    TEACHER,
    TEACHER_LIBRARIES,
    class_code,
)
from distillation_bench.bench.planning.evaluation_sources import EvaluationSources
from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.storage.cache import key_of
from distillation_bench.datasets.base import Dataset


@dataclass(frozen=True)
class DataPlan:
    """A dataset's arrays to be, and their keys in the cache.

    `code` and `content` are hashes of what makes them and of what they are made from, which are
    the same for all seeds.
    """

    dataset: str
    seed: int
    examples: int | None
    test_examples: int | None
    sources: EvaluationSources
    splits_key: str
    sets_key: str
    code: str = ""
    content: str = ""


@dataclass(frozen=True)
class TeacherPlan:
    """A teacher to be: what it is trained on and how, and its keys in the cache."""

    dataset: str
    seed: int
    recipe: Recipe
    data: DataPlan
    key: str
    outputs_key: str

    @property
    def pieces(self) -> list[range]:
        """Members that are trained as one batch."""
        members, size = self.recipe.members, self.recipe.members_a_piece
        return [range(i, min(i + size, members)) for i in range(0, members, size)]

    @property
    def member_keys(self) -> list[str]:
        """The key of each member's weights."""
        return [f"{self.key}.{member}" for member in range(self.recipe.members)]

    def piece_key(self, piece: int) -> str:
        """The key of a piece's outputs, kept until the teacher is whole; one piece is the whole."""
        if len(self.pieces) == 1:
            return self.outputs_key
        members = self.pieces[piece]
        return f"{self.outputs_key}.{members.start}-{members.stop - 1}"


@dataclass
class Planner:
    """Plans of data and teachers, each made once.

    Attributes:
        root: where datasets find their files.
        sources: by dataset, what it is evaluated on.
        device: the kind that trains; another kind has other random numbers and other sums.
    """

    root: Path
    sources: Mapping[str, EvaluationSources]
    device: str = "cpu"
    _teachers: dict[tuple[str, int], TeacherPlan] = field(default_factory=dict)
    _data: dict[tuple[str, int], DataPlan] = field(default_factory=dict)
    _identities: dict[str, Any] = field(default_factory=dict)

    def teacher(self, dataset: type[Dataset], recipe: Recipe, seed: int) -> TeacherPlan:
        """The teacher of a dataset and seed; one recipe a dataset."""
        known = self._teachers.get((dataset.name, seed))
        if known is None:
            known = self._teachers[dataset.name, seed] = self._teacher(dataset, recipe, seed)
        return known

    def _teacher(self, dataset: type[Dataset], recipe: Recipe, seed: int) -> TeacherPlan:
        data_seed = seed if recipe.data_seed is None else recipe.data_seed
        data = self._data.get((dataset.name, data_seed))
        if data is None:
            data = self._data[dataset.name, data_seed] = self._plan_data(dataset, recipe, data_seed)
        trained = {"data": data.splits_key, "recipe": recipe.for_teacher(), "seed": seed}
        trained |= {"device": self.device, "code": TEACHER.digest()}
        key = key_of("weights", {**trained, "versions": versions(*TEACHER_LIBRARIES)})
        outputs_key = key_of("outputs", {"weights": key, "sets": data.sets_key})
        return TeacherPlan(dataset.name, seed, recipe, data, key, outputs_key)

    def _plan_data(self, dataset: type[Dataset], recipe: Recipe, seed: int) -> DataPlan:
        sources = self.sources[dataset.name]
        source = {
            "dataset": stream_name(dataset.name),
            "identity": self._identity(dataset),
            "data_seed": seed,
            "code": class_code(dataset, Dataset),
            "versions": versions(*DATA_LIBRARIES),
        }
        splits = {**source, "examples": recipe.examples, "engine": SPLITS.digest()}
        sets = {
            **source,
            "examples": recipe.test_examples,
            "engine": EVALUATION_SETS.digest(),
            "ood": sorted(([each.name, each.identity] for each in sources.present), key=str),
            "corruptions": sources.identity,
        }
        code = [*(source[name] for name in ("code", "versions")), splits["engine"], sets["engine"]]
        content = [*(source[name] for name in ("dataset", "identity")), sets["ood"]]
        return DataPlan(
            dataset=dataset.name,
            seed=seed,
            examples=recipe.examples,
            test_examples=recipe.test_examples,
            sources=sources,
            splits_key=key_of("data", splits),
            sets_key=key_of("sets", sets),
            code=digest([*code, TEACHER.digest()]),
            content=digest([*content, sources.identity]),
        )

    def _identity(self, dataset: type[Dataset]) -> Any:
        # Of a folder it takes a second: once a dataset, not once a seed.
        if dataset.name not in self._identities:
            self._identities[dataset.name] = dataset(self.root).identity()
        return self._identities[dataset.name]
