"""A comparison of two models as a table for people: what changed in numbers, the flipped pictures, go or no-go."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from visiontune.runtime.comparison import Comparison, Paired
from visiontune.runtime.flips import CHANGES, Flip

MOST = 20  # flips that are shown; pictures on which only the kind differs are counted


def table(compared: Comparison, *, root: Path | None = None, notes: str = "") -> str:
    """The comparison in lines of text; file names are those below `root`, `notes` stand below the heading."""
    sure = f"{compared.confidence:.0%}"
    several = compared.groups < compared.n
    unit = f"pictures in {compared.groups} parts (groups)" if several else "parts"
    sorts = compared.good is None
    new = compared.new_escapes
    lines = [f"{compared.n} {unit}, judged by both models; exact {sure} bounds, for independent parts"]
    lines += [notes] if notes else []
    lines += [
        "",
        f"{'parts':<18} {'of':>7} {'old':>7} {'new':>7} {'newly':>7} {'no longer':>10}   McNemar p",
        _row("wrong kind passed" if sorts else "escapes", compared.escapes),
        _row("not passed" if sorts else "overkill + review", compared.held),
        _row("wrong decisions", compared.decisions),
        "",
        f"new {'wrong kinds' if sorts else 'escapes'}: {new.hits} of {new.of} {'parts' if sorts else 'defective parts'}; "
        f"at most {100 * new.upper:.2f}% certified, one-sided",
        "",
        *_flips(compared, root),
        "",
        "GO: NEW may replace OLD" if compared.go else f"NO-GO: {'; '.join(compared.reasons)}",
    ]
    return "\n".join(lines)


def _row(name: str, found: Paired) -> str:
    return f"{name:<18} {found.of:>7} {found.old:>7} {found.new:>7} {found.worse:>7} {found.better:>10}   {found.p:.2g}"


def _flips(compared: Comparison, root: Path | None) -> list[str]:
    if not compared.flips:
        return ["no picture is judged otherwise"]
    counts = Counter(flip.change for flip in compared.flips)
    said = ", ".join(f"{change} {counts[change]}" for change in CHANGES if change in counts)
    lines = [f"flipped decisions: {compared.flipped} of {compared.n} pictures ({said})"]
    lines += [_flip(flip, root) for flip in compared.flips[: min(MOST, compared.flipped)]]
    more = len(compared.flips) - min(MOST, compared.flipped)
    return lines + ([f"  and {more} more (all of them with --json)"] if more > 0 else [])


def _flip(flip: Flip, root: Path | None) -> str:
    path = Path(flip.path)
    shown = path.relative_to(root) if root is not None and path.is_relative_to(root) else path
    verdicts = f"{flip.old} ({flip.old_kind}) -> {flip.new} ({flip.new_kind})"
    group = "" if flip.group in (shown.as_posix(), flip.path) else f"  part {flip.group}"
    return f"  {flip.change:<18}  {flip.label}: {verdicts}  {shown.as_posix()}{group}"
