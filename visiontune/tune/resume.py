"""Taking up a run that was cut off: what has to be the same, and whether anything is left to train."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from visiontune.data.samples import Dataset
from visiontune.runtime.errors import BadData, BadRecipe
from visiontune.runtime.whole import remove_drafts
from visiontune.tune.checkpoints import LAST
from visiontune.tune.recipe import Recipe

FREE = {"store_gb"}  # fields that change no result


def prepared(folder: Path, recipe: Recipe, *, resume: bool) -> dict[str, Any] | None:
    """What the last checkpoint says of the run to continue, or None for a run that starts; the folder is made ready for it.

    Raises BadRecipe where the run was begun with another recipe, BadData where a run is in the way.
    """
    last = folder / "checkpoints" / LAST
    if resume:
        remove_drafts(folder)
        remove_drafts(folder / "checkpoints")
        if not last.is_file():
            return None  # cut off before the first epoch was done, or never begun: start
        stored: dict[str, Any] = torch.load(last, map_location="cpu", weights_only=True)["visiontune"]
        now = recipe.as_dict()
        changed = sorted(name for name in now if name not in FREE and stored["recipe"].get(name) != now[name])
        if changed:
            raise BadRecipe(
                f"cannot resume {folder}: the recipe differs from the stored one in {', '.join(changed)}; "
                "resume with the same recipe, or start in another folder"
            )
        return stored
    if (folder / "run.json").exists() or last.exists():
        raise BadData(
            f"{folder} already holds a run; choose another folder, or say --resume to continue that one"
        )
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return None


def check_same(stored: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Compares the Learner's settings of a stored run and now.

    Raises BadData if the pictures of train and val, their labels or groups changed, BadRecipe if keywords of finetune did.
    """
    changed = sorted(name for name in now if name in stored and stored[name] != now[name])
    if "data" in changed:
        raise BadData(
            f"cannot resume {folder}: the pictures of train and val, their labels or their groups are not those the run "
            "began with; restore them, or start in another folder"
        )
    if changed:
        differ = ", ".join(f"{name} (was {stored[name]!r}, is {now[name]!r})" for name in changed)
        raise BadRecipe(f"cannot resume {folder}: finetune was called with another {differ}; say the same")


def data_stamp(data: Dataset) -> str:
    """sha256 over the ids, labels and groups of train and val, in their order."""
    rows = [[share, s.id, s.label, s.group] for share in ("train", "val") for s in data.share(share)]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def complete(stored: Mapping[str, Any]) -> bool:
    """Whether nothing is left to train: a gate stayed shut, or all phases are done."""
    last = stored["phases"][-1]
    return bool(stored["keeper"]["stopped"]) or len(stored["history"]) >= last["start"] + last["epochs"]
