"""When a narrower file is worth it: the decision on given numbers, and the clock on graphs of known work."""

import io
from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console

from visiontune.tune.precisions import Precision, refusal, table, timings

FLOAT32 = Precision(precision="float32", size=44_000_000, p50_ms=10.0, p99_ms=12.0, pictures=400)
INT8 = Precision(precision="int8", size=11_000_000, p50_ms=4.0, p99_ms=5.0, pictures=400, difference=0.02)
FP16 = Precision(precision="fp16", size=22_000_000, p50_ms=10.0, p99_ms=12.0, pictures=400)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (INT8, None),
        (replace(INT8, p50_ms=10 / 1.3), None),
        (replace(INT8, p50_ms=7.8), "1.28 times as fast"),  # EfficientNet-B0 gains 1.15
        (replace(INT8, p50_ms=14.0), "0.71 times as fast"),  # MobileNetV3 becomes slower
        (replace(INT8, flips=4, reviewed=4), None),
        (
            replace(INT8, flips=5, reviewed=5),
            "5 of 400 pictures go to review that float32 decides, expected at most 1 %",
        ),
        (replace(INT8, flips=1, reviewed=1, pictures=16), None),
        (replace(INT8, flips=2, reviewed=2, pictures=16), "2 of 16"),
        (replace(INT8, flips=1, outside_review=1), "1 of 400 verdicts flip outside review"),
        (replace(INT8, worse="escapes: 3 % certified, 1 % before"), "a promise of the bands no longer holds"),
        (replace(INT8, strayed=20), None),
        (replace(INT8, strayed=21), "other places than that of float32 on 21 of 400 pictures"),
        (FP16, None),
        (replace(FP16, p50_ms=11.0), None),
        (replace(FP16, p50_ms=12.0), "0.83 times as fast"),
        (replace(FP16, size=30_000_000), "0.68 times the size"),
        (replace(FP16, flips=1, outside_review=1), "flip outside review"),
    ],
)
def test_the_decision(found, said):
    why = refusal(found, FLOAT32)
    assert why is None if said is None else said in why


def test_verdicts_count_before_speed():
    assert "outside review" in refusal(replace(INT8, outside_review=1, p50_ms=20.0), FLOAT32)


def repeated(times):
    """frames uint8 -> the same picture through `times` matrix products."""
    nodes = [helper.make_node("Cast", ["frames"], ["x0"], to=TensorProto.FLOAT)]
    nodes += [helper.make_node("MatMul", [f"x{i}", "w"], [f"x{i + 1}"]) for i in range(times)]
    x = helper.make_tensor_value_info("frames", TensorProto.UINT8, ["n", "h", "w", 3])
    y = helper.make_tensor_value_info(f"x{times}", TensorProto.FLOAT, None)
    graph = helper.make_graph(
        nodes, "g", [x], [y], [numpy_helper.from_array(np.eye(3, dtype=np.float32), "w")]
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8
    ).SerializeToString()


def test_the_clock_tells_more_work_from_less():
    found = timings({"one": repeated(1), "many": repeated(40)}, np.ones((64, 64, 3), np.uint8), rounds=30)
    assert 0 < found["one"][0] * 3 < found["many"][0]
    assert all(p50 <= p99 for p50, p99 in found.values())


def test_the_clock_stops_in_time_but_not_before_a_few_rounds(monkeypatch):
    from visiontune.tune import precisions

    calls = []
    monkeypatch.setattr(precisions, "once", lambda session, feed: calls.append(session) or 1.0)
    timings({"a": repeated(1)}, np.ones((8, 8, 3), np.uint8), rounds=500, seconds=0)
    assert len(calls) == precisions.FEWEST


def test_the_table_shows_every_figure_and_why_not():
    out = io.StringIO()
    slow = replace(INT8, p50_ms=9.0)
    Console(file=out, width=200).print(table((FLOAT32, FP16, slow)))
    text = out.getvalue()
    assert "44.00" in text and "11.00" in text and "400 val pictures" in text
    assert "no: 1.11 times as fast as float32 on this PC, expected at least 1.3" in text
    assert "yes" in text.split("int8")[0]
