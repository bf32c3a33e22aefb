"""What data and teachers are made from, and the cache keys that follow from it; without torch.

Keys are hashes of content alone: names, values, code and files. Neither paths nor the order of
anything change them.
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
    network_code,
)
from distillation_bench.bench.planning.evaluation_sources import EvaluationSources
from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.storage.cache import entry_key
from distillation_bench.datasets.base import Dataset


@dataclass(frozen=True)
class DataPlan:
    """The arrays of a dataset that are to be prepared, and their keys in the cache.

    Attributes:
        dataset: name of the dataset.
        seed: the data seed, which decides the splits.
        examples: training examples to use; None: all.
        test_examples: examples of each test and OOD set to use; None: all.
        sources: what the dataset is evaluated on beside its test split.
        splits_key: of the training and validation splits.
        sets_key: of the evaluation sets.
        code: hash of the code that makes the arrays; the same for all seeds.
        content: hash of what they are made from; the same for all seeds.
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
    """A teacher that is to be trained, and its keys in the cache.

    Attributes:
        dataset: name of the dataset.
        seed: of the members.
        recipe: how the members are trained.
        data: what they are trained and evaluated on.
        key: of the members' weights, the start of each one's key.
        outputs_key: of the members' outputs on all sets.
        network_code: hash of the code of a plugin's networks; empty for those of this suite.
    """

    dataset: str
    seed: int
    recipe: Recipe
    data: DataPlan
    key: str
    outputs_key: str
    network_code: str = ""

    @property
    def pieces(self) -> list[range]:
        """The members that are trained together as one batch, piece by piece."""
        members, size = self.recipe.members, self.recipe.piece_size
        return [range(start, min(start + size, members)) for start in range(0, members, size)]

    @property
    def member_keys(self) -> list[str]:
        """The key of each member's weights."""
        return [f"{self.key}.{member}" for member in range(self.recipe.members)]

    def piece_key(self, piece: int) -> str:
        """Return the key of a piece's outputs, which are kept until all pieces are joined.

        If there is a single piece, its outputs are the teacher's.
        """
        if len(self.pieces) == 1:
            return self.outputs_key
        members = self.pieces[piece]
        return f"{self.outputs_key}.{members.start}-{members.stop - 1}"


@dataclass
class Planner:
    """Plans data and teachers, each once.

    Attributes:
        root: the folder of the datasets' files.
        sources: by dataset, what it is evaluated on.
        device: the kind that trains; another kind has other random numbers and rounding.
    """

    root: Path
    sources: Mapping[str, EvaluationSources]
    device: str = "cpu"
    _teachers: dict[tuple[str, int], TeacherPlan] = field(default_factory=dict)
    _data: dict[tuple[str, int], DataPlan] = field(default_factory=dict)
    _identities: dict[str, Any] = field(default_factory=dict)

    def teacher(self, dataset: type[Dataset], recipe: Recipe, seed: int) -> TeacherPlan:
        """Return the teacher of a dataset and a seed; a dataset has one recipe."""
        key = dataset.name, seed
        if key not in self._teachers:
            self._teachers[key] = self._plan_teacher(dataset, recipe, seed)
        return self._teachers[key]

    def _plan_teacher(self, dataset: type[Dataset], recipe: Recipe, seed: int) -> TeacherPlan:
        data = self._data_plan(dataset, recipe, seed)
        content = {
            "data": data.splits_key,
            "recipe": recipe.for_teacher(),
            "seed": seed,
            "device": self.device,
            "code": TEACHER.digest(),
            "versions": versions(*TEACHER_LIBRARIES),
        }
        networks = network_code(recipe.network["family"])
        if networks:
            content["network"] = networks
        key = entry_key("weights", content)
        outputs_key = entry_key("outputs", {"weights": key, "sets": data.sets_key})
        return TeacherPlan(dataset.name, seed, recipe, data, key, outputs_key, networks)

    def _data_plan(self, dataset: type[Dataset], recipe: Recipe, seed: int) -> DataPlan:
        key = dataset.name, seed if recipe.data_seed is None else recipe.data_seed
        if key not in self._data:
            self._data[key] = self._plan_data(dataset, recipe, key[1])
        return self._data[key]

    def _plan_data(self, dataset: type[Dataset], recipe: Recipe, seed: int) -> DataPlan:
        sources = self.sources[dataset.name]
        common = {
            "dataset": stream_name(dataset.name),
            "identity": self._identity(dataset),
            "data_seed": seed,
            "code": class_code(dataset, Dataset),
            "versions": versions(*DATA_LIBRARIES),
        }
        ood = sorted(([ood.name, ood.identity] for ood in sources.present), key=str)
        splits = {**common, "examples": recipe.examples, "engine": SPLITS.digest()}
        sets = {
            **common,
            "examples": recipe.test_examples,
            "engine": EVALUATION_SETS.digest(),
            "ood": ood,
            "corruptions": sources.identity,
        }
        code = [common["code"], common["versions"], splits["engine"], sets["engine"]]
        content = [common["dataset"], common["identity"], ood, sources.identity]
        return DataPlan(
            dataset=dataset.name,
            seed=seed,
            examples=recipe.examples,
            test_examples=recipe.test_examples,
            sources=sources,
            splits_key=entry_key("data", splits),
            sets_key=entry_key("sets", sets),
            code=digest([*code, TEACHER.digest()]),
            content=digest(content),
        )

    def _identity(self, dataset: type[Dataset]) -> Any:
        # That of a folder takes a second: once for each dataset, not for each seed.
        if dataset.name not in self._identities:
            self._identities[dataset.name] = dataset(self.root).identity()
        return self._identities[dataset.name]
