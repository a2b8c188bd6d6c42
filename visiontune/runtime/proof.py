"""Repeats an export's proof on real pictures, wherever some of them are: the same files must get the same severity."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from visiontune.runtime.errors import BadFrame, BadModel
from visiontune.runtime.inspector import Inspector

DIGITS = 16  # of a picture's sha256 that the card keeps: enough to tell pictures apart


def fingerprint(path: Path) -> str:
    """The first 16 hex digits of the file's sha256. Raises BadFrame for a file that cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:DIGITS]
    except OSError as error:
        raise BadFrame(f"{path}: expected a readable file, found {error}; check its permissions") from error


def repeat(inspector: Inspector, pictures: Iterable[Path]) -> str:
    """Judges those of the pictures that the card's proof knows by their bytes; says what was seen.

    Raises BadModel if one gets another severity than at export, if none of them is known, or the card knows none.
    """
    proof = inspector.card.proof
    if proof is None or not proof.sha256:
        raise BadModel(
            "expected a proof that names its pictures, found none in the card; export the model again"
        )
    expected = dict(zip(proof.sha256, proof.severity, strict=True))
    worst, worst_path, known = 0.0, Path(), set()
    for path in pictures:
        name = fingerprint(path)
        if name not in expected:
            continue
        known.add(name)
        difference = abs(inspector(path).severity - expected[name])
        if not difference <= worst:
            worst, worst_path = difference, path
    if not known:
        raise BadModel(
            f"expected pictures of the proof ({proof.frames} of the val share), found none; name their folder"
        )
    seen = f"{len(known)} of {len(expected)} pictures of the proof, severity within {worst:.2g}"
    if not worst <= proof.tolerance:
        raise BadModel(
            f"{seen} (allowed {proof.tolerance:.2g}), worst {worst_path}; this machine does not judge as validated"
        )
    return seen
