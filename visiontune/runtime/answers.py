"""The closed vocabulary in which every exported model answers; the runtime knows these words and no tasks.

severity    (N,) float32, 0..1      calibrated risk that this frame must not simply pass
kinds       (N, C) float32, 0..1    probability per class, in the card's order
decision    (N,) int64              0 pass, 1 review, 2 reject: the card's bands applied to severity
heatmap     (N, h, w) float32 0..1  optional: where; it spans the card's region of interest
boxes       (N, K, 4) float32       optional, with the two below: x0, y0, x1, y1 in pixels of the frame
box_scores  (N, K) float32, 0..1    score of each box; 0 marks padding
box_kinds   (N, K) int64            class of each box, in the card's order

The one input is `frames`, uint8 (N, H, W, 3), RGB, any N, H and W.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from visiontune.runtime.errors import BadModel

DECISIONS = ("pass", "review", "reject")
INPUT = "frames"


@dataclass(frozen=True)
class Word:
    """One output that a model may give: its dtype as onnxruntime spells it, and its rank."""

    name: str
    dtype: str
    rank: int
    required: bool = False


FLOAT, INT = "tensor(float)", "tensor(int64)"
WORDS = (
    Word("severity", FLOAT, 1, required=True),
    Word("kinds", FLOAT, 2, required=True),
    Word("decision", INT, 1, required=True),
    Word("heatmap", FLOAT, 3),
    Word("boxes", FLOAT, 3),
    Word("box_scores", FLOAT, 2),
    Word("box_kinds", INT, 2),
)
BOX_WORDS = frozenset({"boxes", "box_scores", "box_kinds"})  # these come together or not at all


class Port(Protocol):
    """An input or output as `InferenceSession.get_inputs()` and `get_outputs()` describe it."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def type(self) -> str: ...  # noqa: D102
    @property
    def shape(self) -> list[Any]: ...  # noqa: D102


def check_inputs(ports: Iterable[Port]) -> None:
    """Raises BadModel unless the only input is `frames`, uint8 (N, H, W, 3) with free N, H and W."""
    found = list(ports)
    if len(found) != 1 or found[0].name != INPUT:
        raise BadModel(
            f"expected one input {INPUT!r}, found {_listed(port.name for port in found)}; export it again"
        )
    port = found[0]
    free = [isinstance(side, int) for side in port.shape[:3]] == [False] * 3
    if port.type != "tensor(uint8)" or not free or port.shape[3:] != [3]:
        raise BadModel(
            f"input {INPUT!r}: expected tensor(uint8) (N, H, W, 3) with N, H and W free, "
            f"found {port.type} {_shape(port)}; export it again"
        )


def check_outputs(ports: Iterable[Port], *, classes: int) -> tuple[str, ...]:
    """The names of the outputs in the order of WORDS; `classes` is the number of classes in the card.

    Raises BadModel for a word that is missing, unknown, of another dtype or shape, or boxes without their
    scores and kinds.
    """
    found = {port.name: port for port in ports}
    known = {word.name for word in WORDS}
    if unknown := [name for name in found if name not in known]:
        raise BadModel(
            f"outputs: expected only {_listed(sorted(known))}, found also {_listed(unknown)}; export it again"
        )
    if missing := [word.name for word in WORDS if word.required and word.name not in found]:
        raise BadModel(f"outputs: {_listed(missing)} missing, found {_listed(found)}; export it again")
    boxes = BOX_WORDS & found.keys()
    if boxes and boxes != BOX_WORDS:
        raise BadModel(
            f"outputs: expected {_listed(sorted(BOX_WORDS))} together, found only {_listed(sorted(boxes))}"
        )
    for word in WORDS:
        if word.name in found:
            _check_word(word, found[word.name], classes)
    return tuple(word.name for word in WORDS if word.name in found)


def _check_word(word: Word, port: Port, classes: int) -> None:
    if port.type != word.dtype or len(port.shape) != word.rank:
        raise BadModel(
            f"output {word.name!r}: expected {word.dtype} of rank {word.rank}, "
            f"found {port.type} {_shape(port)}; export it again"
        )
    last = {"kinds": classes, "boxes": 4}.get(word.name)
    if last is not None and isinstance(port.shape[-1], int) and port.shape[-1] != last:
        raise BadModel(f"output {word.name!r}: expected (…, {last}), found {_shape(port)}; export it again")


def _shape(port: Port) -> str:
    return "(" + ", ".join(str(side) for side in port.shape) + ")"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names) or "none"
