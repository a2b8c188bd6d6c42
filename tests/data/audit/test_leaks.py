"""Leaks: the expected share against counting every draw, and splits that tear parts and groups apart."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontune.data.audit import audit
from visiontune.data.audit.leaks import random_leak
from visiontune.data.read import read


def leaked_by_every_draw(clusters, drawn):
    """Slow: over all ways to draw the train pictures, the mean share of the others with a twin in train."""
    n = len(clusters)
    shares = []
    for train in combinations(range(n), drawn):
        seen = {clusters[i] for i in train}
        others = [i for i in range(n) if i not in train]
        shares.append(sum(clusters[i] in seen for i in others) / len(others))
    return sum(shares) / len(shares)


@given(st.lists(st.integers(0, 3), min_size=3, max_size=8), st.sampled_from([0.4, 0.5, 0.7]))
def test_the_expected_leak_is_exact(clusters, train):
    drawn = round(train * len(clusters))
    if drawn < len(clusters):
        assert random_leak(clusters, train=train) == pytest.approx(leaked_by_every_draw(clusters, drawn))


def test_nothing_leaks_without_twins():
    assert random_leak(range(100)) == 0
    assert random_leak([]) == 0


def test_six_exposures_of_each_part_leak_almost_surely():
    assert random_leak([i // 6 for i in range(1200)]) == pytest.approx(1 - 0.3**5, abs=1e-3)


def test_a_random_split_of_ungrouped_exposures_leaks(painted):
    found = audit(painted.root, ignore=("group",))
    (leak,) = found.by_code["random-split-leaks"]
    assert leak.harm == "serious" and leak.numbers["by_found_parts"] == 0
    twins = 2 * found.by_code["exposures"][0].count
    assert leak.numbers["expected_share_with_twin"] == pytest.approx(0.7 * twins / 176, abs=0.01)
    assert found.by_code["exposures"][0].harm == "check"


@pytest.fixture(scope="module")
def divided(painted):
    """The clean set with splits: three parts on both sides, of which two are one group."""
    data = read(painted.root)
    shares = {}
    for number, names in enumerate(painted.parts("good") + painted.parts("scratch") + painted.parts("stain")):
        share = ("train", "train", "val", "test")[number % 4]
        shares |= dict.fromkeys(names, share)
    torn = painted.parts("good")[:3]
    for (one, other), share in zip(torn, ("test", "test", "val"), strict=True):
        shares |= {one: "train", other: share}
    apart = set(torn[2])  # each its own group: only the pixels tell
    samples = tuple(
        replace(sample, split=shares[sample.id], group=sample.id if sample.id in apart else sample.group)
        for sample in data
    )
    return replace(data, samples=samples), torn


def test_twins_across_splits_are_counted(divided):
    data, torn = divided
    (found,) = audit(data).by_code["twins-across-splits"]
    assert found.harm == "serious"
    assert set(found.files) == {names[1] for names in torn}
    assert found.numbers["test"]["leaked"] == 2 and found.numbers["val"]["leaked"] == 1
    assert {frozenset(names) for names in found.sets} == {frozenset(names) for names in torn}


def test_torn_groups_are_named(divided):
    data, torn = divided
    (found,) = audit(data).by_code["torn-groups"]
    assert set(found.files) == {name for names in torn[:2] for name in names}
    assert found.count == 2 and found.harm == "serious"


def test_a_split_by_whole_parts_gives_no_alarm(painted):
    from visiontune.data.splits import split

    found = audit(split(read(painted.root)))
    assert {finding.harm for finding in found.findings} == {"note"}
