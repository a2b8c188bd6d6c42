"""The learning rate that is found: the usual one unless another is better beyond the noise of val."""

import math

import numpy as np
import pytest
import torch

from visiontune.heads import Classify, Labels
from visiontune.runtime.errors import BadRecipe
from visiontune.tune import Recipe
from visiontune.tune.range_test import HIGHEST, RATES, USUAL, Pooled, Rates, range_test
from visiontune.tune.recipe import changed


def pooled(n, *, features=8, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    centres = np.random.default_rng(99).normal(size=(2, features))
    values = centres[labels] + noise * rng.normal(size=(n, features))
    return Pooled(features=values.astype(np.float16), labels=labels, groups=[str(i) for i in range(n)])


def head(features=8):
    labels = Labels(classes=("good", "bad"), good="good", counts=(50, 50))
    return Classify().build(features, labels)


def found(train, val, net=None):
    return range_test(net or head(), train, val, batch=16, weight_decay=0.02, seed=0)


def test_every_rate_has_its_trial_and_the_head_stays_as_it_was():
    net = head()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    rates = found(pooled(80), pooled(40, seed=1), net)
    assert [float(lr) for lr in rates.trials] == list(RATES)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert rates.head in RATES and rates.stages == min(rates.head, HIGHEST)


def test_it_is_repeatable():
    assert found(pooled(80), pooled(40, seed=1)) == found(pooled(80), pooled(40, seed=1))


def test_labels_that_nothing_can_tell_leave_the_usual_rate():
    rng = np.random.default_rng(0)
    train, val = pooled(80), pooled(40, seed=1)
    train = Pooled(features=train.features, labels=rng.permutation(train.labels), groups=train.groups)
    assert found(train, val).head == USUAL


def test_a_rate_that_is_truly_better_is_taken():
    # far too few steps for the usual rate: many kinds, told apart only by large weights
    kinds, n = 24, 24 * 40
    labels = np.arange(n) % kinds
    centres = np.random.default_rng(5).normal(size=(kinds, 24))
    labels_of = Labels(classes=tuple(f"k{i}" for i in range(kinds)), good=None, counts=(40,) * kinds)

    def share(seed):
        values = centres[labels] + 0.3 * np.random.default_rng(seed).normal(size=(n, 24))
        return Pooled(features=values.astype(np.float16), labels=labels, groups=[str(i) for i in range(n)])

    rates = found(share(1), share(2), Classify().build(24, labels_of))
    assert rates.head > USUAL
    assert rates.stages == min(rates.head, HIGHEST)
    losses = {float(lr): loss for lr, loss in rates.trials.items()}
    assert losses[rates.head] < losses[USUAL]


def test_one_group_in_val_tells_nothing():
    val = pooled(40, seed=1)
    alone = Pooled(features=val.features, labels=val.labels, groups=["same"] * 40)
    assert found(pooled(80), alone).head == USUAL


def test_what_it_says():
    assert str(Rates.given(0.004)) == "learning rate of the head: 0.004, as the recipe says"
    rates = Rates(head=1e-2, stages=2e-3, trials={"0.01": 0.5, "0.03": None})
    assert "0.01: 0.500, 0.03: diverged" in str(rates)


@pytest.mark.parametrize("text, value", [("lr=auto", "auto"), ("lr=1", 1.0), ("lr=2e-3", 2e-3)])
def test_the_command_line_takes_a_number_or_auto(tiny_recipe, text, value):
    recipe = changed(tiny_recipe, [text])
    assert recipe.lr == value and type(recipe.lr) is type(value)


@pytest.mark.parametrize("value", [0, -1.0, "often", math.nan, True, None])
def test_other_rates_are_refused(value):
    with pytest.raises(BadRecipe, match=r"Recipe\.lr must be greater than 0 or"):
        Recipe(backbone="test_resnet", pretrained=False, lr=value)
