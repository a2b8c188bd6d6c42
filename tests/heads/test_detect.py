"""The Detect head: its levels, its words, its start, and what it refuses."""

import pytest
import torch

from visiontune.heads import Detect, Labels, Pyramid
from visiontune.heads.detect import RARE
from visiontune.heads.levels import Levels, centres
from visiontune.heads.suppression import BOX_WORD, SCORE_WORD
from visiontune.runtime.errors import BadRecipe

LABELS = Labels(classes=("good", "crack", "pit"), good="good", counts=(9, 9, 9), kinds=("pit", "crack"))
SIZE = (64, 96)
PYRAMID = Pyramid(pooled=6, channels=(4, 8, 12, 16), strides=(4, 8, 16, 32), size=SIZE)


def features(n=3, seed=0):
    rng = torch.Generator().manual_seed(seed)
    maps = [
        torch.randn(n, channels, SIZE[0] // stride, SIZE[1] // stride, generator=rng)
        for channels, stride in zip(PYRAMID.channels, PYRAMID.strides, strict=True)
    ]
    return (torch.randn(n, 6, generator=rng), *maps)


def made(**options):
    torch.manual_seed(0)
    return Detect(width=16, **options).build(PYRAMID, LABELS).eval()


@pytest.mark.parametrize(
    ("strides", "size", "expected"),
    [
        ((4, 8, 16, 32), (64, 96), (8, 16, 32)),  # 3 cells at 32 are not worth another level
        ((4, 8, 16, 32), (224, 224), (8, 16, 32, 64)),
        (
            (16, 16, 16),
            (224, 224),
            (16, 32, 64),
        ),  # a plain transformer: one level of all its maps, the others pooled
        ((4, 8, 16, 32, 64), (512, 512), (8, 16, 32, 64)),
        ((2, 4), (64, 64), (2, 4, 8, 16, 32)),
    ],
)
def test_levels_have_the_strides_they_say(strides, size, expected):
    pyramid = Pyramid(pooled=1, channels=(3,) * len(strides), strides=strides, size=size)
    levels = Levels(pyramid, 8)
    assert levels.strides == expected
    found = levels([torch.randn(2, 3, -(-size[0] // stride), -(-size[1] // stride)) for stride in strides])
    assert [tuple(one.shape) for one in found] == [
        (2, 8, -(-size[0] // stride), -(-size[1] // stride)) for stride in expected
    ]


def test_centres_lie_in_the_middle_of_their_cells():
    points, sides = centres([(2, 3), (1, 1)], (8, 16))
    assert points.tolist() == [[4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12], [8, 8]]
    assert sides.tolist() == [8.0] * 6 + [16.0]


def test_it_begins_with_rare_boxes_and_no_opinion_of_the_frame():
    head = made()
    said = head.exported(head(features()))
    assert said[SCORE_WORD].mean().item() == pytest.approx(RARE, rel=0.1)
    assert said["kinds"].allclose(torch.full((3, 3), 1 / 3))
    reach = said[BOX_WORD][..., 2:] - said[BOX_WORD][..., :2]
    assert reach.amax() <= SIZE[1]
    assert (reach >= 0).all()


def test_its_words_are_those_of_the_vocabulary():
    head = made(least=0.001, most=7)
    answer = head.answer(head(features()))
    shapes = {word: (tuple(value.shape), value.dtype) for word, value in answer.items()}
    assert shapes == {
        "severity": ((3,), torch.float32),
        "kinds": ((3, 3), torch.float32),
        "heatmap": ((3, 8, 12), torch.float32),
        "boxes": ((3, 7, 4), torch.float32),
        "box_scores": ((3, 7), torch.float32),
        "box_kinds": ((3, 7), torch.int64),
    }
    assert set(answer["box_kinds"].unique().tolist()) <= {1, 2}
    assert (answer["box_scores"][:, :-1] >= answer["box_scores"][:, 1:]).all()
    assert ((answer["heatmap"] > 0) & (answer["heatmap"] < 1)).all()


def test_a_box_is_named_by_its_place_among_the_classes():
    head = made(most=2)
    _, *maps = head(features(n=1))
    scores, distances = head.maps((None, *maps))
    for one in scores:
        one.fill_(-9)
    scores[0][0, 0, 2, 3] = 4.0  # a pit
    scores[1][0, 1, 1, 4] = 3.0  # a crack
    distances[0][0, :, 2, 3] = torch.tensor([5.0, 6, 7, 8])
    answer = head.answer((torch.zeros(1, 3), *scores, *distances))
    assert answer["box_kinds"].tolist() == [[2, 1]]
    x, y = 3.5 * 8, 2.5 * 8
    assert answer["boxes"][0, 0].tolist() == pytest.approx([x - 5, y - 6, x + 7, y + 8])
    assert answer["heatmap"][0, 2, 3] == answer["box_scores"][0, 0]
    assert answer["heatmap"][0, 3, 9] == answer["box_scores"][0, 1]  # within the coarser cell


def test_no_boxes_are_rows_of_nothing():
    head = made(least=0.9)
    answer = head.answer(head(features()))
    for word in ("boxes", "box_scores", "box_kinds"):
        assert not answer[word].any()


def test_it_learns_boxes_and_verdict_together():
    head = made().train()
    raw = head(features())
    boxes = torch.zeros(3, 3, 4)
    boxes[0] = torch.tensor([[1.0, 1, 24, 24], [30, 5, 80, 60], [0, 0, 96, 64]])  # one for each level
    batch = {
        "label": torch.tensor([2, 0, 1]),
        "boxes": boxes,
        "box_kinds": torch.tensor([[0, 1, 0], [-1, -1, -1], [-1, -1, -1]]),
        "known": torch.tensor([True, True, False]),
    }
    more = head.map_losses(raw, batch)
    assert more.shape == (3,)
    assert more[2] == 0
    assert head.loss(raw, batch).item() == pytest.approx((head.losses(raw[0], batch) + more).mean().item())
    assert head.map_losses(raw, {"label": batch["label"]}) is None
    head.loss(raw, batch).backward()
    still = [name for name, p in head.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still


def test_an_epoch_is_judged_by_the_boxes_that_stay():
    head = made()
    _, *maps = head(features(n=1))
    scores, distances = head.maps((None, *maps))
    for one in scores:
        one.fill_(-9)
    scores[0][0, 0, 2, 3] = 2.0
    distances[0][0, :, 2, 3] = torch.tensor([12.0, 12, 12, 12])
    raw = (torch.zeros(1, 3), *scores, *distances)
    batch = {"boxes": torch.tensor([[[16.0, 8, 40, 32]]]), "known": torch.tensor([True])}
    sure = torch.tensor(2.0).sigmoid().item()
    assert head.lacks(raw, {**batch, "box_kinds": torch.tensor([[0]])}).item() == pytest.approx(
        (1 - sure) ** 2, rel=1e-4
    )
    assert head.lacks(raw, {**batch, "box_kinds": torch.tensor([[1]])}).item() == pytest.approx(1 + sure**2)
    assert head.lacks(raw, {}) is None


@pytest.mark.parametrize(
    "options",
    [
        {"width": 4},
        {"depth": 0},
        {"most": 0},
        {"most": 10.0},
        {"least": 0.0},
        {"overlap": 1.0},
        {"box_share": 0.0},
    ],
)
def test_options_are_checked(options):
    (name,) = options
    with pytest.raises(BadRecipe, match=f"Detect.{name} must"):
        Detect(**options)


@pytest.mark.parametrize("options", [{"smoothing": 1.0}, {"adjust": "yes"}])
def test_options_of_the_verdict_are_checked_under_this_heads_name(options):
    with pytest.raises(BadRecipe, match=r"^Detect\."):
        Detect(**options)


@pytest.mark.parametrize("kinds", [(), ("crack", "hole")])
def test_kinds_of_boxes_must_be_classes(kinds):
    labels = Labels(classes=LABELS.classes, good="good", counts=(1, 1, 1), kinds=kinds)
    with pytest.raises(BadRecipe, match="kinds are classes of the data"):
        Detect().build(PYRAMID, labels)
