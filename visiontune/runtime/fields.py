"""Typed reading of JSON values: the value in its exact type, or a BadModel that names the field."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from visiontune.runtime.errors import BadModel


def refuse(where: str, expected: str, value: object) -> NoReturn:
    """Raises the BadModel that all others here raise."""
    shown = repr(value)
    shown = shown if len(shown) <= 80 else shown[:79] + "…"
    raise BadModel(f"{where}: expected {expected}, found {shown}; correct it or export the model again")


def keys(value: object, names: Iterable[str], where: str) -> Mapping[str, Any]:
    """`value` as a mapping that has exactly the keys `names`."""
    names = tuple(names)
    if not isinstance(value, Mapping):
        refuse(where, f"an object with {', '.join(names)}", value)
    if missing := [name for name in names if name not in value]:
        raise BadModel(f"{where}: {', '.join(missing)} missing; export the model again")
    if unknown := [str(name) for name in value if name not in names]:
        raise BadModel(
            f"{where}: unknown field {', '.join(unknown)}; it has {', '.join(names)}; upgrade visiontune"
        )
    return value


def text(value: object, where: str) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        refuse(where, "a text", value)
    return value


def whole(value: object, where: str, *, least: int | None = None) -> int:
    """A whole number, at least `least`; True is none."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, np.integer))
        or (least is not None and value < least)
    ):
        refuse(where, "a whole number" + ("" if least is None else f" >= {least}"), value)
    return int(value)


def real(value: object, where: str, *, above: float | None = None) -> float:
    """A finite number, greater than `above`; True is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        refuse(where, "a number", value)
    number = float(value)
    if not math.isfinite(number) or (above is not None and number <= above):
        refuse(where, "a finite number" + ("" if above is None else f" > {above:g}"), value)
    return number


def items(value: object, where: str, *, count: int | None = None) -> Sequence[Any]:
    """A list (or tuple), of `count` items if that is given."""
    if not isinstance(value, (list, tuple)) or (count is not None and len(value) != count):
        refuse(where, "a list" + ("" if count is None else f" of {count}"), value)
    return value


def reals(
    value: object, where: str, *, count: int | None = None, above: float | None = None
) -> tuple[float, ...]:
    """A list of finite numbers."""
    return tuple(real(item, where, above=above) for item in items(value, where, count=count))


def size(value: object, where: str) -> tuple[int, int]:
    """(height, width) in pixels."""
    height, width = (whole(side, where, least=1) for side in items(value, where, count=2))
    return height, width


def plain(value: object, where: str) -> Any:
    """A copy in plain JSON types: dict with text keys, list, str, int, float, bool, None; no NaN, nothing else."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, np.generic):
        return plain(value.item(), where)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return real(value, where)
    if isinstance(value, (list, tuple)):
        return [plain(item, where) for item in value]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: plain(item, f"{where}.{name}") for name, item in value.items()}
    refuse(where, "plain JSON values", value)


def plain_object(value: object, where: str) -> dict[str, Any]:
    """A copy of the mapping `value` in plain JSON types."""
    if not isinstance(value, Mapping):
        refuse(where, "an object", value)
    copy: dict[str, Any] = plain(value, where)
    return copy
