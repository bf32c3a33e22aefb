from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from distillation_bench import datasets
from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.datasets import DATASETS, Dataset, UnknownDataset, get, names, register
from distillation_bench.datasets.spiral import Spiral

ATTRIBUTES: dict[str, Any] = {
    name: getattr(Spiral, name)
    for name in (*Dataset.__annotations__, "load")
    if name not in ("images", "classes")
}


def plugin(**changes: Any) -> type[Dataset]:
    """Return a class Plugin with the attributes of Spiral; a change to None removes one."""
    body = {**ATTRIBUTES, "__module__": __name__, **changes}
    return type("Plugin", (Dataset,), {k: v for k, v in body.items() if v is not None})


def test_built_in_datasets_are_registered() -> None:
    assert names()[:5] == ("spiral", "sine", "sine-gap", "digits", "digits-0-7")
    assert names()[5:9] == ("mnist", "fashion-mnist", "kmnist", "emnist-letters")
    assert names()[9:12] == ("cifar10", "cifar100", "svhn")
    assert all(get(name).name == name for name in names())


def test_unknown_name_gives_the_nearest_and_the_list() -> None:
    with pytest.raises(KeyError) as caught:
        get("spirl")
    assert isinstance(caught.value, UnknownDataset)
    message = str(caught.value)
    assert "no dataset 'spirl'; did you mean 'spiral'?" in message
    assert message.endswith(", ".join((*names(), "folder:PATH")))


def test_an_unknown_name_without_a_near_one_is_reported() -> None:
    with pytest.raises(UnknownDataset) as caught:
        get("zzz")
    assert "did you mean" not in str(caught.value)


def test_datasets_of_images_are_recognised_by_their_shape() -> None:
    assert not plugin().images
    assert plugin(shape=(3, 8, 8)).images


def test_register_is_a_decorator_and_takes_a_reloaded_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(datasets, "DATASETS", dict(DATASETS))
    first, again = plugin(name="plugin"), plugin(name="plugin")
    assert register(first) is first
    assert get("plugin") is first
    assert register(again) is again
    assert get("plugin") is again


def test_register_refuses_a_taken_name() -> None:
    with pytest.raises(ValueError, match=r"'spiral' of .*Plugin is taken by .*\.datasets\.spiral"):
        register(plugin())
    assert get("spiral") is Spiral


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_a_missing_attribute_is_named(attribute: str) -> None:
    with pytest.raises(TypeError, match=f"^dataset class Plugin: missing {attribute}"):
        plugin(**{attribute: None})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"task": "clustering"}, "task is 'clustering', not one of classification, regression"),
        ({"recipe": {"epochs": 1}}, "recipe lacks batch_size, clip"),
        ({"network": {"member": [8]}}, "network lacks family"),
        ({"ood_groups": {"noise": "close"}}, r"ood_groups\['noise'\] is 'close', not near or far"),
    ],
)
def test_a_wrong_attribute_is_explained(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        plugin(**changes)


def test_import_and_listing_are_light() -> None:
    code = (
        "import sys, time, numpy.random; start = time.perf_counter()\n"
        "from distillation_bench.datasets import get, names; [get(n).summary for n in names()]\n"
        "spent = time.perf_counter() - start\n"
        "heavy = {'torch', 'torchvision', 'sklearn', 'scipy', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "print(spent)"
    )
    root = IMPORT_FOLDER
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1.0  # about 0.01 s when idle; a machine under load is slower
