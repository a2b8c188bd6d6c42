"""Writes the model file in narrower numbers, fp16 or int8, if it judges as the float32 file does and is worth it on this PC."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from visiontune.data.batches import label_indices
from visiontune.heads.head import BOXES
from visiontune.runtime.bands import Bands
from visiontune.runtime.card import PRECISIONS, ModelCard, Proof
from visiontune.runtime.errors import BadModel, ExportRefused, PrecisionRefused
from visiontune.runtime.golden import TOLERANCE, golden_frames
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.model import open_session
from visiontune.runtime.reference import Reference
from visiontune.runtime.seal import check
from visiontune.runtime.whole import whole
from visiontune.tune.calibrate import Judged
from visiontune.tune.export import (
    GOLDEN_SEED,
    Seen,
    card_metadata,
    core_file,
    judge,
    painted_answers,
    prove,
    prove_painted,
    sealed,
)
from visiontune.tune.graph import core_model, line_model
from visiontune.tune.half import halved
from visiontune.tune.precisions import Precision, refusal, table, timings
from visiontune.tune.progress import counted
from visiontune.tune.prove_heatmap import Places
from visiontune.tune.quantize import statistics
from visiontune.tune.rebands import PASS, REJECT, rebands, worse
from visiontune.tune.reference import Witness, reference
from visiontune.tune.run import Run
from visiontune.tune.sensitive import search

FLOAT32, FP16, INT8 = PRECISIONS
RANGED = 128  # training pictures that the ranges of the tensors are taken from
TRIED = 32  # pictures on which sensitive layers are searched, and engines compared
PAINTED = 8
BATCH = 8


@dataclass(frozen=True, kw_only=True)
class File:
    """A model file in the making: the bare network, the whole graph, the card, and the bytes that would be written."""

    body: onnx.ModelProto
    graph: bytes
    card: ModelCard
    data: bytes


def narrow(run: Run, path: Path, precision: str, *, core: bool = False) -> Path:
    """Writes `path` in this precision (fp16 or int8) after comparing it with float32 on val; prints the table.

    Raises PrecisionRefused, with what was measured in `rows`, if it judges otherwise or is not worth it; then no file is
    written. The bands in the file are its own (see `rebands`), and its proof is against the float32 file.
    """
    if precision not in (FP16, INT8):
        raise ExportRefused(
            f"precision: expected {', '.join(PRECISIONS)}, found {precision!r}; name one of them"
        )
    rows, (file,) = compared(run, path.stem.removesuffix(f".{precision}"), (precision,))
    if why := refusal(rows[1], rows[0]):
        raise PrecisionRefused(
            f"{precision}: {why}. No file was written: export float32", [row.as_dict() for row in rows]
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        draft = files.enter_context(whole(path))
        draft.write_bytes(file.data)
        Inspector(draft)  # the very bytes that ship must open, hash and all
        if core:
            beside = files.enter_context(whole(path.with_suffix(".core.onnx")))
            beside.write_bytes(core_file(file.body, file.card, check(file.data)))
    run.metrics["precisions"][precision]["model"] = path.name
    run.save()
    return path


def compare(run: Run) -> tuple[Precision, ...]:
    """Measures float32, fp16 and int8 and prints the table; writes nothing but run.json."""
    rows, _ = compared(run, "model", (FP16, INT8))
    return rows


def compared(run: Run, name: str, wanted: tuple[str, ...]) -> tuple[tuple[Precision, ...], list[File]]:
    """What was measured of float32 and of each wanted precision, and the files of the latter; printed, kept in run.json.

    Raises ExportRefused if the float32 file itself does not judge as the network does.
    """
    if run.recipe.tile is not None:
        raise PrecisionRefused("expected a network of whole frames, found one of tiles; export float32")
    if run.recipe.head.learns == BOXES:
        raise PrecisionRefused(
            "expected a head whose answers can be compared one by one, found one of boxes, which rounding moves and swaps; "
            "export float32"
        )
    assert run.bands is not None
    val, judged = run.data.share("val"), run.judge("val")
    body = core_model(run.net, run.recipe.size)
    exact = made(run, body, FLOAT32, name, run.bands)
    assert exact.card.golden is not None
    prove_painted(run.net, exact.card, (exact.card.golden, *exact.card.probes))
    drafts = []
    for precision in wanted:
        narrow_body = narrowed(run, body, precision)
        tolerance = between_engines(run, narrow_body) if precision == INT8 else TOLERANCE
        drafts.append(made(run, narrow_body, precision, name, run.bands, tolerance=tolerance))
    with counted(run.console, "judging val in each precision", len(val) * (1 + len(drafts))) as step:
        there = Places(opened(exact))
        proof = prove(there, val, judged, run.bands, progress=step)
        witnesses = [Witness(opened(draft)) for draft in drafts]
        places = [Places(witness) for witness in witnesses]
        seen = [judge(place, val, progress=step) for place in places]
    graphs = {one.card.precision: one.graph for one in (exact, *drafts)}
    spent = timings(graphs, golden_frames(GOLDEN_SEED, 1, run.recipe.size)[0])
    rows, files = [measured(exact, spent[FLOAT32], frames=len(val))], []
    for draft, found, witness, place in zip(drafts, seen, witnesses, places, strict=True):
        looks = reference(witness.severities, witness.looks, judged, sorts=run.data.good is None)
        draft = replace(draft, card=replace(draft.card, reference=looks))
        file, row = settled(run, draft, found, judged, proof, spent[draft.card.precision])
        files.append(file)
        rows.append(replace(row, strayed=place.strayed(there)))
    kept = run.metrics.setdefault("precisions", {})
    for row in rows:
        kept[row.precision] = {
            **row.as_dict(),
            "refused": refusal(row, rows[0]) if row is not rows[0] else None,
        }
    run.save()
    run.console.print(table(rows))
    return tuple(rows), files


def narrowed(run: Run, body: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """The bare network in this precision.

    Ranges and sensitive layers are found on training pictures (without augmentation), not on val: the bands are certified
    on val, and a network whose rounding had been fitted to these very pictures would look better there than it is.
    """
    if precision == FP16:
        return halved(body)
    frames, labels = run.pictures("train"), label_indices(run.data.share("train"))
    pictures = normalised(run, np.asarray(frames[np.sort(balanced(labels, RANGED))]))
    with run.console.status("looking for layers that must stay in float"):
        found = statistics(body, [pictures[at : at + BATCH] for at in range(0, len(pictures), BATCH)])
        result = search(body, found, pictures[:: max(1, len(pictures) // TRIED)][:TRIED])
    run.console.print(f"  int8: {result}", highlight=False)
    return result.core


def balanced(labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Positions of at most `count` pictures, the classes in turn: rare defects make values that good parts do not."""
    order = np.random.default_rng(0).permutation(len(labels))
    turn = np.zeros(len(labels), np.int64)
    for kind in np.unique(labels):
        turn[labels[order] == kind] = np.arange((labels == kind).sum())
    return np.asarray(order[np.lexsort((labels[order], turn))][:count])


