"""The seal: a sha256 of the model file inside that file, so that one flipped bit is noticed in time.

A file cannot hold its own hash, so the hash is taken over the file with the 64 hex digits of the seal
replaced by zeros. The seal is the text "visiontune-sha256:" and 64 lower-case hex digits; it stands exactly
once in the file, as the value of the ONNX metadata key "visiontune.sha256". It guards against damage and
mix-ups; whoever wants to forge a file can seal it anew.
"""

from __future__ import annotations

import hashlib
import re

from visiontune.runtime.errors import BadModel

KEY = "visiontune.sha256"
MARKER = b"visiontune-sha256:"
DIGITS = 64
PLACEHOLDER = (MARKER + b"0" * DIGITS).decode()  # the metadata value before sealing

# Upper-case digits are refused: 'a' and 'A' are one flipped bit apart.
SEAL = re.compile(re.escape(MARKER) + rb"([0-9a-f]{64})")


def digest(data: bytes) -> str:
    """The sha256, 64 hex digits, of `data` with its seal's digits zeroed. Raises BadModel without one seal."""
    start, end = _digits(data)
    view = memoryview(data)
    sha = hashlib.sha256(view[:start])
    sha.update(b"0" * DIGITS)
    sha.update(view[end:])
    return sha.hexdigest()


def seal(data: bytes) -> bytes:
    """`data` with its seal filled in, of the same length. Sealing twice changes nothing. Raises as `digest`."""
    start, end = _digits(data)
    return b"".join((data[:start], digest(data).encode(), data[end:]))


def check(data: bytes) -> str:
    """The digest, if it is the one that the seal states. Raises BadModel if not, or without exactly one seal."""
    start, end = _digits(data)
    stated, found = data[start:end].decode(), digest(data)
    if stated != found:
        raise BadModel(
            f"expected sha256 {stated[:12]}… as sealed at export, found {found[:12]}…: "
            "damaged or changed; copy it again from where it was exported"
        )
    return found


def _digits(data: bytes) -> tuple[int, int]:
    """Where the 64 digits of the only seal stand: start and end."""
    count = data.count(MARKER)
    match = SEAL.search(data)
    if count != 1 or match is None:
        found = "none" if count == 0 else "a damaged one" if count == 1 else f"{count}"
        raise BadModel(
            f"expected one visiontune seal, found {found} in {len(data)} bytes: "
            "cut short, or no model that visiontune exported; copy or export it again"
        )
    return match.span(1)
