"""How the page writes numbers and names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from unicodedata import east_asian_width

SPACE = "\N{NO-BREAK SPACE}"


def percent(share: float) -> str:
    """A share 0..1 as "0.93 %", "12.4 %"; two decimals below ten per cent, one above."""
    scaled = 100 * share
    if scaled in (0, 100):
        return f"{scaled:.0f}{SPACE}%"
    return f"{scaled:.{2 if scaled < 9.995 else 1}f}{SPACE}%"


def at_most(share: float) -> str:
    """An upper bound, rounded up: what is printed still holds."""
    step = 1e4 if share < 0.0999 else 1e3
    return percent(min(1.0, math.ceil(share * step - 1e-9) / step))


def at_least(share: float) -> str:
    """A lower bound, rounded down."""
    step = 1e4 if share < 0.0999 else 1e3
    return percent(max(0.0, math.floor(share * step + 1e-9) / step))


def asked(share: float) -> str:
    """A rate as a person stated it: 0.01 is "1 %"."""
    return f"{100 * share:.4g}{SPACE}%"


def whole(number: int) -> str:
    """A count with its thousands set apart."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def counted(number: int, one: str, many: str = "") -> str:
    """A count with its noun: "1 part", "2 parts"."""
    return f"{whole(number)} {one if number == 1 else many or one + 's'}"


def moment(created: str) -> str:
    """An ISO 8601 time as "2026-01-31 12:00 UTC"; any other text as it is."""
    try:
        when = datetime.fromisoformat(created)
    except ValueError:
        return created
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if when.tzinfo else created


def printable(text: object) -> str:
    """A foreign name with what would break a line, the direction of reading or an encoding written as \\n, \\x1b, \\udc80."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in str(text)
    )


def wide_letters(text: str) -> int:
    """How many letters are drawn twice as wide as others, as those of Chinese, Japanese and Korean are."""
    return sum(east_asian_width(letter) in "WF" for letter in text)


def shortened(text: object, limit: int = 24) -> str:
    """A printable name of at most `limit` letters; the middle goes, as names often differ at the end."""
    name = printable(text)
    if len(name) <= limit:
        return name
    front = (limit - 1) * 2 // 3
    return f"{name[:front]}…{name[front + 1 - limit :]}"


def flattened(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as rows (name, value): `unfreeze.head`, `policy.steps[2]`."""
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            rows += flattened(value, f"{prefix}{name}.")
        elif isinstance(value, (list, tuple)) and any(isinstance(item, Mapping) for item in value):
            rows += [(f"{prefix}{name}[{place}]", plain(item)) for place, item in enumerate(value)]
        else:
            rows.append((f"{prefix}{name}", plain(value)))
    return [(printable(name), printable(value)) for name, value in rows]


def plain(value: Any) -> str:
    """One setting for people: `Affine(rotate=[-2, 2], p=0.8)` for an augmentation step, "-" for None."""
    if isinstance(value, Mapping):
        head = str(value.get("transform", ""))
        inside = value.get("params", value) if head else value
        return f"{head}({', '.join(f'{name}={plain(item)}' for name, item in dict(inside).items())})"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(plain(item) for item in value)}]"
    if isinstance(value, float):
        return f"{value:g}"
    return "-" if value is None else str(value)
