"""Writes the one file that ships, after proving on real val pictures that it judges as the validated network did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import helper

from visiontune.data.fit import Fit
from visiontune.data.samples import Dataset
from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.bands import Bands
from visiontune.runtime.card import KEY as CARD_KEY
from visiontune.runtime.card import ModelCard, Proof
from visiontune.runtime.errors import BadModel, ExportRefused
from visiontune.runtime.golden import MOST_PIXELS, Golden, frame_sizes, golden_frames, hashes
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.model import open_session
from visiontune.runtime.proof import fingerprint
from visiontune.runtime.seal import KEY as SEAL_KEY
from visiontune.runtime.seal import PLACEHOLDER, check, seal
from visiontune.runtime.verdict import Verdict
from visiontune.runtime.whole import whole
from visiontune.tune.calibrate import Judged
from visiontune.tune.graph import core_model
from visiontune.tune.net import Net
from visiontune.tune.papers import by_pillow, for_core, for_viewers
from visiontune.tune.prove_boxes import prove_boxes, shown
from visiontune.tune.prove_heatmap import prove_heatmap
from visiontune.tune.reference import Witness, reference
from visiontune.tune.tiled_graph import whole_model
from visiontune.tune.tiled_net import TiledNet

TOLERANCE = 1e-4  # largest difference of severity and kinds between torch and the file that a proof accepts
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

    The file is written under a temporary name, opened by the Inspector and fed every val picture from its own file bytes, and
    painted frames of odd sizes; what torch says of them is the reference. Raises ExportRefused, and leaves no file behind, if
    a verdict differs from torch's, or a severity or a kind's probability by more than 1e-4, a heatmap (looked at on some of
    them) by more than 1e-3, or a box by more than 0.01 pixels or 1e-4 in score; the message names the picture.
    """
    if core and isinstance(net, TiledNet):
        raise ExportRefused(
            "core: expected a network of whole frames, found one of tiles, whose bare network leaves cutting and blending to the "
            "app; leave core out"
        )
    if core and net.head.suppression is not None:
        raise ExportRefused(
            "core: expected a network without boxes, found one whose bare network leaves suppression to the app; leave core out"
        )
    body = core_model(net, net.seen(card.input.size))
    model = whole_model(body, net, bands, roi=roi)
    graph = model.SerializeToString()
    golden, *probes = painted_answers(graph, card)
    prove_painted(net, card, (golden, *probes))
    prove_heatmap(graph, net, card, golden, val)
    prove_boxes(model, net, card.input, shown(golden, val, card.input))
    card = replace(card, golden=golden, probes=tuple(probes))
    with ExitStack() as files:
        draft = files.enter_context(whole(path))
        draft.write_bytes(sealed(model, card_metadata(card)))
        try:
            witness = Witness(Inspector(draft))
            proof = prove(witness, val, judged, bands, progress=progress)
            seen = reference(witness.severities, witness.looks, judged, sorts=card.good is None)
            card = replace(card, proof=proof, reference=seen)
            data = sealed(model, card_metadata(card))
            draft.write_bytes(data)
            Inspector(draft)  # the very bytes that ship must open, hash and all
        except BadModel as error:
            raise ExportRefused(f"the exported file does not open: {error}. No file was written") from error
        if core:
            beside = files.enter_context(whole(path.with_suffix(".core.onnx")))
            beside.write_bytes(core_file(body, card, check(data)))
    return card


def card_metadata(card: ModelCard) -> dict[str, str]:
    """The metadata of the file that ships."""
    return {CARD_KEY: card.to_json(), **for_viewers(card)}


