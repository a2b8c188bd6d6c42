"""Finds and changes single values of an ONNX file in protobuf's wire format, so that the line needs no protobuf library.

An ONNX file is one message, ModelProto: a list of fields, each a key (number and wire type), and a number or so many bytes;
bytes may be a message in turn (https://protobuf.dev/programming-guides/encoding). Only what is named here is read, everything
else is copied as it stands. Field numbers: onnx.proto of ONNX 1.15, which never reuses one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from visiontune.runtime.errors import BadModel

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
MODEL_GRAPH, MODEL_METADATA, ENTRY_KEY, ENTRY_VALUE = 7, 14, 1, 2
GRAPH_NODE, GRAPH_INITIALISER = 1, 5
NODE_TYPE, NODE_ATTRIBUTE, ATTRIBUTE_NAME, ATTRIBUTE_INT = 4, 5, 1, 3
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW = 1, 2, 8, 9
FLOAT = 1  # TensorProto.DataType


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its number, its wire type, where its key begins, and where its value begins and ends."""

    number: int
    kind: int
    key: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """One initialiser: name, ONNX data type, shape, and where its raw bytes begin and end (0, 0 if it has none)."""

    name: str
    dtype: int
    shape: tuple[int, ...]
    start: int
    end: int


def fields(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Field]:
    """The fields of the message that is data[start:end]. Raises BadModel where that is no message."""
    end = len(data) if end is None else end
    while start < end:
        key = start
        tag, start = _varint(data, start, end)
        kind, size = tag & 7, 0
        if kind == VARINT:
            size = _varint(data, start, end)[1] - start
        elif kind == BYTES:
            size, start = _varint(data, start, end)
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
        else:
            _torn(key)
        if start + size > end:
            _torn(key)
        yield Field(tag >> 3, kind, key, start, start + size)
        start += size


def scalars(data: bytes, names: Mapping[str, object] | tuple[str, ...]) -> dict[str, float]:
    """The values of float32 scalar initialisers. Raises BadModel unless the graph holds each exactly once, as 4 raw bytes."""
    return {name: struct.unpack_from("<f", data, at)[0] for name, at in _scalar_places(data, names).items()}


def with_scalars(data: bytes, values: Mapping[str, float]) -> bytes:
    """The file with other values in these float32 scalar initialisers, of the same length. Raises as `scalars`."""
    changed = bytearray(data)
    for name, at in _scalar_places(data, values).items():
        struct.pack_into("<f", changed, at, values[name])
    return bytes(changed)


def with_metadata(data: bytes, values: Mapping[str, str]) -> bytes:
    """The file with other texts under these metadata keys. Raises BadModel unless each key is there exactly once."""
    parts, begin, seen = [], 0, []
    for field in fields(data):
        if field.number != MODEL_METADATA or field.kind != BYTES:
            continue
        entry = {item.number: data[item.start : item.end] for item in fields(data, field.start, field.end)}
        key = entry.get(ENTRY_KEY, b"").decode("utf-8", "replace")
        if key in values:
            seen.append(key)
            inner = _bytes(ENTRY_KEY, key.encode()) + _bytes(ENTRY_VALUE, values[key].encode())
            parts += [data[begin : field.key], _bytes(MODEL_METADATA, inner)]
            begin = field.end
    if sorted(seen) != sorted(values):
        raise BadModel(
            f"expected each of the metadata keys {', '.join(values)} once, found {', '.join(seen)}"
        )
    return b"".join([*parts, data[begin:]])


def with_attribute(data: bytes, operator: str, attribute: str, value: int) -> bytes:
    """The file with `value`, 0..127, as the integer `attribute` of every node of type `operator` that states it.

    Raises BadModel if no node does, or one states a larger number.
    """
    changed, count = bytearray(data), 0
    for node in _inside_graph(data, GRAPH_NODE):
        found = list(fields(data, node.start, node.end))
        if not any(f.number == NODE_TYPE and data[f.start : f.end] == operator.encode() for f in found):
            continue
        for item in (f for f in found if f.number == NODE_ATTRIBUTE):
            inner = {f.number: f for f in fields(data, item.start, item.end)}
            name, number = inner.get(ATTRIBUTE_NAME), inner.get(ATTRIBUTE_INT)
            if name is None or data[name.start : name.end] != attribute.encode():
                continue
            if number is None or number.end - number.start != 1:
                raise BadModel(f"{operator}.{attribute}: expected a number below 128, found another value")
            changed[number.start] = value
            count += 1
    if not count:
        raise BadModel(f"expected a node {operator} with the attribute {attribute}, found none")
    return bytes(changed)


def tensors(data: bytes) -> Iterator[Tensor]:
    """The initialisers of the graph, in its order."""
    for found in _inside_graph(data, GRAPH_INITIALISER):
        name, dtype, shape, place = "", 0, [], (0, 0)
        for item in fields(data, found.start, found.end):
            if item.number == TENSOR_NAME:
                name = data[item.start : item.end].decode("utf-8", "replace")
            elif item.number == TENSOR_TYPE:
                dtype = _varint(data, item.start, item.end)[0]
            elif item.number == TENSOR_RAW:
                place = item.start, item.end
            elif item.number == TENSOR_DIMS:  # one by one, or packed into one field
                at = item.start
                while at < item.end:
                    side, at = _varint(data, at, item.end)
                    shape.append(side)
        yield Tensor(name, dtype, tuple(shape), *place)


def _inside_graph(data: bytes, number: int) -> Iterator[Field]:
    for graph in fields(data):
        if graph.number == MODEL_GRAPH and graph.kind == BYTES:
            yield from (f for f in fields(data, graph.start, graph.end) if f.number == number)


def _scalar_places(data: bytes, names: Mapping[str, object] | tuple[str, ...]) -> dict[str, int]:
    found: dict[str, list[Tensor]] = {name: [] for name in names}
    for tensor in tensors(data):
        if tensor.name in found:
            found[tensor.name].append(tensor)
    for name, some in found.items():
        sound = [t for t in some if t.dtype == FLOAT and t.shape in ((), (1,)) and t.end - t.start == 4]
        if len(some) != 1 or len(sound) != 1:
            raise BadModel(
                f"expected the initialiser {name!r} once, one float32 number; found {len(some)} of that name, "
                f"{len(sound)} of them such a number; export the model again"
            )
    return {name: some[0].start for name, some in found.items()}


def _bytes(number: int, value: bytes) -> bytes:
    """A field of wire type BYTES."""
    return _as_varint(number << 3 | BYTES) + _as_varint(len(value)) + value


def _as_varint(number: int) -> bytes:
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def _varint(data: bytes, start: int, end: int) -> tuple[int, int]:
    """The number that begins at `start`, and where it ends."""
    number = shift = 0
    for at in range(start, min(end, start + 10)):
        number |= (data[at] & 0x7F) << shift
        if data[at] < 0x80:
            return number, at + 1
        shift += 7
    _torn(start)


def _torn(at: int) -> NoReturn:
    raise BadModel(f"expected an ONNX file, found no such structure at byte {at}; export it again")
