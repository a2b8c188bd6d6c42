"""Values found and changed in the file's own bytes, against the protobuf library; and nothing but BadModel on what is no file."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from tests.line_models import FLOAT, constant, info, line_model, node, whole
from visiontune import BadModel
from visiontune.runtime.wire import (
    fields,
    scalars,
    tensors,
    with_attribute,
    with_metadata,
    with_scalars,
)

DATA = line_model()
BANDS = ("bands.review_from", "bands.reject_from")


def parsed(data):
    return onnx.load_from_string(data)


def values(data):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in parsed(data).graph.initializer}


def metadata(data):
    return {entry.key: entry.value for entry in parsed(data).metadata_props}


def test_initialisers_are_those_of_the_library():
    found = {tensor.name: tensor for tensor in tensors(DATA)}
    assert list(found) == [tensor.name for tensor in parsed(DATA).graph.initializer]
    for tensor in parsed(DATA).graph.initializer:
        mine = found[tensor.name]
        assert (mine.dtype, mine.shape) == (tensor.data_type, tuple(tensor.dims))
        assert DATA[mine.start : mine.end] == tensor.raw_data


def test_scalars_are_read_and_written_in_place():
    assert scalars(DATA, BANDS) == {name: float(values(DATA)[name]) for name in BANDS}
    other = with_scalars(DATA, {"bands.review_from": 0.125})
    assert len(other) == len(DATA)
    before, after = values(DATA), values(other)
    assert after.pop("bands.review_from") == np.float32(0.125) and before.pop("bands.review_from") != 0.125
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert parsed(other).graph.node == parsed(DATA).graph.node


@given(st.dictionaries(st.sampled_from(["visiontune.card", "visiontune.sha256"]), st.text(), min_size=1))
def test_metadata_of_any_length_takes_the_old_ones_place(texts):
    other = with_metadata(DATA, texts)
    assert metadata(other) == {**metadata(DATA), **texts}
    assert parsed(other).graph == parsed(DATA).graph
    assert parsed(other).opset_import == parsed(DATA).opset_import


def test_metadata_that_is_not_there_is_refused():
    with pytest.raises(BadModel, match="colour"):
        with_metadata(DATA, {"colour": "blue"})
    twice = parsed(DATA)
    twice.metadata_props.add(key="visiontune.card", value="{}")
    with pytest.raises(BadModel, match=r"once, found visiontune\.card, visiontune\.card"):
        with_metadata(twice.SerializeToString(), {"visiontune.card": "{}"})


def test_attributes_are_changed_in_every_node_of_the_type():
    other = parsed(with_attribute(DATA, "Resize", "antialias", 0))
    for old, new in zip(parsed(DATA).graph.node, other.graph.node, strict=True):
        for one, two in zip(old.attribute, new.attribute, strict=True):
            changed = old.op_type == "Resize" and one.name == "antialias"
            assert (one.i, two.i) == (1, 0) if changed else one == two


@pytest.mark.parametrize(
    ("operator", "attribute"), [("Resize", "colour"), ("Sing", "antialias"), ("Resize", "mode")]
)
def test_attributes_that_are_not_there_are_refused(operator, attribute):
    with pytest.raises(BadModel, match=attribute):
        with_attribute(DATA, operator, attribute, 0)


def model_with(tensor, *more):
    graph = helper.make_graph(
        [node("Identity", ["x"], "y")], "g", [info("x", FLOAT, [1])], [info("y", FLOAT, [1])], [tensor, *more]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()


@pytest.mark.parametrize(
    "initialisers",
    [
        [constant("other", np.float32(1))],
        [constant("edge", np.float32(1))] * 2,
        [constant("edge", np.float64(1))],
        [constant("edge", np.zeros(2, np.float32))],
        [helper.make_tensor("edge", FLOAT, [], [1.0])],  # in float_data, not in raw bytes
    ],
)
def test_what_is_no_single_float32_is_refused(initialisers):
    with pytest.raises(BadModel, match="'edge' once"):
        scalars(model_with(*initialisers), ("edge",))


def test_shapes_packed_and_one_by_one():
    tensor = constant("edge", np.zeros((3, 200), np.float32))
    one_by_one = model_with(tensor)
    (found,) = tensors(one_by_one)
    assert found.shape == (3, 200)
    packed = onnx.TensorProto(name="edge", data_type=FLOAT, raw_data=b"1234").SerializeToString()
    packed = b"\x0a\x03\x03\xc8\x01" + packed  # dims, as other writers pack them
    graph = b"\x2a" + bytes([len(packed)]) + packed
    (found,) = tensors(b"\x3a" + bytes([len(graph)]) + graph)
    assert (found.name, found.shape) == ("edge", (3, 200))


@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_refused(data):
    try:
        found = list(fields(data))
    except BadModel:
        return
    assert [field.key for field in found] == [0, *(field.end for field in found)][: len(found)]
    assert not data or found[-1].end == len(data)


@settings(max_examples=300)
@given(st.integers(0, len(DATA) - 1), st.integers(0, 255))
def test_a_damaged_file_raises_nothing_but_bad_model(at, value):
    damaged = DATA[:at] + bytes([value]) + DATA[at + 1 :]
    for work in (
        lambda: scalars(damaged, BANDS),
        lambda: list(tensors(damaged)),
        lambda: with_metadata(damaged, {"visiontune.card": ""}),
        lambda: with_attribute(damaged, "Resize", "antialias", 0),
    ):
        try:
            work()
        except BadModel as error:
            assert "\n" not in str(error)


def test_a_cut_file_is_refused():
    for end in range(len(DATA) - 1, 0, -131):
        with pytest.raises(BadModel):
            with_metadata(DATA[:end], {"visiontune.card": "", "visiontune.sha256": ""})


def test_the_oracle_is_a_sound_model():
    whole(parsed(DATA).graph)
