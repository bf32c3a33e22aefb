"""Options are declared once and have the same help in every command."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from tests.end_to_end.bench_command import commands
from typer.testing import CliRunner

from distillation_bench.bench.cli.options import flattened

OF_A_COMMAND = {"--out", "--markdown", "-m", "--method", "--label", "-d", "--dataset"}
"""Options whose meaning depends on the command: `table` keeps an order, `run` takes parameters."""


@dataclass(frozen=True)
class Pair:
    first: Annotated[int, typer.Option("--first")]
    second: Annotated[list[str] | None, typer.Option("-s", "--second")] = None


def test_fields_of_a_dataclass_become_options() -> None:
    calls: list[tuple[Any, ...]] = []

    def command(
        before: Annotated[int, typer.Option()] = 1,
        *,
        pair: Pair,
        after: Annotated[str, typer.Option()] = "z",
    ) -> None:
        """A command."""
        calls.append((before, pair, after))

    app = typer.Typer(rich_markup_mode=None)
    app.command()(flattened(command))
    invoke = CliRunner().invoke
    assert invoke(app, ["--first", "3", "-s", "a", "-s", "b", "--before", "2"]).exit_code == 0
    assert invoke(app, ["--first", "4"]).exit_code == 0
    assert calls == [(2, Pair(3, ["a", "b"]), "z"), (1, Pair(4), "z")]
    assert invoke(app, []).exit_code == 2
    text = invoke(app, ["--help"]).output
    positions = [text.index(name) for name in ("A command", "--before", "--first", "--second")]
    assert positions == sorted(positions) and text.index("--after") > positions[-1]


def test_an_option_has_the_same_help_in_every_command() -> None:
    helps: dict[str, set[str]] = defaultdict(set)
    for command in commands().commands.values():
        for parameter in command.params:
            for name in {*parameter.opts} - OF_A_COMMAND:
                if name.startswith("-"):
                    helps[name].add(parameter.help)
    assert len(helps) > 40
    assert {name: texts for name, texts in helps.items() if len(texts) > 1} == {}


def test_helps_are_one_line() -> None:
    for name, command in commands().commands.items():
        assert command.help.count("\n") == 0 and len(command.help) < 70, name
        for parameter in command.params:
            assert parameter.help, (name, parameter.name)
            assert "\n" not in parameter.help
