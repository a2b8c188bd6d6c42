"""The page's numbers against plain counting, scipy and scikit-learn."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from visiontune.report import rates
from visiontune.runtime.bands import Bands


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.booleans(), st.booleans()), max_size=40))
def test_a_part_counts_once_and_any_of_its_pictures_decides(rows):
    groups, chosen, event = [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]
    found = rates.part_rate(groups, np.array(chosen, bool), np.array(event, bool))
    parts = {}
    for group, mine, hit in rows:
        if mine:
            parts[group] = parts.get(group, False) or hit
    assert (found.hits, found.of) == (sum(parts.values()), len(parts))


@pytest.mark.parametrize(("hits", "of"), [(0, 10), (3, 10), (10, 10), (1, 299)])
def test_bounds_are_clopper_and_pearson(hits, of):
    found = rates.rate(hits, of)
    low = beta.ppf(0.025, hits, of - hits + 1) if hits else 0
    high = beta.ppf(0.975, hits + 1, of - hits) if hits < of else 1
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.upper == pytest.approx(beta.ppf(0.95, hits + 1, of - hits) if hits < of else 1)


def test_no_parts_have_no_rate():
    found = rates.rate(0, 0)
    assert found.rate is None and (found.low, found.high, found.upper) == (0, 1, 1)


def test_lines_of_an_inspection_are_counted_plainly(made):
    findings = made()
    bands = findings.bands
    decided = [bands.decide(float(severity)) for severity in findings.severity]
    rows = list(zip(findings.groups, findings.labels, decided, strict=True))
    escaped = {group for group, label, decision in rows if label and decision == "pass"}
    killed = {group for group, label, decision in rows if not label and decision == "reject"}
    found = {line.name: line for line in rates.lines(findings)}
    assert list(found) == ["Escapes", "Overkill", "Review", "Accuracy"]
    assert (found["Escapes"].rate.hits, found["Escapes"].rate.of) == (
        len(escaped),
        len({group for group, label, _ in rows if label}),
    )
    assert (found["Overkill"].rate.hits, found["Overkill"].rate.of) == (
        len(killed),
        len({group for group, label, _ in rows if not label}),
    )
    assert found["Review"].rate.hits == decided.count("review")
    assert escaped and killed  # the made-up findings can tell


def test_lines_without_a_good_class_count_wrong_kinds_among_the_passed(made):
    findings = made(inspects=False)
    passed = findings.severity < np.float32(0.3)
    line = rates.lines(findings)[0]
    assert line.name == "Wrong kind"
    assert (line.rate.hits, line.rate.of) == (
        (passed & (findings.named != findings.labels)).sum(),
        passed.sum(),
    )


def test_lines_without_bands_are_about_accuracy_alone(made):
    assert [line.name for line in rates.lines(made(bands=None))] == ["Accuracy"]
    assert rates.fates(made(bands=None)) == []


def test_fates_count_every_picture_once(made):
    findings = made()
    fates = rates.fates(findings)
    assert [name for name, _ in fates] == ["good", "defective"]
    assert sum(fates[0][1]) == (findings.labels == 0).sum()
    assert sum(map(sum, (row for _, row in fates))) == len(findings.labels)


def test_recall_of_every_class_is_the_diagonal_of_the_confusion(made):
    findings = made(right=0.7)
    table = confusion_matrix(findings.labels, findings.named, labels=range(4))
    for index, line in enumerate(rates.class_lines(findings)):
        assert (line.recall.hits, line.recall.of) == (table[index, index], table[index].sum())


def test_escapes_of_a_kind_are_its_parts_that_pass_whatever_they_are_named(made):
    findings = made()
    lines = rates.class_lines(findings)
    assert lines[0].escapes is None  # a good part cannot escape
    passed = findings.severity < np.float32(0.3)
    for index in (1, 2, 3):
        mine = findings.labels == index
        parts = {findings.groups[i] for i in np.flatnonzero(mine)}
        escaped = {findings.groups[i] for i in np.flatnonzero(mine & passed)}
        assert (lines[index].escapes.hits, lines[index].escapes.of) == (len(escaped), len(parts))


def test_a_class_that_val_lacks_has_no_recall(made):
    findings = made()
    labels = np.where(findings.labels == 2, 1, findings.labels)
    line = rates.class_lines(replace(findings, labels=labels))[2]
    assert (line.pictures, line.parts, line.recall, line.escapes) == (0, 0, None, None)


def test_balanced_accuracy_is_scikit_learns_and_lies_in_its_interval(made):
    findings = made(right=0.7)
    value, interval = rates.balanced(findings)
    assert value == pytest.approx(balanced_accuracy_score(findings.labels, findings.named))
    assert interval[0] < value < interval[1]


def test_one_part_has_no_interval(made):
    assert rates.balanced(made(groups=["only"] * 150))[1] is None


def test_commonest_confusions_are_sorted_mistakes(made):
    findings = made(right=0.5)
    wrong = Counter(
        (findings.classes[a], findings.classes[b])
        for a, b in zip(findings.labels, findings.named, strict=True)
        if a != b
    )
    found = rates.commonest_confusions(findings, count=100)
    assert {(a, b): n for n, a, b in found} == wrong
    assert [n for n, _, _ in found] == sorted(wrong.values(), reverse=True)
    assert len(rates.commonest_confusions(findings, count=3)) == 3


def test_a_severity_on_the_threshold_goes_to_review_as_it_does_on_the_line(made):
    findings = made(severity=np.full(150, 0.3, np.float32), bands=Bands(0.3, 0.8))
    assert set(rates.decisions(findings)) == {1}
