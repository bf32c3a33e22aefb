"""Whether code is still that of its source; otherwise values would be attributed to other code.

There are two checks. Functions are compared with what their files compile to, whoever replaced
them and when. Everything else (attributes of classes, constants, registries) is compared with what
it was before a plugin was imported. Neither check sees what a plugin changes in libraries.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import FOLDERS, PACKAGE, ROOT
from distillation_bench.bench.planning.plugins.source_files import is_installed, is_of_suite

State = dict[tuple[str, str], tuple[Any, ...]]
"""By owner and attribute, the objects that have to stay the same."""


@contextlib.contextmanager
def refuse_changes(plugin: str, other_modules: Collection[str] = ()) -> Iterator[None]:
    """Refuse a plugin that changes this suite or other plugins' modules when it is imported.

    Args:
        plugin: named in the message.
        other_modules: the modules of other plugins.

    Raises:
        UsageError: the plugin changed something that is not its own.
    """
    loaded = {name for name, _ in _suite_modules()}
    before = _state(other_modules)
    yield
    after = _state(other_modules)
    owners = {owner for owner, _ in before}
    changed = [key for key, value in before.items() if not _is_same(value, after.get(key))]
    changed += [key for key in after.keys() - before.keys() if key[0] in owners]
    names = [".".join(filter(None, key)) for key in changed] or list(_foreign_functions(loaded))
    if names:
        raise UsageError(
            f"{plugin}: changes {min(names, key=_definition_first)}, which it does not define: "
            "values would be recorded as those of other code; derive a class of your own instead"
        )


def _definition_first(name: str) -> tuple[bool, int, str]:
    """Sort key of the names of one object: where it is defined before where it is imported."""
    return name.startswith(f"{PACKAGE}.bench."), len(name), name


def require_source(cls: type, base: type, plugin_files: Collection[str]) -> None:
    """Check that the functions of a class and of its ancestors are those of their source.

    Args:
        cls: the class of a method or a dataset.
        base: the ancestor at which the check ends; its own functions are not checked.
        plugin_files: of the plugin that the class belongs to, if it does.

    Raises:
        UsageError: a function is not the one in the source.
    """
    for ancestor in cls.__mro__:
        if issubclass(ancestor, base) and ancestor is not base:
            for name in _replaced_functions(ancestor, plugin_files):
                raise UsageError(
                    f"{ancestor.__module__}.{ancestor.__qualname__}.{name} differs from its "
                    "source: it was replaced after the import"
                )


# Functions


def _replaced_functions(cls: type, plugin_files: Collection[str]) -> Iterator[str]:
    """Yield the names of a class's functions that are not, or no longer, those of its source."""
    module = sys.modules.get(cls.__module__)
    is_checked = module is not None and is_of_suite(cls.__module__)
    expected = _functions_in_source(cls, module) if is_checked else {}
    for name, codes in expected.items():
        if not _is_compiled_from(vars(cls).get(name), codes):
            yield name
    files = {*plugin_files, getattr(module, "__file__", None)}
    for name in vars(cls).keys() - expected.keys():
        functions = functions_of(vars(cls)[name])
        if any(not _may_be_shared(function.__code__, files) for function in functions):
            yield name


def _functions_in_source(cls: type, module: ModuleType | None) -> dict[str, list[CodeType]]:
    """Return the code of a class's functions in its module's source.

    It is empty for a class that a function made.
    """
    member: Any = functools.reduce(_class_in, cls.__qualname__.split("."), module)
    if member is not cls:
        return {}
    prefix = f"{cls.__qualname__}."
    return {
        name.removeprefix(prefix): codes
        for name, codes in _codes(module).items()
        if name.rpartition(".")[0] == cls.__qualname__
    }


def _is_compiled_from(value: Any, codes: Collection[CodeType]) -> bool:
    """Return whether an attribute is a function of this code, which a library may have wrapped."""
    actual = [function.__code__ for function in functions_of(value)]
    others = [code for code in actual if code not in codes]
    return len(others) < len(actual) and all(_is_of_a_library(code) for code in others)


def _may_be_shared(code: CodeType, files: Collection[str | None]) -> bool:
    """Return whether a class may have a function that its own source does not define."""
    file = code.co_filename
    return file in files or _is_of_a_library(code) or _is_in_suite(Path(file))


def _is_in_suite(path: Path) -> bool:
    """Return whether a file is one of this suite's, in a clone or installed."""
    return any(path.resolve().is_relative_to(ROOT / folder) for folder in FOLDERS)


def _is_of_a_library(code: CodeType) -> bool:
    """Return whether a function is of an installed library, or generated as for a dataclass."""
    path = Path(code.co_filename)
    return code.co_filename.startswith("<") or (is_installed(path) and not _is_in_suite(path))


