"""Sets which regions a finished model file shows, of its heatmap or boxes: in the card only, noted there, tested."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import copymode

from visiontune.runtime import card as cards
from visiontune.runtime import seal
from visiontune.runtime.card import ModelCard
from visiontune.runtime.errors import BadModel
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.model import check_words, open_session, read_model
from visiontune.runtime.region_bands import DEFAULT, RegionBands
from visiontune.runtime.whole import whole
from visiontune.runtime.wire import with_metadata
from visiontune.version import __version__

CHANGED = "regions"  # what a history entry says was changed


def set_regions(model: str | Path, bands: RegionBands, *, note: str | None = None) -> ModelCard:
    """Gives the model file other region bands; the card that now stands in it.

    note  who did it and why: kept in the card's history

    Decisions stay what they are, and what was certified of them holds. The file is sealed anew under a temporary name, and
    takes the old one's place after the Inspector opened it. Bands that are already so change nothing.

    Raises BadModel for a file that the Inspector refuses, and for a model without heatmap and boxes.
    """
    path = Path(model).resolve()  # the file, not a link to it, is replaced
    card = Inspector(path).card
    data = read_model(path)
    words = check_words(open_session(data), card)
    if not {"heatmap", "boxes"} & set(words):
        raise BadModel(
            f"{path}: expected a model with a heatmap or boxes, found one without; it has no regions to set"
        )
    usual = None if "boxes" in words else DEFAULT  # without bands every box is a region
    if bands == (card.regions or usual):
        return card
    entry = {
        "what": CHANGED,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": f"visiontune {__version__}",
        "note": note,
        "from": asdict(card.regions or DEFAULT),
        "to": asdict(bands),
    }
    card = replace(card, regions=bands, history=(*card.history, entry))
    data = seal.seal(with_metadata(data, {cards.KEY: card.to_json(), seal.KEY: seal.PLACEHOLDER}))
    with whole(path) as draft:
        draft.write_bytes(data)
        copymode(path, draft)
        return Inspector(draft).card
