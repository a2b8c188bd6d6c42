"""Understands the few lines of YAML that a YOLO `data.yaml` needs, and refuses what it does not understand.

The line installs no YAML library. Understood: top-level `key: value` with a plain or quoted text; lists and maps, either
in one line (`[a, b]`, `{0: a, 1: b}`, which may run over several lines) or as a block of `- a` or `0: a`; comments.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from visiontune.runtime.errors import BadData

Value = str | list[str] | dict[str, str]

_KEY = re.compile(r"([A-Za-z_][\w-]*)\s*:(?:\s+(.*))?")
_ENTRY = re.compile(r"(-?\w+|\"[^\"]*\"|'[^']*')\s*:(?:\s+(.*))?")
_ODD = "&*!|>%@`"  # anchors, aliases, tags, block texts: YAML that is not understood here


def parse(path: Path, keys: Collection[str]) -> dict[str, Value]:
    """The values of those `keys` that the file has; whatever stands under other keys is passed over.

    Raises BadData, with the line, where one of the keys holds YAML that is not understood.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadData(f"{path}: expected UTF-8, found another encoding; save it as UTF-8") from None
    found: dict[str, Value] = {}
    for number, key, block in _blocks(text):
        if key in keys:
            if key in found:
                raise BadData(f"{path} line {number}: expected {key!r} once, found it again; keep one")
            try:
                found[key] = _value(block)
            except ValueError as error:
                raise BadData(
                    f"{path} line {number}: expected a text, a list or a map for {key!r}, found {error}; write it plainly"
                ) from None
    return found


def _blocks(text: str) -> list[tuple[int, str, list[str]]]:
    """Line number, key and lines of each top-level entry; the first line is what follows the colon."""
    blocks: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        line = _without_comment(line).rstrip()
        match = _KEY.fullmatch(line)
        if match:
            blocks.append((number, match[1], [match[2] or ""]))
        elif line and blocks:
            blocks[-1][2].append(line)
    return blocks


def _without_comment(line: str) -> str:
    quote = ""
    for i, mark in enumerate(line):
        if quote:
            quote = "" if mark == quote else quote
        elif mark in "\"'" and (i == 0 or line[i - 1] in " ,[{:-"):
            quote = mark
        elif mark == "#" and (i == 0 or line[i - 1].isspace()):
            return line[:i]
    return line


def _value(block: list[str]) -> Value:
    first, rest = block[0].strip(), block[1:]
    if first[:1] in ("[", "{"):
        return _flow(" ".join([first, *(line.strip() for line in rest)]))
    if first:
        if rest:
            raise ValueError(f"more lines after {first!r}")
        return _text(first)
    lines = [line.strip() for line in rest]
    if len({len(line) - len(line.lstrip()) for line in rest}) > 1 or any("\t" in line for line in rest):
        raise ValueError("lines of different indentation")
    if lines and all(line.startswith("- ") for line in lines):
        return [_text(line[2:].strip()) for line in lines]
    matches = [_ENTRY.fullmatch(line) for line in lines]
    pairs = [(_text(match[1]), _text((match[2] or "").strip())) for match in matches if match]
    if len(pairs) < len(lines):
        raise ValueError(repr(next(line for line, match in zip(lines, matches, strict=True) if not match)))
    return _map(pairs) if pairs else ""


def _flow(text: str) -> Value:
    """A list or a map in one line."""
    if len(text) < 2 or (text[0], text[-1]) not in (("[", "]"), ("{", "}")):
        raise ValueError(f"brackets that do not close in {text!r}")
    entries = [entry.strip() for entry in _entries(text[1:-1])]
    if entries[-1] == "":  # nothing at all, or a comma that ends the list
        entries.pop()
    if text[0] == "[":
        return [_text(entry) for entry in entries]
    matches = [_ENTRY.fullmatch(entry) for entry in entries]
    pairs = [(_text(match[1]), _text((match[2] or "").strip())) for match in matches if match]
    if len(pairs) < len(entries):
        raise ValueError(repr(text))
    return _map(pairs)


def _entries(text: str) -> list[str]:
    """Splits at commas outside quotes; a quote opens only where a text begins."""
    entries, quote = [""], ""
    for mark in text:
        if quote:
            quote = "" if mark == quote else quote
        elif mark == ",":
            entries.append("")
            continue
        elif mark in "\"'" and (not entries[-1].strip() or entries[-1].rstrip().endswith(":")):
            quote = mark
        elif mark in "[]{}":
            raise ValueError(f"nested brackets in {text!r}")
        entries[-1] += mark
    return entries


def _map(pairs: list[tuple[str, str]]) -> dict[str, str]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def _text(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        if "\\" in text:
            raise ValueError(f"an escape in {text}")
        return text[1:-1]
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    odd = text[:1] and text[0] in _ODD + "\"'[]{},"
    if odd or text in ("-", "?") or ": " in text or text.endswith(":"):
        raise ValueError(repr(text))
    return text
