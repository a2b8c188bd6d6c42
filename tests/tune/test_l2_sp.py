"""The pull to the starting point, against plain arithmetic, and in a run."""

import io

import pytest
import torch
from rich.console import Console
from torch import nn

from visiontune.tune import Unfreeze, finetune, read
from visiontune.tune.l2_sp import StartingPoint
from visiontune.tune.recipe import changed


def test_open_weights_move_by_rate_times_strength_and_closed_ones_stay():
    layer = nn.Linear(3, 2)
    point = StartingPoint(layer, strength=0.5)
    start = {name: value.clone() for name, value in layer.state_dict().items()}
    with torch.no_grad():
        layer.weight += 1.0
        layer.bias += 1.0
    layer.bias.requires_grad_(False)
    point.pull({id(layer.weight): 0.2, id(layer.bias): 0.2})
    torch.testing.assert_close(layer.weight.detach(), start["weight"] + 1 - 0.2 * 0.5)
    torch.testing.assert_close(layer.bias, start["bias"] + 1)


def test_it_never_overshoots():
    layer = nn.Linear(3, 2)
    point = StartingPoint(layer, strength=1e6)
    start = layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight += 1.0
    point.pull({id(p): 0.1 for p in layer.parameters()})
    assert torch.equal(layer.weight.detach(), start)


@pytest.mark.slow
def test_a_run_with_it_drifts_less(tiny_recipe, parts_folder, tmp_path):
    from dataclasses import replace

    recipe = replace(changed(tiny_recipe, ["lr=5e-3"]), unfreeze=Unfreeze.all(), epochs=3)
    drifts = []
    for strength in (0.0, 100.0):
        run = finetune(
            replace(recipe, l2_sp=strength),
            read(parts_folder),
            out=tmp_path / str(strength),
            console=Console(file=io.StringIO()),
        )
        drifts.append(
            sum(float((p.detach() - run.start[n]).norm()) for n, p in run.net.backbone.named_parameters())
        )
    assert drifts[1] < 0.7 * drifts[0]


def test_a_negative_pull_is_refused(tiny_recipe):
    from visiontune.runtime.errors import BadRecipe

    with pytest.raises(BadRecipe, match="l2_sp"):
        changed(tiny_recipe, ["l2_sp=-1"])
