"""Makes the backbone a recipe names: timm's own names in all their forms, with errors a person can act on."""

from __future__ import annotations

import difflib
from pathlib import Path

import timm
from torch import nn

from visiontune.runtime.errors import BadRecipe

Colour = tuple[float, float, float]

LOCAL = "local-dir:"
HUB = "hf-hub:"

STARTER = "starter"
"""The small backbone that ships inside, for work without a network: mobilenetv2_035, pretrained on painted pictures alone by
scripts/pretrain_starter.py. visiontune/tune/starter/README.md says what it is worth beside random and ImageNet weights."""

SHIPPED = Path(__file__).parent / "starter"


def make_backbone(name: str, *, pretrained: bool, drop_path: float = 0.0) -> nn.Module:
    """A timm model without classifier that gives pooled features (N, F).

    `name` is a timm model name (with or without a weights tag), `hf-hub:org/name`, `local-dir:PATH` (a folder with config.json
    and model.safetensors) or STARTER, the one that ships inside. Raises BadRecipe for a name that timm does not know (with the
    nearest ones), for a folder that is not there, and where the weights cannot be reached.
    """
    check(name, pretrained=pretrained)
    options = {"drop_path_rate": drop_path} if drop_path else {}
    try:
        model: nn.Module = timm.create_model(located(name), pretrained=pretrained, num_classes=0, **options)
    except Exception as problem:  # timm, its hub client and safetensors each have families of their own
        raise BadRecipe(unreachable(name, problem)) from problem
    return model


def located(name: str) -> str:
    """The name as timm reads it."""
    return f"{LOCAL}{SHIPPED}" if name == STARTER else name


def check(name: str, *, pretrained: bool) -> None:
    """Raises BadRecipe if `name` cannot be a backbone, before anything slow begins."""
    name = located(name)
    if name.startswith(LOCAL):
        folder = Path(name.removeprefix(LOCAL))
        missing = [part for part in ("config.json", "model.safetensors") if not (folder / part).is_file()]
        if not folder.is_dir():
            raise BadRecipe(
                f"backbone {name}: there is no folder {folder}; expected one with config.json and model.safetensors"
            )
        if missing:
            raise BadRecipe(
                f"backbone {name}: {folder} lacks {' and '.join(missing)}; save a timm model there first"
            )
        return
    if name.startswith(HUB):
        return
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise BadRecipe(
            f"backbone {name!r} is not a model that timm knows{nearest(architecture, timm.list_models())}"
        )
    tags = [known.partition(".")[2] for known in timm.list_pretrained(architecture + ".*")]
    if tag and tag not in tags:
        raise BadRecipe(
            f"backbone {name!r}: timm has no weights {tag!r} for {architecture}{nearest(tag, tags)}"
        )
    if pretrained and not timm.models.is_model_pretrained(architecture):
        raise BadRecipe(
            f"backbone {name!r} has no pretrained weights in timm; take another, name a local-dir:, "
            "or say pretrained=False to start from random weights"
        )


def nearest(name: str, known: list[str]) -> str:
    """'; did you mean a, b?' or nothing."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    return f"; did you mean {', '.join(close)}?" if close else ""


def unreachable(name: str, problem: Exception) -> str:
    """One line for weights that could not be had: which, why, and the ways round it."""
    why = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
    return (
        f"backbone {name}: its weights could not be loaded ({type(problem).__name__}: {why[:160]}). Without a network: "
        "name a folder with local-dir:PATH, copy timm's cached file to this machine, take the small one that ships "
        f"(backbone={STARTER!r}), or say pretrained=False to start from random weights"
    )


def normalisation(backbone: nn.Module) -> tuple[Colour, Colour]:
    """The (mean, std) per channel, in 0..1 units, that the backbone's weights were made with."""
    config = timm.data.resolve_model_data_config(backbone)
    (r, g, b), (dr, dg, db) = map(float, config["mean"]), map(float, config["std"])
    return (r, g, b), (dr, dg, db)
