"""Options of the command line: each is declared once, with one help text for all commands.

Typer makes an option of each parameter of a function. Dataclasses group the options that belong
together; `flattened` turns a function of such dataclasses into the function that Typer needs.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

RunFolder = Annotated[Path, typer.Argument(help="a run's folder")]
RunFolders = Annotated[list[Path], typer.Argument(help="folders of one run or several")]
OptionalRunFolders = Annotated[
    list[Path] | None, typer.Argument(help="folders of one run or several")
]
Datasets = Annotated[
    list[str] | None, typer.Option("-d", "--dataset", help="name of a dataset; repeatable")
]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "-m", "--method", "--label", help="label, or method with all its variants; repeatable"
    ),
]
BASELINE = "label that others are compared with"
METRIC = "NAME[:SCORE][@SET], such as ece@rotation/3; repeatable"
Metrics = Annotated[list[str] | None, typer.Option("--metric", help=METRIC)]
Mixed = Annotated[
    bool, typer.Option("--mixed", help="include results of another protocol or code, marked")
]
OutputFile = Annotated[Path | None, typer.Option(metavar="FILE", help="file to write; - is stdout")]
Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugin", help="a Python file, folder or package to load; repeatable"),
]
CacheFolder = Annotated[
    Path, typer.Option("--cache", help="folder of cached data and teachers", envvar="BENCH_CACHE")
]
OptionalCacheFolder = Annotated[
    Path | None,
    typer.Option("--cache", metavar="FOLDER", help="folder of cached data and teachers"),
]


def flattened(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with a parameter for each field of the dataclasses that it takes."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}

    @functools.wraps(command)
    def call(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        command(**values)

    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name in groups:
            parameters += _parameters_of(groups[name])
        else:
            parameters.append(_keyword(name, hints[name], parameter.default))
    vars(call)["__signature__"] = inspect.Signature(parameters)
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def _parameters_of(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [_keyword(field.name, hints[field.name], field.default) for field in fields(group)]


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    default = inspect.Parameter.empty if default is MISSING else default
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
    )
