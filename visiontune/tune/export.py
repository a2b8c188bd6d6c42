"""Writes the one file that ships, after proving on real val pictures that it judges as the validated network did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
from onnx import helper

from visiontune.data.samples import Dataset
from visiontune.runtime.bands import Bands
from visiontune.runtime.card import KEY as CARD_KEY
from visiontune.runtime.card import ModelCard, Proof
from visiontune.runtime.errors import ExportRefused
from visiontune.runtime.golden import Golden, golden_frames
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.model import open_session
from visiontune.runtime.seal import KEY as SEAL_KEY
from visiontune.runtime.seal import PLACEHOLDER, seal
from visiontune.runtime.whole import whole
from visiontune.tune.calibrate import Judged
from visiontune.tune.graph import core_model, line_model
from visiontune.tune.net import Net

TOLERANCE = 1e-4  # largest severity difference between torch and the file that a proof accepts
GOLDEN_SEED, GOLDEN_FRAMES = 20_260_101, 2


def export(
    path: Path,
    net: Net,
    bands: Bands,
    card: ModelCard,
    *,
    val: Dataset,
    judged: Judged,
    roi: tuple[float, float, float, float] | None,
    core: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ModelCard:
    """Writes `path`, and `path` with .core.onnx beside it if `core`; gives the card with its proof.

    The file is written under a temporary name, opened by the Inspector and fed every val picture from its own file bytes.
    Raises ExportRefused, and leaves no file behind, if a verdict differs from torch's or a severity by more than 1e-4; the
    message names the worst picture.
    """
    body = core_model(net, card.input.size)
    model = line_model(body, net, bands, roi=roi)
    card = replace(card, golden=golden_answers(model.SerializeToString(), card.input.size))
    with whole(path) as draft:
        draft.write_bytes(sealed(model, card))
        proof = prove(Inspector(draft), val, judged, bands, progress=progress)
        card = replace(card, proof=proof)
        draft.write_bytes(sealed(model, card))
        Inspector(draft)  # the very bytes that ship must open, hash and all
    if core:
        with whole(path.with_suffix(".core.onnx")) as draft:
            draft.write_bytes(body.SerializeToString())
    return card


def sealed(model: onnx.ModelProto, card: ModelCard) -> bytes:
    """The file's bytes with card and hash inside."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    helper.set_model_props(whole, {CARD_KEY: card.to_json(), SEAL_KEY: PLACEHOLDER})
    return seal(whole.SerializeToString())


def golden_answers(graph: bytes, size: tuple[int, int]) -> Golden:
    """What the graph says of frames painted from a seed, to be asked again on the line's own machine.

    The frames are larger than the model's input by an odd factor, so that an engine that resizes otherwise is found out.
    """
    larger = (size[0] * 3 // 2 + 1, size[1] * 2 + 1)
    frames = golden_frames(GOLDEN_SEED, GOLDEN_FRAMES, larger)
    severity, kinds, decision = open_session(graph).run(["severity", "kinds", "decision"], {"frames": frames})
    return Golden(
        seed=GOLDEN_SEED,
        frames=GOLDEN_FRAMES,
        size=larger,
        severity=tuple(severity.tolist()),
        kinds=tuple(map(tuple, kinds.tolist())),
        decision=tuple(decision.tolist()),
    )


def prove(
    inspector: Inspector,
    val: Dataset,
    judged: Judged,
    bands: Bands,
    *,
    progress: Callable[[int], None] | None = None,
) -> Proof:
    """Judges every val picture from its file through the Inspector and compares with torch's severity and decision."""
    worst, worst_id, flips = 0.0, "", []
    for sample, severity in zip(val, judged.severity, strict=True):
        verdict = inspector(sample.path)
        difference = abs(verdict.severity - float(severity))
        if not difference <= worst:  # a NaN is the worst there is
            worst, worst_id = difference, sample.id
        if verdict.decision != bands.decide(float(severity)):
            flips.append(sample.id)
        if progress is not None:
            progress(1)
    if flips or not worst <= TOLERANCE:
        raise ExportRefused(
            f"the exported file does not judge as the validated network: {len(flips)} of {len(val)} verdicts differ"
            f"{f' (first: {flips[0]})' if flips else ''}, largest severity difference {worst:.2e} at {worst_id}; "
            f"expected none and at most {TOLERANCE:.0e}. No file was written"
        )
    return Proof(frames=len(val), max_severity_difference=worst, flips=0)
