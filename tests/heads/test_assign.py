"""Assignment of cells to boxes against plain loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune.heads.assign import IGNORE, NEAR, PADDING, assigned
from visiontune.heads.boxes import overlaps
from visiontune.heads.levels import centres

GRIDS, STRIDES = [(4, 4), (2, 2)], (8, 16)


def slow(scores, predicted, points, strides, boxes, kinds, top):
    """One picture, box by box and cell by cell: owner, target and whether it counts, of each cell."""
    cells = range(len(points))
    share = overlaps(torch.tensor(boxes)[:, None], torch.tensor(predicted)).tolist()  # has a test of its own
    holds = [[b[0] < x < b[2] and b[1] < y < b[3] for x, y in points] for b in boxes]
    wants = {at: [] for at in cells}
    for m, (box, kind) in enumerate(zip(boxes, kinds, strict=True)):
        if kind < 0:
            continue
        middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        far = [((x - middle[0]) ** 2 + (y - middle[1]) ** 2) ** 0.5 for x, y in points]
        may = [at for at in cells if holds[m][at]]
        if not may:
            may = [min((at for at in cells if strides[at] == min(strides)), key=lambda at: far[at])]
        aligned = {at: scores[at][kind] * share[m][at] ** 3 + NEAR / (1 + far[at]) for at in may}
        for at in sorted(may, key=lambda at: -aligned[at])[:top]:
            wants[at].append(m)
    owner = [max(wants[at], key=lambda m: share[m][at]) if wants[at] else -1 for at in cells]
    target = [0.0] * len(points)
    for m in set(owner) - {-1}:
        mine = [at for at in cells if owner[at] == m]
        aligned = {at: scores[at][kinds[m]] * share[m][at] ** 3 for at in mine}
        most, widest = max(aligned.values()), max(share[m][at] for at in mine)
        for at in mine:
            target[at] = aligned[at] / most * widest if most > 0 else 0.0
    ignored = [
        any(holds[m][at] for m, kind in enumerate(kinds) if kind == IGNORE) and owner[at] < 0 for at in cells
    ]
    return owner, target, [not one for one in ignored]


def drawn(data, count):
    """Boxes in sixteenths, so that ties are rare and cell centres seldom on a border."""
    edge = st.integers(-64, 36 * 16).map(lambda v: v / 16 + 0.013)
    found = []
    for _ in range(count):
        x0, y0 = data.draw(edge), data.draw(edge)
        found.append(
            (x0, y0, x0 + data.draw(st.integers(0, 400)) / 16, y0 + data.draw(st.integers(0, 400)) / 16)
        )
    return found


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_cells_get_boxes_as_plain_loops_give_them(data):
    points, strides = centres(GRIDS, STRIDES)
    count = data.draw(st.integers(1, 4))
    boxes = drawn(data, count)
    kinds = data.draw(st.lists(st.sampled_from([0, 1, PADDING, IGNORE]), min_size=count, max_size=count))
    rng = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    scores = torch.rand(len(points), 2, generator=rng)
    reach = 20 * torch.rand(len(points), 4, generator=rng)
    predicted = torch.cat([points - reach[:, :2], points + reach[:, 2:]], dim=1)
    top = data.draw(st.integers(1, 6))
    found = assigned(
        scores[None], predicted[None], points, strides, torch.tensor([boxes]), torch.tensor([kinds]), top=top
    )
    owner, target, counts = slow(
        scores.tolist(), predicted.tolist(), points.tolist(), strides.tolist(), boxes, kinds, top
    )
    assert found.owner[0].tolist() == owner
    assert found.target[0].tolist() == pytest.approx(target, abs=1e-5)
    assert found.counts[0].tolist() == counts


def alone(box, kind=0, top=10):
    points, strides = centres(GRIDS, STRIDES)
    predicted = torch.cat([points - 4, points + 4], dim=1)
    scores = torch.full((1, len(points), 1), 0.01)
    boxes, kinds = torch.tensor([[box]]), torch.tensor([[kind]])
    return assigned(scores, predicted[None], points, strides, boxes, kinds, top=top)


@pytest.mark.parametrize("box", [(0.0, 0.0, 1.0, 1.0), (31.0, 31.0, 32.0, 32.0), (8.0, 8.0, 8.0, 8.0)])
def test_every_box_has_a_cell_of_the_finest_map_however_small(box):
    owner = alone(box).owner[0]
    assert (owner == 0).sum() == 1
    assert (owner[:16] == 0).any()


def test_a_box_beyond_all_that_is_predicted_has_cells_all_the_same():
    points, strides = centres(GRIDS, STRIDES)
    nowhere = torch.zeros(1, len(points), 4)
    found = assigned(
        torch.full((1, len(points), 1), 0.01),
        nowhere,
        points,
        strides,
        torch.tensor([[[8.0, 8, 24, 24]]]),
        torch.tensor([[0]]),
    )
    assert (found.owner == 0).sum() == 4  # the coarser map's centres lie on the border
    assert not found.target.any()


@pytest.mark.parametrize("kind", [PADDING, IGNORE])
def test_padding_and_ignored_boxes_own_nothing(kind):
    found = alone((0.0, 0.0, 16.0, 16.0), kind)
    assert (found.owner == -1).all()
    inside = 4 + 1
    assert (~found.counts).sum() == (inside if kind == IGNORE else 0)
