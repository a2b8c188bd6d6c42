"""Greedy k-centre against a slow oracle."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from visiontune.heads.coreset import coreset


def slow(vectors, count):
    """The same by loops over all distances, in float64."""
    apart = np.sqrt(((vectors[:, None] - vectors[None]) ** 2).sum(axis=2))
    found = [int(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).argmin())]
    while len(found) < count:
        nearest = apart[:, found].min(axis=1)
        if nearest.max() == 0:
            break
        found.append(int(nearest.argmax()))
    return found


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 45), st.integers(0, 2**31))
def test_it_takes_what_a_slow_search_takes(n, d, count, seed):
    vectors = np.random.default_rng(seed).normal(size=(n, d))
    found = coreset(torch.from_numpy(vectors), count).tolist()
    assert found == slow(vectors, min(count, n))


def test_copies_are_not_taken_twice():
    vectors = torch.tensor([[0.0, 0], [4, 0], [0, 0], [4, 0], [1, 1]])
    assert sorted(vectors[coreset(vectors, 5)].tolist()) == [[0, 0], [1, 1], [4, 0]]


def test_nothing_of_nothing():
    assert coreset(torch.zeros(0, 3), 4).tolist() == [] and coreset(torch.ones(3, 2), 0).tolist() == []


def test_none_is_left_farther_than_twice_the_best():
    """Six clusters: with six centres none of the vectors lies outside a cluster that has one."""
    rng = np.random.default_rng(0)
    corners = np.array([[0, 0], [0, 9], [9, 0], [9, 9], [20, 0], [0, 20]], float)
    vectors = torch.from_numpy(np.repeat(corners, 30, axis=0) + rng.uniform(-0.5, 0.5, (180, 2)))
    taken = coreset(vectors, 6)
    assert sorted((taken // 30).tolist()) == [0, 1, 2, 3, 4, 5]
