"""The learning curve: whole groups, laws that are known, a band that holds the truth, classes too thin, a run's own curve."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import beta
from sklearn.linear_model import RidgeClassifier

from visiontune.tune import nested
from visiontune.tune.learning_curve import (
    FEW,
    Parts,
    expectation,
    expectations,
    learning_curve,
    part_weights,
    variance_of_orders,
)
from visiontune.tune.nested import ORDERS, SHARES, Features, named_by_ridge, places
from visiontune.tune.outlook import begun, features


def crowd(n, seed, *, noise=0.9, shots=4):
    """Three classes of points in 12 dimensions, four alike pictures a group."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) // shots % 3
    parts = rng.normal(0, noise, (n // shots, 12)).repeat(shots, axis=0)
    values = np.eye(3, 12)[labels] + parts + rng.normal(0, 0.2, (n, 12))
    groups = [f"{seed}-{i // shots}" for i in range(n)]
    return Features(values=values.astype(np.float32), labels=labels, groups=groups)


def mistakes(rng, law, parts, *, shots=1, alike=5.0, wander=0.0):
    """Wrong (sizes, orders, pictures) by a known law: parts differ in how hard they are, subsets in how much they teach."""
    wrong = np.zeros((len(SHARES), ORDERS, parts * shots), bool)
    hard, teaches = rng.random(parts), rng.normal(0, 1, (len(SHARES), ORDERS))
    teaches[-1] = teaches[-1, 0]
    for step, share in enumerate(SHARES):
        mean = law(share)
        chance = beta.ppf(hard, alike * mean, alike * (1 - mean))
        for order in range(ORDERS):
            wandered = np.clip(chance * (1 + wander * teaches[step, order] / np.sqrt(share)), 0, 1)
            wrong[step, order] = rng.random(parts * shots) < wandered.repeat(shots)
    wrong[-1] = wrong[-1, :1]
    return wrong


def told(wrong, *, shots=1, seed=0):
    n = wrong.shape[2]
    member = np.arange(n) // shots
    return expectation("x", wrong, np.full(n, 1 / n), member, Parts(100, 100), np.random.default_rng(seed))


# subsets


def test_subsets_are_nested_whole_and_of_every_class_its_share():
    rng = np.random.default_rng(0)
    labels, member = np.arange(400) % 4, np.arange(400) // 4  # every group holds all four classes
    labels[:200] = np.arange(200) // 4 % 2  # but half of them one only
    place = places(labels, member, rng)
    assert len(place) == 100 and (place >= 0).all() and (place < 1).all()
    before = set()
    for share in SHARES:
        taken = set(np.flatnonzero(place < share))
        assert before <= taken
        before = taken
        alone = [set(np.flatnonzero(np.bincount(member, labels == label) == 4)) for label in (0, 1)]
        for groups in alone:
            assert abs(len(groups & taken) - share * len(groups)) < 1
    assert len(before) == 100


def test_a_thin_class_starves_in_small_subsets_as_it_would():
    labels, member = np.array([0] * 40 + [1] * 2), np.arange(42)
    held = [(places(labels, member, np.random.default_rng(seed)) < 0.25)[40:].sum() for seed in range(400)]
    assert set(held) == {0, 1} and np.mean(held) == pytest.approx(0.5, abs=0.1)


def test_pictures_of_one_group_are_never_divided(monkeypatch):
    train, val = crowd(96, 1), crowd(96, 2)
    seen = []
    real = nested.named_by_ridge

    def spy(values, labels, others, classes):
        rows = {tuple(row) for row in values}
        seen.append({g for g, row in zip(train.groups, train.values, strict=True) if tuple(row) in rows})
        assert len(values) == 4 * len(seen[-1])
        return real(values, labels, others, classes)

    monkeypatch.setattr(nested, "named_by_ridge", spy)
    learning_curve(train, val, "abc")
    assert len(seen) == 1 + ORDERS * (len(SHARES) - 1)


# the head


@pytest.mark.parametrize("n", [30, 300])
def test_the_head_is_ridge_on_balanced_standardised_features(n):
    rng = np.random.default_rng(0)
    labels = rng.choice(3, n, p=(0.6, 0.3, 0.1))
    values = (rng.normal(0, 1, (n, 50)) + np.eye(3, 50)[labels] * 2).astype(np.float32)
    others = rng.normal(0, 1, (200, 50)).astype(np.float32)
    weights = 1 / (3 * np.bincount(labels)[labels])
    mean = weights @ values
    scale = np.sqrt(weights @ (values - mean) ** 2 + 1e-5)
    slow = RidgeClassifier(alpha=1.0).fit((values - mean) / scale, labels, sample_weight=weights)
    assert (named_by_ridge(values, labels, others, 3) == slow.predict((others - mean) / scale)).all()


def test_a_class_that_the_subset_lacks_is_never_named():
    train = crowd(120, 1)
    rows = train.labels != 1
    named = named_by_ridge(train.values[rows], train.labels[rows], train.values, 3)
    assert set(named) == {0, 2}


# the band


def test_the_middle_recovers_known_laws_where_val_is_large():
    for a, b, c in ((0.2, 0.5, 0.05), (0.1, 1.0, 0.0), (0.05, 0.3, 0.0)):
        wrong = mistakes(np.random.default_rng(1), lambda s, a=a, b=b, c=c: a * s**-b / 2 + c, 3000)
        low, middle, high = told(wrong).twice
        assert low <= a * 2**-b / 2 + c <= high
        assert middle == pytest.approx(a * 2**-b / 2 + c, abs=0.02)


def test_the_band_holds_the_truth_about_as_often_as_it_says():
    """Laws, sizes of val, exposures and how much subsets differ are drawn anew each time."""
    rng = np.random.default_rng(5)
    held = []
    for seed in range(150):
        now, b, stays = rng.uniform(0.03, 0.4), rng.uniform(0.2, 1.0), rng.uniform(0, 0.7)
        parts, shots = int(rng.integers(10, 80)), int(rng.integers(1, 4))

        def law(x, now=now, b=b, stays=stays):
            return min(now * (stays + (1 - stays) * x**-b), 0.97)

        wrong = mistakes(rng, law, parts, shots=shots, wander=rng.uniform(0, 0.1))
        low, _, high = told(wrong, shots=shots, seed=seed).twice
        held.append(low <= law(2) <= high)
    assert 0.84 <= np.mean(held) <= 0.99


def test_exposures_of_a_part_do_not_narrow_the_band():
    once = mistakes(np.random.default_rng(2), lambda s: 0.2 * s**-0.3, 40)
    again = once.repeat(5, axis=2)
    one, five = told(once), told(again, shots=5)
    assert five.val.number == one.val.number == 40
    assert five.twice == pytest.approx(one.twice, abs=0.02)
    naive = told(again)  # as if each exposure were a part of its own
    assert naive.high[0] - naive.low[0] < 0.75 * (five.high[0] - five.low[0])


def test_more_pictures_never_promise_more_errors():
    rng = np.random.default_rng(3)
    for seed in range(40):
        wrong = rng.random((len(SHARES), ORDERS, 20)) < rng.random((len(SHARES), 1, 1))
        wrong[-1] = wrong[-1, :1]
        one = told(wrong, seed=seed)
        low, middle, high = one.twice
        assert 0 <= low <= one.low[-1] and high <= one.high[-1] <= 1
        assert middle <= one.errors[-1] + 1e-12
        assert low <= high


def test_no_error_seen_is_not_no_error():
    one = told(np.zeros((len(SHARES), ORDERS, 14), bool))
    assert one.errors[-1] == 0 and one.low[-1] == 0
    assert one.high[-1] == pytest.approx(beta.ppf(0.95, 0.5, 14.5), abs=0.015)
    assert one.twice[0] == one.twice[1] == 0 and one.twice[2] == pytest.approx(one.high[-1])


def test_subsets_that_differ_widen_the_band():
    rng = np.random.default_rng(4)
    calm = mistakes(rng, lambda s: 0.3 * s**-0.2, 400)
    wild = mistakes(rng, lambda s: 0.3 * s**-0.2, 400, wander=0.2)
    widths = [one.twice[2] - one.twice[0] for one in (told(calm), told(wild))]
    assert widths[1] > 1.3 * widths[0]


def test_the_variance_of_subsets_is_told_from_the_chance_of_few_parts():
    rng = np.random.default_rng(6)
    sizes = np.full(50, 1 / 50)
    found = {}
    for spread in (0.0, 0.05):
        rates = np.clip(0.3 + spread * rng.normal(size=(300, 8, 1)), 0, 1)
        missed = (rng.random((300, 8, 50)) < rates) / 50
        found[spread] = np.mean([variance_of_orders(one, sizes) for one in missed])
    assert found[0.05] == pytest.approx(0.05**2, rel=0.35)
    assert found[0.0] < 0.3 * 0.3 * 0.7 / 50


# classes


def shares(train_parts, val_parts, shots=1):
    """Features without values: so many parts of each class."""
    made = []
    for split, counts in (("t", train_parts), ("v", val_parts)):
        labels = np.repeat(np.arange(len(counts)), np.array(counts) * shots)
        groups = [f"{split}{i // shots}" for i in range(len(labels))]
        made.append(Features(values=np.zeros((len(labels), 1), np.float32), labels=labels, groups=groups))
    return made


def test_a_class_too_thin_gets_words_instead_of_numbers():
    train, val = shares((40, FEW - 1, 40, 40, 40), (40, 40, FEW - 1, 0, FEW))
    wrong = np.random.default_rng(0).random((len(SHARES), ORDERS, len(val.labels))) < 0.3
    balanced, by_class = expectations(wrong, train, val, ("a", "b", "c", "d", "e"))
    assert [one.name for one in by_class] == ["a", "b", "c", "e"]  # of d val says nothing at all
    assert [one.twice is None for one in by_class] == [False, True, True, False]
    assert str(by_class[1]) == (
        f"b: too few to say ({FEW - 1} parts in train, 40 parts in val; {FEW} of each are needed)"
    )
    assert "40 parts in train, 7 parts in val" in str(by_class[2]) and "%" not in str(by_class[2])
    assert balanced.twice is not None and balanced.val.number == len(val.labels)


def test_many_exposures_of_few_parts_are_few():
    train, val = shares((40, 40), (40, 5), shots=10)
    wrong = np.random.default_rng(0).random((len(SHARES), ORDERS, len(val.labels))) < 0.3
    _, (a, b) = expectations(wrong, train, val, ("a", "b"))
    assert a.twice is not None and b.twice is None


@pytest.mark.parametrize(
    ("train_parts", "val_parts", "said"),
    [
        ((100, 4), (40, 40), "104 parts that count as 7 in train, 80 parts in val"),
        ((100, 40), (40, 1), "140 parts in train, 41 parts that count as 4 in val"),
    ],
)
def test_all_classes_alike_are_no_surer_than_the_thinnest(train_parts, val_parts, said):
    train, val = shares(train_parts, val_parts)
    wrong = np.random.default_rng(0).random((len(SHARES), ORDERS, len(val.labels))) < 0.3
    balanced, _ = expectations(wrong, train, val, ("a", "b"))
    assert balanced.twice is None and said in str(balanced)


def test_a_part_of_many_pictures_counts_once():
    rng = np.random.default_rng(0)
    labels, member = rng.integers(0, 3, 60), rng.integers(0, 8, 60)
    weights, wrong = part_weights(labels, member), rng.random(60) < 0.4
    by_class = []
    for label in range(3):
        parts = np.unique(member[labels == label])
        by_class.append(np.mean([wrong[(labels == label) & (member == part)].mean() for part in parts]))
    assert weights.sum() == pytest.approx(1)
    assert weights @ wrong == pytest.approx(np.mean(by_class))


def test_all_classes_count_alike():
    train, val = shares((40, 40), (300, 20))
    wrong = np.broadcast_to(val.labels == 1, (len(SHARES), ORDERS, 320))
    balanced, (a, b) = expectations(wrong, train, val, ("a", "b"))
    assert (balanced.errors[-1], a.errors[-1], b.errors[-1]) == pytest.approx((0.5, 0.0, 1.0))


# the whole


def test_the_curve_holds_what_twice_the_pictures_give():
    world, held = crowd(3000, 0), []
    for seed in range(12):
        curve = learning_curve(crowd(240, 100 + seed), crowd(300, 200 + seed), "abc")
        truth = learning_curve(crowd(480, 300 + seed), world, "abc").balanced.errors[-1]
        low, _, high = curve.balanced.twice
        held.append(low <= truth <= high)
    assert sum(held) >= 9


def test_a_curve_speaks_one_line_a_class_and_one_for_all():
    curve = learning_curve(crowd(480, 2), crowd(240, 3), "abc")
    assert curve.pictures == (60, 120, 240, 480) and curve.parts == (15, 30, 60, 120)
    lines = str(curve).splitlines()
    assert [line.split(":")[0] for line in lines] == ["a", "b", "c", "all classes alike"]
    assert all("with twice the pictures expect" in line for line in lines)
    assert json.loads(json.dumps(curve.as_dict()))["balanced"]["says"] == lines[-1]


def test_the_same_seed_gives_the_same_curve():
    train, val = crowd(120, 2), crowd(120, 3)
    assert learning_curve(train, val, "abc") == learning_curve(train, val, "abc")
    assert learning_curve(train, val, "abc") != learning_curve(train, val, "abc", seed=1)


def test_it_takes_seconds():
    """1000 pictures of 300 features and 20 classes: a second is ample."""
    rng = np.random.default_rng(0)
    made = [
        Features(
            values=rng.normal(size=(n, 300)).astype(np.float32),
            labels=rng.integers(0, 20, n),
            groups=[str(i) for i in range(n)],
        )
        for n in (1000, 300)
    ]
    start = time.process_time()
    learning_curve(*made, [str(i) for i in range(20)])
    assert time.process_time() - start < 5


# a run's own


@pytest.fixture
def run(cooked, tmp_path):
    """The shared run with a folder and metrics of its own."""
    return replace(cooked, out=tmp_path, metrics=dict(cooked.metrics))


def test_a_run_has_one_and_keeps_it(run):
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    weights = {name: tensor.clone() for name, tensor in run.net.state_dict().items()}
    curve = run.learning_curve()
    stored = json.loads((run.out / "run.json").read_text())["metrics"]["learning_curve"]
    assert stored["balanced"]["says"] == str(curve.balanced)
    assert curve.pictures[-1] == len(run.data.share("train"))
    assert curve.parts[-1] == len({sample.group for sample in run.data.share("train")})
    assert str(curve.balanced).split(";")[0] in run.console.file.getvalue()
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(weights[name], tensor) for name, tensor in run.net.state_dict().items())


def test_its_features_are_those_from_before_fine_tuning(run):
    """Running statistics too: those of the stages that were opened have moved."""
    net = begun(run)
    moved = [
        name
        for name, buffer in run.net.backbone.named_buffers()
        if name.endswith("running_mean") and not torch.equal(buffer, net.backbone.get_buffer(name))
    ]
    assert moved, "nothing has moved, so this test shows nothing"
    assert not net.training
    for name, parameter in net.backbone.named_parameters():
        assert torch.equal(parameter, run.start[name])
    values = features(run, net, "val")
    assert values.shape[0] == len(run.data.share("val")) and values.dtype == np.float32
    frames = torch.from_numpy(np.array(run.frames["val"][:5]))
    with torch.inference_mode():
        alone = net.backbone(net.normalised(frames))
        tuned = run.net.backbone(run.net.normalised(frames))
    np.testing.assert_allclose(values[:5], alone, rtol=1e-4, atol=1e-5)
    assert not np.allclose(values[:5], tuned, rtol=1e-2)


def test_the_report_shows_it(run):
    assert "How much data is enough" not in run.report().read_text("utf-8")
    curve = run.learning_curve()
    page = run.report().read_text("utf-8")
    assert "How much data is enough" in page and str(curve.balanced) in page
