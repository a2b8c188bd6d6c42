"""The vocabulary: what is missing, unknown or of another shape is refused by name."""

from types import SimpleNamespace

import pytest

from visiontune import BadModel
from visiontune.runtime.answers import WORDS, check_inputs, check_outputs


def port(name, kind, *shape):
    return SimpleNamespace(name=name, type=kind, shape=list(shape))


SPOKEN = {
    "severity": port("severity", "tensor(float)", "n"),
    "kinds": port("kinds", "tensor(float)", "n", 3),
    "decision": port("decision", "tensor(int64)", "n"),
    "heatmap": port("heatmap", "tensor(float)", "n", 7, 7),
    "boxes": port("boxes", "tensor(float)", "n", 10, 4),
    "box_scores": port("box_scores", "tensor(float)", "n", 10),
    "box_kinds": port("box_kinds", "tensor(int64)", "n", None),
}
REQUIRED = ("severity", "kinds", "decision")


def test_all_words_are_known_here():
    assert [word.name for word in WORDS] == list(SPOKEN)


@pytest.mark.parametrize("more", [(), ("heatmap",), ("boxes", "box_scores", "box_kinds"), tuple(SPOKEN)[3:]])
def test_gives_the_names_in_the_vocabularys_order(more):
    names = [*more, *REQUIRED]
    found = check_outputs([SPOKEN[name] for name in names], classes=3)
    assert found == (*REQUIRED, *(name for name in SPOKEN if name in more))


@pytest.mark.parametrize(
    ("changes", "classes", "said"),
    [
        ({"severity": None}, 3, "'severity' missing"),
        ({"boxes": SPOKEN["boxes"]}, 3, "together"),
        ({"logits": port("logits", "tensor(float)", "n", 3)}, 3, "'logits'"),
        ({}, 4, r"'kinds': expected \(…, 4\)"),
        ({"kinds": port("kinds", "tensor(double)", "n", 3)}, 3, r"found tensor\(double\)"),
        ({"severity": port("severity", "tensor(float)", "n", 1)}, 3, "rank 1"),
        ({"decision": port("decision", "tensor(int32)", "n")}, 3, "'decision'"),
        ({**SPOKEN, "boxes": port("boxes", "tensor(float)", "n", 10, 5)}, 3, "'boxes'"),
    ],
)
def test_refuses_other_words(changes, classes, said):
    spoken = {**{name: SPOKEN[name] for name in REQUIRED}, **changes}
    with pytest.raises(BadModel, match=said):
        check_outputs([found for found in spoken.values() if found], classes=classes)


@pytest.mark.parametrize(
    "ports",
    [
        [],
        [port("image", "tensor(uint8)", "n", "h", "w", 3)],
        [port("frames", "tensor(float)", "n", "h", "w", 3)],
        [port("frames", "tensor(uint8)", "n", 3, "h", "w")],
        [port("frames", "tensor(uint8)", "n", "h", "w", "c")],
        [port("frames", "tensor(uint8)", 1, "h", "w", 3)],
        [port("frames", "tensor(uint8)", "n", 224, 224, 3)],
        [port("frames", "tensor(uint8)", "n", "h", "w", 3), port("threshold", "tensor(float)")],
    ],
)
def test_refuses_other_inputs(ports):
    with pytest.raises(BadModel, match="frames"):
        check_inputs(ports)


def test_takes_frames_of_any_size():
    check_inputs([port("frames", "tensor(uint8)", "n", None, "w", 3)])
