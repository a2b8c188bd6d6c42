"""The seal: every changed bit is found, and sealing changes nothing but the digits."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontune import BadModel
from visiontune.runtime.seal import DIGITS, MARKER, PLACEHOLDER, check, digest, seal

surroundings = st.binary(max_size=200).filter(lambda data: MARKER not in data)


def unsealed(before: bytes, after: bytes) -> bytes:
    return before + PLACEHOLDER.encode() + after


@given(surroundings, surroundings)
def test_a_sealed_file_passes_and_differs_only_in_the_digits(before, after):
    data = unsealed(before, after)
    done = seal(data)
    assert len(done) == len(data)
    assert (
        check(done) == hashlib.sha256(data).hexdigest()
    )  # the oracle: hash of the file with zeros for digits
    start = len(before) + len(MARKER)
    assert done[:start] + b"0" * DIGITS + done[start + DIGITS :] == data
    assert seal(done) == done


@given(surroundings, surroundings, st.data())
def test_any_changed_bit_is_refused(before, after, data):
    done = bytearray(seal(unsealed(before, after)))
    bit = data.draw(st.integers(0, 8 * len(done) - 1))
    done[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadModel):
        check(bytes(done))


def test_upper_case_digits_are_refused():
    done = seal(unsealed(b"abc", b"def"))
    loud = done.replace(done[3 + len(MARKER) :][:DIGITS], done[3 + len(MARKER) :][:DIGITS].upper())
    assert loud != done
    with pytest.raises(BadModel, match="a damaged one"):
        check(loud)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "found none in 0 bytes"),
        (b"other people's onnx", "found none"),
        (PLACEHOLDER.encode()[:-1], "found a damaged one"),
        (PLACEHOLDER.encode() * 2, "found 2"),
    ],
)
@pytest.mark.parametrize("function", [digest, seal, check])
def test_refuses_anything_but_one_seal(function, data, found):
    with pytest.raises(BadModel, match=found):
        function(data)


def test_an_unfilled_seal_is_refused():
    with pytest.raises(BadModel, match="damaged or changed"):
        check(unsealed(b"a", b"b"))
