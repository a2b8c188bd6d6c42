"""The lab's door: fine-tune, calibrate, export, report.

from visiontune.tune import finetune, read

run = finetune(recipe, read("data/tiles"))
"""

import os

# Waiting threads of OpenMP spin by default, which on two shared cores makes a training step up to eight times slower. They
# read this once, when torch is first loaded; a value that the user set stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

from visiontune.runtime.errors import MissingExtra

try:
    import lightning
    import timm
    import torch
except ImportError as problem:
    raise MissingExtra(
        f'visiontune.tune needs the lab, and {problem.name} is not installed; pip install "visiontune[train]"'
    ) from None

from visiontune.data import policies
from visiontune.data.read import read
from visiontune.data.splits import split
from visiontune.data.tile_places import Tiles
from visiontune.heads import Anomaly, Classify, Detect, Segment, TrainedAnomaly
from visiontune.runtime.costs import Costs
from visiontune.tune.backbone import STARTER
from visiontune.tune.cook import main
from visiontune.tune.finetune import finetune
from visiontune.tune.kind_costs import KindCosts
from visiontune.tune.recipe import Recipe
from visiontune.tune.run import Run
from visiontune.tune.stages import stages
from visiontune.tune.unfreeze import Unfreeze

del lightning, timm, torch, os, MissingExtra

__all__ = [
    "STARTER",
    "Anomaly",
    "Classify",
    "Costs",
    "Detect",
    "KindCosts",
    "Recipe",
    "Run",
    "Segment",
    "Tiles",
    "TrainedAnomaly",
    "Unfreeze",
    "finetune",
    "main",
    "policies",
    "read",
    "split",
    "stages",
]