def _foreign_functions(already_checked: Collection[str]) -> Iterator[str]:
    """Yield functions of this suite's other modules that are not those of their files."""
    for module_name, module in _suite_modules():
        if module_name in already_checked:
            continue
        for name, codes in _codes(module).items():
            outer, _, attribute = name.rpartition(".")
            owner = functools.reduce(_class_in, outer.split(".") if outer else [], module)
            value = vars(owner).get(attribute) if owner is not None else None
            if value is not None and not _is_compiled_from(value, codes):
                yield f"{module_name}.{name}"


def _class_in(owner: Any, name: str) -> Any:
    """Return a class of a module or a class; None if there is none."""
    value = vars(owner).get(name) if owner is not None else None
    return value if isinstance(value, type) else None


@functools.cache
def _codes(module: ModuleType) -> dict[str, list[CodeType]]:
    """Return what the functions of a module's file compile to, by qualified name.

    Functions within functions are left out.
    """
    loader: Any = getattr(module.__spec__, "loader", None)
    code = loader.get_code(module.__name__) if hasattr(loader, "get_code") else None
    codes: dict[str, list[CodeType]] = {}
    waiting = [code] if code else []
    while waiting:
        for constant in waiting.pop().co_consts:
            if not isinstance(constant, CodeType) or "<" in constant.co_qualname:
                continue
            if constant.co_flags & inspect.CO_OPTIMIZED:
                codes.setdefault(constant.co_qualname, []).append(constant)
            else:
                waiting.append(constant)
    return codes


_WRAPPED = ("__wrapped__", "func", "wrapped")
"""What decorators call the function that they wrap: functools', cached properties, pydantic's."""
_MAX_DECORATORS = 20
"""The largest number of decorators of one function; two can wrap each other."""


def functions_of(value: Any) -> list[FunctionType]:
    """Return the functions that an attribute is made of: wrappers and what they wrap."""
    if isinstance(value, property):
        accessors = [function for function in (value.fget, value.fset, value.fdel) if function]
        return [function for accessor in accessors for function in functions_of(accessor)]
    functions: list[FunctionType] = []
    while value is not None and len(functions) < _MAX_DECORATORS:
        if isinstance(value, FunctionType):
            functions.append(value)
        value = _wrapped_by(value)
    return functions


def _wrapped_by(value: Any) -> Any:
    """Return what a decorator wrapped into a value; None if it wrapped nothing."""
    if isinstance(value, (staticmethod, classmethod)):
        return value.__func__
    if isinstance(value, type) or not type(value).__dictoffset__:
        return None
    # getattr would import a lazy module.
    attributes = object.__getattribute__(value, "__dict__")
    return next((attributes[name] for name in _WRAPPED if name in attributes), None)


# State


def _suite_modules() -> list[tuple[str, ModuleType]]:
    return [(name, module) for name, module in list(sys.modules.items()) if is_of_suite(name)]


def _state(other_modules: Collection[str]) -> State:
    """Return the state of the suite and of other modules, which has to stay the same."""
    state: State = {}
    others = [(name, sys.modules[name]) for name in other_modules if name in sys.modules]
    for module_name, module in [*_suite_modules(), *others]:
        for name, value in vars(module).items():
            if not name.startswith("__") and not isinstance(value, ModuleType):
                state[module_name, name] = _content(value)
                state |= _state_of(f"{module_name}.{name}", value, module_name)
    return state


def _state_of(name: str, value: Any, module: str) -> State:
    """Return the attributes of a class, the entries of a registry, or an object's content."""
    if isinstance(value, type):
        attributes = vars(value).items() if value.__module__ == module else ()
        return {
            (name, attribute): _content(content)
            for attribute, content in attributes
            if not attribute.startswith("__") or functions_of(content)
        }
    if isinstance(value, dict):
        state: State = {}
        for key, entry in value.items():
            entry_name = f"{name}[{key!r}]"
            state |= {(entry_name, ""): (entry,), **_state_of_object(entry_name, entry)}
        return state
    return _state_of_object(name, value)


def _state_of_object(name: str, value: Any) -> State:
    """Return the attributes that decide what an object of ours does; it may change its caches."""
    if isinstance(value, type) or not is_of_suite(type(value).__module__):
        return {}
    fields = getattr(type(value), "__dataclass_fields__", {})
    state: State = {(name, ""): (value,)}
    for attribute, content in getattr(value, "__dict__", {}).items():
        if attribute in fields or functions_of(getattr(type(value), attribute, None)):
            state[name, attribute] = _content(content)
    return state


def _content(value: Any) -> tuple[Any, ...]:
    """Return an object and what decides what it does: a list's items, a function's parts."""
    parts: list[Any] = [value]
    for function in functions_of(value):
        defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        variables = [_cell_content(cell) for cell in function.__closure__ or ()]
        parts += [function, function.__code__, *defaults, *variables]
    if isinstance(value, list):
        parts += value
    return tuple(parts)


def _cell_content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _is_same(before: tuple[Any, ...], after: tuple[Any, ...] | None) -> bool:
    """Return whether two states have the same objects."""
    if after is None or len(before) != len(after):
        return False
    return all(old is new for old, new in zip(before, after, strict=True))
