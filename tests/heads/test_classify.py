"""The Classify head: its loss against plain arithmetic, its answers within the vocabulary."""

import math

import pytest
import torch

from visiontune.heads import Classify, Labels
from visiontune.runtime.errors import BadRecipe

LABELS = Labels(classes=("good", "crack", "pit"), good="good", counts=(100, 10, 4))


def test_the_first_loss_is_that_of_a_guess():
    even = Labels(classes=LABELS.classes, good="good", counts=(5, 5, 5))
    net = Classify().build(7, even)
    loss = net.loss(net(torch.randn(6, 7)), {"label": torch.tensor([0, 1, 2, 0, 1, 2])})
    assert float(loss.detach()) == pytest.approx(math.log(3))


def test_logit_adjustment_adds_the_log_prior_in_the_loss_only():
    net = Classify(adjust="always").build(7, LABELS)
    logits = torch.randn(5, 3)
    targets = torch.tensor([0, 1, 2, 1, 0])
    prior = [100 / 114, 10 / 114, 4 / 114]
    slow = 0.0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        shares = [math.exp(value) * p for value, p in zip(row, prior, strict=True)]
        slow -= math.log(shares[target] / sum(shares)) / 5
    assert float(net.loss(logits, {"label": targets})) == pytest.approx(slow, rel=1e-5)
    assert torch.allclose(net.answer(logits)["kinds"], logits.softmax(1))


@pytest.mark.parametrize(
    ("counts", "adjusts"),
    [((10, 10, 10), False), ((50, 10, 10), False), ((51, 10, 10), True), ((51, 10, 0), True)],
)
def test_auto_adjusts_above_five_to_one(counts, adjusts):
    assert Classify().adjusts(counts) is adjusts
    assert Classify(adjust="never").adjusts(counts) is False
    assert Classify(adjust="always").adjusts(counts) is True


def test_severity_is_the_sum_of_the_defects_and_stays_precise_near_zero():
    net = Classify().build(7, LABELS)
    answer = net.answer(torch.tensor([[30.0, 1.0, 0.0]]))
    exact = (math.exp(1) + 1) / (math.exp(30) + math.exp(1) + 1)
    assert float(answer["severity"]) == pytest.approx(exact, rel=1e-4)


def test_severity_of_a_sorter_is_the_doubt_in_the_named_kind():
    net = Classify().build(7, Labels(classes=("a", "b"), good=None, counts=(1, 1)))
    assert float(net.answer(torch.zeros(1, 2))["severity"]) == pytest.approx(0.5)


def test_temperature_softens_and_never_reorders():
    net = Classify().build(7, LABELS)
    logits = torch.randn(20, 3) * 5
    sharp = net.answer(logits)["kinds"]
    net.temperature.fill_(3.0)
    soft = net.answer(logits)["kinds"]
    assert torch.equal(sharp.argmax(1), soft.argmax(1))
    assert float(soft.max()) < float(sharp.max())


def test_smoothing_is_for_training_only():
    net = Classify(smoothing=0.1).build(7, LABELS)
    logits, target = torch.tensor([[4.0, 0.0, 0.0]]), {"label": torch.tensor([0])}
    training = net.train().loss(logits, target)
    assert float(net.eval().loss(logits, target)) < float(training)


@pytest.mark.parametrize("bad", [{"smoothing": 1.0}, {"dropout": -0.1}, {"adjust": "sometimes"}])
def test_a_bad_option_is_refused_by_name(bad):
    with pytest.raises(BadRecipe, match=f"Classify.{next(iter(bad))}"):
        Classify(**bad)
