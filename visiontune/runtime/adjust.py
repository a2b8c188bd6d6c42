"""Sets the bands of a finished model file: card and graph together, noted in the card, tested before it replaces the old file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import copymode

import numpy as np

from visiontune.runtime import card as cards
from visiontune.runtime import seal
from visiontune.runtime.answers import INPUT
from visiontune.runtime.bands import Bands
from visiontune.runtime.budget import run_within
from visiontune.runtime.card import ModelCard, Proof
from visiontune.runtime.errors import BadModel
from visiontune.runtime.golden import Golden, frame_sizes, golden_frames
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.model import SELF_TEST_S, open_session, read_model
from visiontune.runtime.whole import whole
from visiontune.runtime.wire import scalars, with_metadata, with_scalars
from visiontune.version import __version__

NAMES = {"bands.review_from": "review_from", "bands.reject_from": "reject_from"}  # initialiser -> field
CHANGED = "bands"  # what a history entry says was changed
GONE = "the evidence was for the old bands and does not hold for these"
BACK = "these bands are the certified ones; their evidence holds again"
TINY = np.float32(
    1e-30
)  # the least threshold to try: below it numbers are denormal, which an engine may take for zero
NONE = "there was no evidence"


def set_bands(
    model: str | Path, review_from: float, reject_from: float, *, note: str | None = None
) -> ModelCard:
    """Gives the model file other bands, in card and graph together; the card that now stands in it.

    review_from, reject_from  0 <= review_from <= reject_from, in the unit of severity; above 1 is never
    note                      who did it and why: kept in the card's history. Not empty

    What calibration certified held for the bands it set: the evidence goes into the history with them, and comes back
    with them when the very same bands (in float32) are set again. The golden decisions are computed anew, the file is
    sealed anew and written under a temporary name; only after the Inspector opened it does it take the old one's place.
    Bands that are already so change nothing.

    Raises BadModel for bands out of order, for a file that the Inspector refuses, and for a graph whose decision does
    not follow its initialisers `bands.review_from` and `bands.reject_from`.
    """
    path = Path(model).resolve()  # the file, not a link to it, is replaced
    card = Inspector(path).card
    wanted = Bands(review_from, reject_from)
    if same(wanted, card.bands):
        return card
    card = changed(card, wanted, note)
    try:
        data = rewritten(read_model(path), card)
        check_steering(data, card)
    except BadModel as error:
        raise BadModel(f"{path}: {error}") from error
    with whole(path) as draft:
        draft.write_bytes(data)
        copymode(path, draft)
        return Inspector(draft).card


def certified(card: ModelCard) -> Bands | None:
    """The bands that calibration certified for this model, now or before it was changed, with their evidence; None if none."""
    return next((bands for bands in _known(card) if bands.evidence is not None), None)


def changed(card: ModelCard, wanted: Bands, note: str | None) -> ModelCard:
    """The card with other thresholds, its golden decisions and its proof brought up to them, and the change in its history."""
    back = [old for old in _known(card) if same(old, wanted) and old.evidence is not None]
    bands = back[0] if back else replace(wanted, evidence=None)
    entry = {
        "what": CHANGED,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": f"visiontune {__version__}",
        "note": note,
        "from": asdict(card.bands),
        "to": asdict(bands),
        "evidence": BACK if back else GONE if card.bands.evidence is not None else NONE,
    }
    return replace(
        card,
        bands=bands,
        golden=None if card.golden is None else _decided(card.golden, bands),
        probes=tuple(_decided(probe, bands) for probe in card.probes),
        proof=None if card.proof is None else _reproved(card.proof, bands),
        history=(*card.history, entry),
    )


def rewritten(data: bytes, card: ModelCard) -> bytes:
    """The file with this card and its bands in the graph, sealed. Raises BadModel where the graph does not hold them once."""
    data = with_scalars(data, {name: getattr(card.bands, edge) for name, edge in NAMES.items()})
    return seal.seal(with_metadata(data, {cards.KEY: card.to_json(), seal.KEY: seal.PLACEHOLDER}))


def check_bands(data: bytes, bands: Bands) -> str:
    """Says what the graph's initialisers hold. Raises BadModel unless they are the bands in the card."""
    held = scalars(data, NAMES)
    found = Bands(held["bands.review_from"], held["bands.reject_from"])
    if not same(found, bands):
        raise BadModel(
            f"expected the bands of the card in the graph, found {found.review_from:.9g} and {found.reject_from:.9g}; "
            "set them anew with visiontune card --set-bands"
        )
    return f"review from {found.review_from:.6g}, reject from {found.reject_from:.6g}, in card and graph"


def check_steering(data: bytes, card: ModelCard) -> None:
    """Raises BadModel unless the initialisers decide: bands just above, around and at a severity pass, review and reject it."""
    size = max(frame_sizes(card.input.size, card.input.roi))
    frames = golden_frames(1, 1, size)

    def judged(data: bytes) -> tuple[float, int]:
        session = open_session(data)
        severity, decision = run_within(SELF_TEST_S, session.run, ["severity", "decision"], {INPUT: frames})
        return float(severity[0]), int(decision[0])

    at, _ = judged(data)
    above = float(max(np.nextafter(np.float32(at), np.float32(2)), TINY))
    for decision, trial in enumerate((Bands(above, above), Bands(at, above), Bands(at, at))):
        values = {name: getattr(trial, edge) for name, edge in NAMES.items()}
        if judged(with_scalars(data, values)) != (at, decision):
            raise BadModel(
                "the decision does not follow the bands in the graph; export it again with these bands"
            )


def same(one: Bands, two: Bands) -> bool:
    """Whether two pairs of thresholds decide alike: equal in float32, as the graph holds them; all above 1 are never."""
    return all(_held(getattr(one, edge)) == _held(getattr(two, edge)) for edge in NAMES.values())


def _held(threshold: float) -> float:
    value = float(np.float32(threshold))
    return value if value <= 1 else np.inf


def _known(card: ModelCard) -> Iterator[Bands]:
    """The bands that the card knows, the latest first."""
    yield card.bands
    for entry in reversed(card.history):
        if isinstance(entry, Mapping) and entry.get("what") == CHANGED:
            yield Bands(**entry["from"])


def _decided(golden: Golden, bands: Bands) -> Golden:
    return replace(golden, decision=tuple(bands.decisions(golden.severity).tolist()))


def _reproved(proof: Proof, bands: Bands) -> Proof | None:
    """The proof for other bands: a verdict can only differ where a severity lies as near a threshold as the two ever differed.

    None where the card does not hold the severities.
    """
    if not proof.severity:
        return None
    severities = np.asarray(proof.severity)
    edges = np.array([bands.review_from, bands.reject_from], np.float32).astype(float)
    near = np.abs(severities[:, np.newaxis] - edges) <= proof.max_severity_difference
    return replace(proof, flips=int(near.any(axis=1).sum()), reviewed=0)
