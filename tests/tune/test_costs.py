"""Costs of stages: shares that add up, and a table that says what closing means."""

import io

import pytest
import timm
import torch
from rich.console import Console

from visiontune.tune.costs import costs, stage_table
from visiontune.tune.stages import stages


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext"])
def test_shares_add_up_to_one(name):
    backbone = timm.create_model(name, num_classes=0)
    found = costs(backbone, stages(backbone), size=(96, 96) if name != "test_vit" else (160, 160))
    assert sum(cost.parameters for cost in found) == pytest.approx(1)
    assert sum(cost.forward for cost in found) == pytest.approx(1)
    assert all(cost.forward >= 0 for cost in found)


def test_the_forward_cost_of_a_plain_network_is_counted_by_hand():
    torch.manual_seed(0)
    backbone = timm.create_model("test_resnet", num_classes=0)
    part = stages(backbone)
    height = width = 64
    multiplications = {}
    handles = [
        module.register_forward_hook(
            lambda m, _i, out, name=name: multiplications.__setitem__(
                name, out[0].numel() * m.in_channels // m.groups * m.kernel_size[0] * m.kernel_size[1]
            )
        )
        for name, module in backbone.named_modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    backbone.eval()(torch.zeros(1, 3, height, width))
    for handle in handles:
        handle.remove()
    whole = sum(multiplications.values())
    for stage, cost in zip(part, costs(backbone, part, size=(height, width)), strict=True):
        own = sum(count for name, count in multiplications.items() if name in stage.modules)
        assert cost.forward == pytest.approx(own / whole, abs=0.01)


def test_the_table_has_a_row_a_stage_with_its_rate():
    backbone = timm.create_model("test_resnet", num_classes=0)
    part = stages(backbone)
    out = io.StringIO()
    Console(file=out, width=140).print(
        stage_table(part, costs(backbone, part, size=(64, 64)), lr=1e-3, decay=0.5)
    )
    text = out.getvalue()
    for stage in part:
        assert stage.name in text
    assert "5.0e-04" in text and "100 %" in text
