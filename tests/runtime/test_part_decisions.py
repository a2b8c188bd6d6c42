"""The decision on a part, against a slow recount."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from visiontune.runtime.part_decisions import group_indices, part_decisions

row = st.tuples(st.sampled_from("abcde"), st.booleans(), st.integers(0, 2))


@given(st.lists(row, min_size=1, max_size=40))
def test_a_part_has_the_decision_that_does_most_harm(rows):
    groups = group_indices([group for group, _, _ in rows])
    found = part_decisions(groups, np.array([bad for _, bad, _ in rows]), np.array([d for _, _, d in rows]))
    names = list(dict.fromkeys(group for group, _, _ in rows))
    table = np.zeros((len(names), 6))
    for side, worst in ((True, min), (False, max)):
        counts = [0, 0, 0]
        for g, name in enumerate(names):
            seen = [d for group, bad, d in rows if group == name and bad == side]
            if seen:
                counts[worst(seen)] += 1
                table[g, worst(seen) + 3 * (not side)] += 1
        assert found.counts(side) == tuple(counts)
    assert (found.by_group(len(names)) == table).all()


def test_groups_are_numbered_as_they_come():
    assert group_indices(["b", "a", "b", "c"]).tolist() == [0, 1, 0, 2]
