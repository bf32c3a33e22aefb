"""Models of a cell's record and of run.json, and the columns of the tables.

All that commands do with a run relies on these models and on `cell_files.py`: a right checksum only
shows that a file is as it was written, and a stranger may have written it. Records are validated as
they are parsed, since one table may need ten thousand of them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired

from pydantic import (
    AfterValidator,
    ConfigDict,
    FailFast,
    Field,
    GetPydanticSchema,
    TypeAdapter,
    ValidationError,
    with_config,
)
from pydantic_core import PydanticCustomError, core_schema
from typing_extensions import TypedDict

from distillation_bench.bench.common.text import truncated
from distillation_bench.bench.storage.formats.json_files import (
    MANIFEST_CHECKSUM,
    RECORD_CHECKSUM,
    parse_json,
)
from distillation_bench.bench.storage.formats.limits import (
    INTEGER_BOUND,
    MAX_CELLS,
    MAX_NAME_LENGTH,
    VALUE_BOUND,
    is_cell_id,
    is_duration,
    is_plain,
)
from distillation_bench.bench.storage.formats.older_formats import (
    FORMAT,
    READABLE,
    upgrade_record,
)

CELL_NAMES = ("dataset", "method", "label", "seed")
RESULT_COLUMNS = (*CELL_NAMES, "status")
METRIC_COLUMNS = (*CELL_NAMES, "set", "shift", "severity", "metric", "score", "value")
CELL_COLUMNS = (
    *(*CELL_NAMES, "id", "status", "reason"),
    *("finished", "commit", "environment", "history", "curves"),
)
"""Columns of cells.csv before the timings."""
LATENCY = "latency_seconds_batch_1"
"""The timing of those cells that measured it (bench/training/evaluation/cost.py)."""
STATUSES = ("done", "failed", "skipped", "missing")
"""Of a cell; a cell without a record is missing."""
RECORDED = STATUSES[:-1]


def _is_plain_object(value: dict[str, Any]) -> dict[str, Any]:
    if not is_plain(value):
        raise ValueError("not finite, or nested too deeply")
    return value


def _is_id(text: str) -> str:
    if not is_cell_id(text):
        raise ValueError("not an id")
    return text


def _is_metric_name(name: str) -> str:
    if name in RESULT_COLUMNS or {*":@"} & {*name}:
        raise ValueError("not the name of a metric")
    return name


def _is_headline(values: dict[str, Any]) -> dict[str, Any]:
    if taken := values.keys() & set(RESULT_COLUMNS):
        raise ValueError(f"{min(taken)}: the name of a column, not of a metric")
    return values


def _are_timings(timings: dict[str, Any]) -> dict[str, Any]:
    for name, value in timings.items():
        if name in CELL_COLUMNS or not (
            isinstance(value, str) if name == "host" else is_duration(value)
        ):
            raise ValueError(f"{truncated(name)}: not a duration in seconds")
    return timings


_NOT_A_NUMBER = "Input should be a number"


def _is_float(value: Any) -> Any:
    if isinstance(value, int):
        raise PydanticCustomError("number", _NOT_A_NUMBER)
    return value


def _number_schema(source: Any, handler: Any) -> core_schema.CoreSchema:
    """Accept a number, or the text of one that is not finite, with one error for all kinds.

    A float's schema takes integers too, so it is bounded like that of integers. Larger floats are
    rare, and have a schema with a check, which takes longer than all else.
    """
    large = core_schema.float_schema(gt=-VALUE_BOUND, lt=VALUE_BOUND, allow_inf_nan=False)
    kinds: list[core_schema.CoreSchema | tuple[core_schema.CoreSchema, str]] = [
        core_schema.float_schema(gt=-INTEGER_BOUND, lt=INTEGER_BOUND, allow_inf_nan=False),
        core_schema.int_schema(gt=-INTEGER_BOUND, lt=INTEGER_BOUND),
        core_schema.literal_schema(["nan", "inf", "-inf"]),
        core_schema.no_info_before_validator_function(_is_float, large),
    ]
    return core_schema.union_schema(
        kinds, custom_error_type="number", custom_error_message=_NOT_A_NUMBER
    )


Integer = Annotated[int, Field(gt=-INTEGER_BOUND, lt=INTEGER_BOUND)]
Name = Annotated[str, Field(max_length=MAX_NAME_LENGTH)]
Number = Annotated[float | int | str, GetPydanticSchema(_number_schema)]
# A hostile file may hold millions of errors, each of which takes a hundred times its memory.
_first_error = FailFast()
Values = Annotated[dict[Name, Number], _first_error]
PlainObject = Annotated[dict[str, Any], AfterValidator(_is_plain_object)]
CellId = Annotated[str, AfterValidator(_is_id)]
OODName = Annotated[str, Field(max_length=MAX_NAME_LENGTH - len("ood:"))]
MetricName = Annotated[Name, AfterValidator(_is_metric_name)]
# Entries that a later version adds are kept.
_open = with_config(ConfigDict(strict=True, extra="allow"))


@_open
class EvaluationSetModel(TypedDict):
    """A student's values on one evaluation set, by `metric` or `metric:score`."""

    set: Name
    shift: Name
    severity: Integer
    values: Values


