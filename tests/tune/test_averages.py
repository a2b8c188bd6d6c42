"""Averages of weights against slow loops, and the rule that an average has to earn its place."""

import pytest
import torch
from torch import nn

from visiontune.tune.averages import Averages, moving


def network():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    net[0].requires_grad_(False)
    return net


def test_only_what_training_moves_is_followed():
    net = network().train()
    assert set(dict(moving(net))) == {
        "1.weight", "1.bias", "2.weight", "2.bias", "1.running_mean", "1.running_var",
    }  # fmt: skip
    net[1].eval()
    assert "1.running_mean" not in dict(moving(net))


def test_the_moving_average_is_the_recursion_and_forgets_its_start():
    net = network().train()
    averages = Averages(net, steps=100)
    assert averages.decay == pytest.approx(0.9)
    slow = net[2].weight.detach().clone()
    for step in range(100):
        with torch.no_grad():
            net[2].weight.fill_(float(step))
        averages.step()
        slow = 0.9 * slow + 0.1 * float(step)
    assert torch.allclose(averages.ema["2.weight"], slow, rtol=1e-5)
    assert float(averages.ema["2.weight"].min()) > 85


def filled(net, value):
    with torch.no_grad():
        net[2].weight.fill_(value)


def distance(goal):
    return lambda state: abs(float(state["2.weight"].mean()) - goal)


def test_the_soup_is_taken_only_if_it_beats_the_best_epoch():
    net = network().train()
    averages = Averages(net, steps=10)
    for value in (0.0, 1.0, 0.2):
        filled(net, value)
        averages.epoch(abs(value - 0.5))
    # 0.2 is nearest; with 0.0 it gets worse (0.1), with 1.0 better (0.6)
    averages.ema["2.weight"].fill_(9.0)  # far off
    name, state, loss = averages.choose(distance(0.5))
    assert (
        name == "soup"
        and float(state["2.weight"].mean()) == pytest.approx(0.6)
        and loss == pytest.approx(0.1)
    )
    averages.top = [(abs(value - 0.2), {"2.weight": torch.full((2, 4), value)}) for value in (0.2, 0.0, 1.0)]
    name, state, _ = averages.choose(distance(0.2))
    assert name == "epoch" and float(state["2.weight"].mean()) == pytest.approx(0.2)


def test_a_stored_average_goes_on_as_if_never_stored():
    net = network().train()
    whole, half = Averages(net, 20), Averages(net, 20)
    for step in range(20):
        filled(net, float(step))
        whole.step()
        if step == 9:
            stored = half.state_dict()
            half = Averages(net, 20)
            half.load_state_dict(stored)
        half.step()
    assert torch.equal(whole.ema["2.weight"], half.ema["2.weight"])


def test_the_moving_average_wins_where_it_is_best():
    net = network().train()
    averages = Averages(net, steps=10)
    filled(net, 1.0)
    averages.epoch(0.5)
    averages.ema["2.weight"].fill_(0.5)
    name, state, loss = averages.choose(distance(0.5))
    assert name == "average" and loss == pytest.approx(0) and float(state["2.weight"].mean()) == 0.5