def normalised(run: Run, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the bare network reads, float32 (n, 3, h, w), of fitted frames uint8 (n, h, w, 3)."""
    mean, scale = run.net.mean.cpu().numpy(), run.net.scale.cpu().numpy()
    return np.ascontiguousarray((frames.transpose(0, 3, 1, 2).astype(np.float32) - mean) * scale)


def made(
    run: Run,
    body: onnx.ModelProto,
    precision: str,
    name: str,
    bands: Bands,
    *,
    tolerance: float = TOLERANCE,
    proof: Proof | None = None,
    reference: Reference | None = None,
) -> File:
    """The whole file around a bare network."""
    model = line_model(body, run.net, bands, roi=run.recipe.roi)
    graph = model.SerializeToString()
    card = replace(run.card(name), bands=bands, precision=precision, proof=proof, reference=reference)
    golden, *probes = (replace(one, tolerance=tolerance) for one in painted_answers(graph, card))
    card = replace(card, golden=golden, probes=tuple(probes))
    return File(body=body, graph=graph, card=card, data=sealed(model, card_metadata(card)))


def between_engines(run: Run, body: onnx.ModelProto) -> float:
    """By how much the answers of two engines that both compute rightly may differ: twice what two ways of one of them do.

    Rounding to integers makes a difference in the last bit of a float a whole step, now and then. The graph as it stands,
    node by node in float, against the same in fused integer kernels shows how far that goes, on val and painted pictures.
    """
    painted = golden_frames(GOLDEN_SEED, PAINTED, run.recipe.size)
    frames = run.pictures("val")
    spread = np.unique(np.linspace(0, len(frames) - 1, TRIED).astype(int))
    pictures = normalised(run, np.concatenate([np.asarray(frames[spread]), painted]))
    sessions = [open_session(body.SerializeToString(), optimise=optimise) for optimise in (True, False)]
    worst = 0.0
    for at in range(len(pictures)):
        feed = {body.graph.input[0].name: pictures[at : at + 1]}
        one, two = (session.run(["severity", "kinds"], feed) for session in sessions)
        worst = max(worst, *(float(np.abs(a - b).max()) for a, b in zip(one, two, strict=True)))
    return max(TOLERANCE, math.ceil(2e5 * worst) / 1e5)


def opened(file: File) -> Inspector:
    """Raises ExportRefused if it does not open."""
    try:
        return Inspector(file.data)
    except BadModel as error:
        raise ExportRefused(
            f"the {file.card.precision} file does not open: {error}. No file was written"
        ) from error


def settled(
    run: Run, draft: File, seen: Seen, judged: Judged, float32: Proof, spent: tuple[float, float]
) -> tuple[File, Precision]:
    """The file with bands set for what was `seen` of it, its proof against float32, and what it costs."""
    assert run.bands is not None
    before = run.bands.decisions(float32.severity)
    mine = replace(judged, severity=seen.severity.astype(np.float32), kinds=seen.kinds.astype(np.float32))
    bands = rebands(mine, run.bands, before, good=run.data.good is not None)
    now = bands.decisions(mine.severity)
    outside = (now != before) & np.isin(now, (PASS, REJECT))
    apart = np.nan_to_num(np.abs(seen.severity - np.array(float32.severity)), nan=1.0)
    assert draft.card.golden is not None
    proof = Proof(
        frames=len(before),
        max_severity_difference=float(apart.max()),
        flips=int(outside.sum()),
        worst=seen.prints[int(apart.argmax())],
        sha256=seen.prints,
        severity=seen.written(),
        reviewed=int(((now != before) & ~outside).sum()),
        tolerance=draft.card.golden.tolerance,
    )
    file = made(
        run,
        draft.body,
        draft.card.precision,
        draft.card.name,
        bands,
        tolerance=proof.tolerance,
        proof=proof,
        reference=draft.card.reference,
    )
    opened(file)
    row = replace(
        measured(file, spent, frames=len(before)),
        difference=proof.max_severity_difference,
        flips=int((now != before).sum()),
        flips_old_bands=int((run.bands.decisions(mine.severity) != before).sum()),
        outside_review=proof.flips,
        reviewed=proof.reviewed,
        worse=worse(bands, run.bands),
    )
    return file, row


def measured(file: File, spent: tuple[float, float], *, frames: int) -> Precision:
    """Size and times of a file; what it judges is still to be filled in."""
    return Precision(
        precision=file.card.precision, size=len(file.data), p50_ms=spent[0], p99_ms=spent[1], pictures=frames
    )