@_open
class RecordModel(TypedDict):
    """The record of a cell; `curves` and `history` are checksums of files, empty without one."""

    id: str
    dataset: str
    method: str
    seed: Integer
    status: Literal["done", "failed", "skipped"]
    reason: str
    details: NotRequired[str]
    parameters: PlainObject
    recipe: PlainObject
    teacher: str
    commit: str
    finished: str
    headline: Annotated[Values, AfterValidator(_is_headline)]
    sets: Annotated[list[EvaluationSetModel], _first_error]
    timings: Annotated[dict[str, Any], AfterValidator(_are_timings)]
    environment: PlainObject
    curves: str
    # Older versions wrote none.
    history: NotRequired[str]
    # Files that the cell had in the run that it was copied from.
    left_out: NotRequired[Annotated[list[Name], _first_error]]


@_open
class CellModel(TypedDict):
    """A cell as run.json describes it; older versions did not write `code` and `data`."""

    dataset: Name
    method: Name
    label: Name
    seed: Integer
    measured: Name
    protocol: str
    parameters: PlainObject
    code: NotRequired[str]
    data: NotRequired[str]


@_open
class MetricModel(TypedDict):
    """What tables must know of a metric."""

    better: Literal["", "higher", "lower"]
    headline: bool
    summary: NotRequired[str]
    task: NotRequired[str]


@_open
class MethodModel(TypedDict):
    """What tables must know of a method."""

    name: str
    reference: bool


@_open
class ManifestModel(TypedDict):
    """run.json: what was asked for, with the last command and remarks on the data."""

    command: NotRequired[str]
    cells: Annotated[dict[CellId, CellModel], Field(max_length=MAX_CELLS), _first_error]
    recipes: Annotated[dict[str, PlainObject], _first_error]
    ood: Annotated[dict[str, Annotated[dict[OODName, str], _first_error]], _first_error]
    remarks: NotRequired[Annotated[dict[str, Annotated[list[str], _first_error]], _first_error]]
    metrics: Annotated[dict[MetricName, MetricModel], _first_error]
    methods: Annotated[list[MethodModel], _first_error]


# Made when first needed: it takes longer than most commands' other imports.
@functools.cache
def _records() -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[RecordModel, AfterValidator(_is_timed)])


@functools.cache
def _manifests() -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[ManifestModel, AfterValidator(_is_consistent)])


def _is_timed(record: Mapping[str, Any]) -> Mapping[str, Any]:
    if record["status"] == "done" and "seconds" not in record["timings"]:
        raise ValueError("timings: seconds is missing")
    return record