def sealed(model: onnx.ModelProto, metadata: Mapping[str, str]) -> bytes:
    """The file's bytes with metadata and hash inside."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    helper.set_model_props(whole, {**metadata, SEAL_KEY: PLACEHOLDER})
    return seal(whole.SerializeToString())


def core_file(core: onnx.ModelProto, card: ModelCard, digest: str) -> bytes:
    """The bare network with what the app must do itself in its metadata. `digest` is of the file that it belongs to."""
    assert card.golden is not None
    fit, frames = Fit(card.input.size, card.input.roi), card.golden.paint()
    session = onnxruntime.InferenceSession(core.SerializeToString(), providers=["CPUExecutionProvider"])
    pictures = np.stack([by_pillow(frame, card) for frame in frames])
    severity, kinds = session.run(["severity", "kinds"], {"pictures": pictures})
    difference = card.golden.difference(severity, kinds)
    fitted = np.stack([fit(frame) for frame in frames])
    return sealed(core, for_core(card, digest, fitted=fitted, difference=difference))


def painted_answers(graph: bytes, card: ModelCard) -> list[Golden]:
    """What the graph says of frames painted from a seed, to be asked again on the line's own machine; one for each size.

    The first are larger than the model's input by an odd factor, so that an engine that resizes otherwise is found out at
    every opening; the other sizes try the resize in other directions. Of a model of large frames there is one first: opening it
    takes as long as judging it.
    """
    session = open_session(graph)
    found: list[Golden] = []
    large = card.input.size[0] * card.input.size[1] > MOST_PIXELS
    for size in frame_sizes(card.input.size, card.input.roi):
        count = 1 if found or large else GOLDEN_FRAMES
        frames = golden_frames(GOLDEN_SEED + len(found), count, size)
        severity, kinds, decision = session.run(["severity", "kinds", "decision"], {"frames": frames})
        found.append(
            Golden(
                seed=GOLDEN_SEED + len(found),
                frames=count,
                size=size,
                severity=tuple(severity.tolist()),
                kinds=tuple(map(tuple, kinds.tolist())),
                decision=tuple(decision.tolist()),
                sha256=hashes(frames),
            )
        )
    return found


def prove_painted(net: Net, card: ModelCard, painted: Sequence[Golden]) -> None:
    """Raises ExportRefused if torch says otherwise of a painted frame, fitted as in training, than the graph did."""
    fit = Fit(card.input.size, card.input.roi)
    for golden in painted:
        fitted = torch.from_numpy(np.stack([fit(frame) for frame in golden.paint()])).to(net.mean.device)
        with torch.inference_mode():
            answers = net.eval().answers(fitted)
        difference = golden.difference(answers["severity"].cpu().numpy(), answers["kinds"].cpu().numpy())
        if not difference <= TOLERANCE:
            raise ExportRefused(
                "the exported graph does not judge as the validated network: answers on a painted frame of "
                f"{golden.size[0]} x {golden.size[1]} (h x w) differ by {difference:.2e}, expected at most {TOLERANCE:.0e}. "
                "No file was written"
            )


def prove(
    inspector: Callable[[Path], Verdict],
    val: Dataset,
    judged: Judged,
    bands: Bands,
    *,
    progress: Callable[[int], None] | None = None,
) -> Proof:
    """Judges every val picture from its file through the Inspector and compares with torch's severity, kinds and decision."""
    seen = judge(inspector, val, progress=progress)
    expected = np.column_stack([judged.severity, judged.kinds]).astype(np.float64)
    apart = np.nan_to_num(np.abs(np.column_stack([seen.severity, seen.kinds]) - expected), nan=np.inf)
    differences, others = apart[:, 0].tolist(), apart.max(axis=1)
    wrong = np.flatnonzero(seen.decision != bands.decisions(judged.severity))
    flips = [val.samples[at].id for at in wrong.tolist()]
    at = int(np.argmax(others))
    if flips or others[at] > TOLERANCE:
        raise ExportRefused(
            f"the exported file does not judge as the validated network: {len(flips)} of {len(val)} verdicts differ"
            f"{f' (first: {flips[0]})' if flips else ''}, largest difference of severity {max(differences):.2e}, of severity or "
            f"kinds {others[at]:.2e} at {val.samples[at].id}; expected none and at most {TOLERANCE:.0e}. No file was written"
        )
    return Proof(
        frames=len(val),
        max_severity_difference=max(differences),
        flips=0,
        worst=seen.prints[int(np.argmax(differences))],
        sha256=seen.prints,
        severity=seen.written(),
    )


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a file says of every picture of a share: severity float64 (n,), kinds float64 (n, C), decision int64 (n,).

    `prints` tells the pictures apart, as a card's proof does.
    """

    severity: NDArray[np.float64]
    kinds: NDArray[np.float64]
    decision: NDArray[np.int64]
    prints: tuple[str, ...]

    def written(self) -> tuple[float, ...]:
        """The severities as a card holds them."""
        return tuple(float(f"{value:.7g}") for value in self.severity)


def judge(
    inspector: Callable[[Path], Verdict], share: Dataset, *, progress: Callable[[int], None] | None = None
) -> Seen:
    """Judges every picture of a share from its own file."""
    rows, decisions, prints = [], [], []
    for sample in share:
        verdict = inspector(sample.path)
        rows.append([verdict.severity, *verdict.kinds.values()])
        decisions.append(DECISIONS.index(verdict.decision))
        prints.append(fingerprint(sample.path))
        if progress is not None:
            progress(1)
    found = np.array(rows, np.float64)
    return Seen(
        severity=found[:, 0],
        kinds=found[:, 1:],
        decision=np.array(decisions, np.int64),
        prints=tuple(prints),
    )
