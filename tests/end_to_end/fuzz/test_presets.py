"""Presets and options with any text: a plan, or a message of one line."""

from __future__ import annotations

from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st
from tests.end_to_end.fuzz.runs import (
    Site,
    examples,
    program,
)
from tests.end_to_end.hostile import NAMES, assert_orderly

from distillation_bench.bench.planning.configuration.preset_files import PRESETS, preset_names

FRAGMENTS = (
    *("datasets", "methods", "seeds", "recipe", "recipes", "ood", "corruptions", "label"),
    *("parameters", "method", "spiral", "sine", "kd", "hydra", "heads", "network", "family"),
    *(": ", ":\n  ", "\n", "\n  - ", "- ", "[", "]", "{", "}", ", ", "&a ", "*a", "<<: ", "? "),
    *("0-2", "1", "-1", "1e999", "true", "~", ".nan", "'", '"', "|\n", "!!int ", "!x ", "# "),
    *("---\n", "...\n", "%YAML 1.1\n", "\t", "\x00", "\ud7ff", "é", "99999999999999999999", "0x_"),
    *("linear(0, 1)", "1:2:3", "2024-01-01", "0o9", "=", "<<"),
)


pieces = st.lists(st.sampled_from([*FRAGMENTS, *NAMES]), max_size=6).map("".join)


@st.composite
def presets(draw: st.DrawFn) -> str:
    """Draw a preset of the repository with a few changes, or one of random pieces."""
    text = (PRESETS / f"{draw(st.sampled_from(preset_names()))}.yaml").read_text(encoding="utf-8")
    if draw(st.booleans()):
        lines = text.splitlines(keepends=True)
        lines = [line for line in lines if draw(st.integers(0, 9))]
        text = "".join(lines)
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(text)))
        text = text[:begin] + draw(pieces) + text[begin + draw(st.integers(0, 12)) :]
    return text


texts = st.one_of(st.text(max_size=12), pieces)


options = st.lists(
    st.one_of(
        st.tuples(st.just("-m"), st.builds("{}[{}={}]".format, st.just("kd"), texts, texts)),
        st.tuples(st.just("-m"), texts),
        st.tuples(st.just("-s"), texts),
        st.tuples(st.just("-d"), texts),
        st.tuples(st.just("--ood"), texts),
        st.tuples(st.just("--set"), st.builds("{}={}".format, st.just("epochs"), texts)),
        st.tuples(
            st.just("--set"),
            st.builds("network.{}={}".format, st.sampled_from(["core", "family", "width"]), texts),
        ),
        st.tuples(st.just("--set"), texts),
    ),
    min_size=1,
    max_size=2,
)


@examples(60)
@given(text=presets())
def test_changed_presets_give_a_plan_or_one_line(site: Site, text: str) -> None:
    site.out.mkdir(exist_ok=True)
    path = site.out / "preset.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    # Only some of the combinations of seeds and values.
    small = ("-s", "0", "--results", str(site.out / "new"), "--cache", str(site.out / "cache"))
    done = program("plan", "--preset", str(path), *small)
    assert_orderly(done)
    event(f"status {done.returncode}")
    assert done.returncode in (0, 2)


@examples(60)
@given(given_options=options)
def test_changed_options_give_a_plan_or_one_line(site: Site, given_options: Any) -> None:
    arguments = ["-d", "spiral", "-s", "0", "--results", str(site.out / "new")]
    arguments += [word for pair in given_options for word in pair]
    done = program("plan", "-m", "kd", *arguments, "--cache", str(site.out / "cache"))
    assert_orderly(done)
    assert done.returncode in (0, 2)