def _is_consistent(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    cells = manifest["cells"].values()
    if without := {cell["dataset"] for cell in cells} - manifest["recipes"].keys():
        raise ValueError(f"recipes: {truncated(min(without))} is missing")
    if len({(cell["dataset"], cell["label"], cell["seed"]) for cell in cells}) < len(cells):
        raise ValueError("cells: two have the same dataset, label and seed")
    return manifest


_FORMAT_ENTRY = f'"format":{FORMAT}'.encode()
"""In every record that this version writes; without it, parsing in one step would fail."""


def parse_record(text: bytes, cell_id: str) -> dict[str, Any]:
    """Return a cell's record in the present format.

    Raises:
        ValueError: why the text is not this cell's record.
    """
    if _FORMAT_ENTRY not in text:
        return _parse_record_in_steps(text, cell_id)
    try:
        record: dict[str, Any] = _records().validate_json(text)
    except ValidationError:
        return _parse_record_in_steps(text, cell_id)
    _check_origin(record, text, cell_id)
    return record if record["format"] == FORMAT else _parse_record_in_steps(text, cell_id)


def _parse_record_in_steps(text: bytes, cell_id: str) -> dict[str, Any]:
    """Do the same for an older format, or say what is wrong."""
    try:
        record = parse_json(text)
    except ValueError:
        raise ValueError("damaged: not JSON; it may end too early") from None
    if not isinstance(record, dict):
        raise ValueError("not a record")
    _check_origin(record, text, cell_id)
    try:
        upgraded: dict[str, Any] = _records().validate_python(upgrade_record(record))
    except ValidationError as error:
        raise ValueError(_reason(error)) from None
    return upgraded


def _check_origin(record: Mapping[str, Any], text: bytes, cell_id: str) -> None:
    """Check format, checksum and id: whether the record is what was written for the cell."""
    if (number := record.get("format")) not in READABLE:
        is_named = isinstance(number, (int, str))
        written = f"format {number!r}" if is_named else "without a format"
        raise ValueError(f"{written}; this version reads {' and '.join(map(str, READABLE))}")
    if not RECORD_CHECKSUM.matches(text):
        raise ValueError("damaged: its checksum is wrong")
    if record.get("id") != cell_id:
        raise ValueError(f"holds {record.get('id')!r}, but its name is that of another cell")


def parse_manifest(text: bytes) -> dict[str, Any]:
    """Return what run.json holds; its format is the one in which it was written.

    Raises:
        ValueError: why the text is not a run's description.
    """
    try:
        manifest: dict[str, Any] = _manifests().validate_json(text)
    except ValidationError:
        manifest = _parse_manifest_in_steps(text)
    if manifest.get("format") not in READABLE:
        raise ValueError(_other_format())
    # Older versions wrote no checksum.
    if manifest.pop("sum", None) is not None and not MANIFEST_CHECKSUM.matches(text):
        raise ValueError("damaged: its checksum is wrong")
    return manifest


def _parse_manifest_in_steps(text: bytes) -> dict[str, Any]:
    """Do the same where it fails, to say what is wrong."""
    try:
        manifest = parse_json(text)
    except ValueError as error:
        raise ValueError(f"not readable as JSON ({error})") from None
    if not isinstance(manifest, dict) or manifest.get("format") not in READABLE:
        raise ValueError(_other_format())
    try:
        validated: dict[str, Any] = _manifests().validate_python(manifest)
    except ValidationError as error:
        raise ValueError(f"not a run's description ({_reason(error)})") from None
    return validated


def _other_format() -> str:
    return f"not a run's description of format {' or '.join(map(str, READABLE))}"


def _reason(error: ValidationError) -> str:
    """Return the first error in one line: `sets.0.values.nll: should be a number`."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    message = "is missing" if first["type"] == "missing" else message
    location = truncated(".".join(map(str, first["loc"])), 200)
    return f"{location}: {message}" if location else message
