"""Batches: bit-equal for any number of workers, new in every epoch, whatever the pictures lie in."""

import os
import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from visiontune.data import policies
from visiontune.data.batches import Views, collate, evaluation_batches, training_batches
from visiontune.data.box_targets import IGNORE, Boxes, BoxTargets
from visiontune.data.fit import Fit
from visiontune.data.policy import Policy, Step, view_seed
from visiontune.data.read import read
from visiontune.data.store import load

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker:UserWarning")

SIZE = (24, 20)
FIT = Fit(SIZE)
N, BATCH = 13, 4
POLICIES = (policies.flat_sheet, policies.fixed_part, policies.natural, policies.xray, policies.road_signs)
EVERYTHING = Policy(  # each transform that any policy uses, once
    "everything", tuple({step.transform: step for made in POLICIES for step in made().steps}.values())
)


@pytest.fixture(scope="module")
def share(tmp_path_factory):
    """Thirteen pictures of two classes, one with a name that is no UTF-8."""
    from PIL import Image

    root = tmp_path_factory.mktemp("batches") / "parts"
    for i in range(N):
        path = root / ("good" if i % 3 else "crack") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (*SIZE, 3), np.uint8)
        Image.fromarray(pixels).resize((40, 30)).save(path)
    if sys.platform == "linux":
        (root / "good/1.png").rename(os.fsdecode(os.fsencode(root) + b"/good/1\xff.png"))
    return read(root)


@pytest.fixture(params=["memory", "stored", "half stored", "anew"])
def frames(request, share, tmp_path):
    row = SIZE[0] * SIZE[1] * 3 + 74
    options = {
        "memory": {},
        "stored": {"folder": tmp_path},
        "half stored": {"folder": tmp_path, "store_gb": 6 * row / 1e9},
        "anew": {"folder": tmp_path, "store_gb": 0},
    }
    return load(share, FIT, **options[request.param])


def epoch_of(share, frames, *, epoch, workers, seed=5):
    """All batches of an epoch, and the state that the global generator is left in."""
    torch.manual_seed(11)
    views = Views(share, frames, policy=EVERYTHING, seed=seed, view=epoch)
    batches = list(training_batches(views, batch=BATCH, seed=seed, epoch=epoch, workers=workers))
    return batches, torch.get_rng_state()


def equal(here, there):
    return len(here) == len(there) and all(
        torch.equal(a[name], b[name])
        for a, b in zip(here, there, strict=True)
        for name in ("frames", "label", "index")
    )


def test_bit_equal_for_any_number_of_workers(share, frames):
    first, state = epoch_of(share, frames, epoch=3, workers=0)
    assert len(first) == N // BATCH
    for workers in (1, 4):
        again, same = epoch_of(share, frames, epoch=3, workers=workers)
        assert equal(first, again)
        assert torch.equal(state, same)  # so dropout goes on from the same place


def test_bit_equal_wherever_the_pictures_lie(share, frames):
    here, _ = epoch_of(share, frames, epoch=1, workers=0)
    there, _ = epoch_of(share, load(share, FIT), epoch=1, workers=0)
    assert equal(here, there)


def test_bit_equal_where_workers_are_started_anew(share, frames):
    """As on Windows and macOS, where a worker gets the views by pickle instead of sharing the memory."""
    views = Views(share, frames, policy=EVERYTHING, seed=5, view=2)
    there = pickle.loads(pickle.dumps(views))
    wanted = collate([views[i] for i in range(N)])
    found = collate([there[i] for i in range(N)])
    assert equal([wanted], [found])


@pytest.mark.slow
def test_bit_equal_in_a_worker_that_was_started_anew(share, frames):
    views = Views(share, frames, policy=EVERYTHING, seed=5, view=2)
    loader = training_batches(views, batch=BATCH, seed=5, epoch=2, workers=1)
    loader.multiprocessing_context = "spawn"
    assert equal(list(loader), epoch_of(share, frames, epoch=2, workers=0)[0])


@pytest.mark.parametrize("workers", [0, 2])
def test_epochs_differ_in_order_and_in_every_picture(share, workers):
    frames = load(share, FIT)
    seen = {}
    for epoch in range(3):
        for batch in epoch_of(share, frames, epoch=epoch, workers=workers)[0]:
            for index, frame in zip(batch["index"].tolist(), batch["frames"], strict=True):
                seen.setdefault(index, []).append(frame.numpy().tobytes())
    assert sum(len(found) > 1 for found in seen.values()) > N // 2
    assert all(len(set(found)) == len(found) for found in seen.values())
    orders = {tuple(np.concatenate([b["index"] for b in epoch_of(share, frames, epoch=e, workers=workers)[0]]))
              for e in range(3)}  # fmt: skip
    assert len(orders) == 3


def test_workers_do_not_repeat_each_others_stream(share):
    """The same picture under many names: every name has views of its own, in whichever worker."""
    frames = np.repeat(load(share, FIT)[:1], N, axis=0)
    batches, _ = epoch_of(share, frames, epoch=0, workers=4)
    views = {frame.numpy().tobytes() for batch in batches for frame in batch["frames"]}
    assert len(views) == N // BATCH * BATCH


def test_another_seed_gives_other_views(share):
    frames = load(share, FIT)
    here, there = (epoch_of(share, frames, epoch=0, workers=0, seed=seed)[0] for seed in (5, 6))
    assert not equal(here, there)


def test_labels_and_positions_belong_to_their_pictures(share, frames):
    views = Views(share, frames, policy=None, seed=0, view=0)
    plain = load(share, FIT)
    for batch in [
        *training_batches(views, batch=BATCH, seed=1, epoch=1),
        *evaluation_batches(views, batch=BATCH),
    ]:
        for frame, label, index in zip(batch["frames"], batch["label"], batch["index"], strict=True):
            assert np.array_equal(frame.numpy(), plain[int(index)])
            assert share.classes[int(label)] == share.samples[int(index)].label
    order = [int(i) for batch in evaluation_batches(views, batch=BATCH) for i in batch["index"]]
    assert order == list(range(N))


def test_pictures_in_a_batch_can_be_written_without_reaching_the_store(share, tmp_path):
    frames = load(share, FIT, folder=tmp_path)
    views = Views(share, frames, policy=policies.none(), seed=0, view=0)
    before = np.array(frames[:])
    for batch in evaluation_batches(views, batch=BATCH):
        batch["frames"].zero_()
    assert np.array_equal(frames[:], before)


def test_a_share_smaller_than_a_batch_is_one_batch(share):
    few = replace(share, samples=share.samples[:3])
    views = Views(few, load(few, FIT), policy=None, seed=0, view=0)
    [batch] = training_batches(views, batch=BATCH, seed=0, epoch=0)
    assert sorted(batch["index"].tolist()) == [0, 1, 2]


def test_frames_and_samples_must_be_as_many(share):
    with pytest.raises(ValueError, match="12 frames for 13 samples"):
        Views(share, load(share, FIT)[:12], policy=None, seed=0, view=0)


def boxes_of_all():
    """Two boxes in every picture but the first, which holds none, and the second, of which nothing is known."""
    corners = np.array([[2, 3, 9, 20], [15, 0, 20, 6]], np.float32)
    one = Boxes(corners, np.array([1, IGNORE]), True)
    none = Boxes(corners[:0], one.kinds[:0], True)
    return BoxTargets.of([none, none._replace(known=False)] + [one] * (N - 2))


def test_boxes_without_a_policy_stay_as_they_are(share):
    views = Views(share, load(share, FIT), policy=None, seed=0, view=0, boxes=boxes_of_all())
    (batch,) = evaluation_batches(views, batch=N)
    assert batch["boxes"].shape == (N, 2, 4) and batch["boxes"].dtype == torch.float32
    assert batch["box_kinds"].tolist() == [[-1, -1]] * 2 + [[1, IGNORE]] * (N - 2)
    assert batch["known"].tolist() == [True, False] + [True] * (N - 2)
    assert not batch["boxes"][:2].any()
    assert batch["boxes"][2].tolist() == [[2, 3, 9, 20], [15, 0, 20, 6]]


def test_boxes_are_turned_with_their_picture(share):
    turned = Policy("turned", (Step("HorizontalFlip"),))
    views = Views(share, load(share, FIT), policy=turned, seed=0, view=0, boxes=boxes_of_all())
    (batch,) = evaluation_batches(views, batch=N)
    assert batch["boxes"][5].tolist() == [[11, 3, 18, 20], [0, 0, 5, 6]]
    assert batch["box_kinds"][5].tolist() == [1, IGNORE]
    assert batch["known"].tolist() == [True, False] + [True] * (N - 2)


def test_a_view_that_lost_every_object_is_unknown(share):
    away = Policy("away", (Step("RandomResizedCrop", scale=(0.1, 0.1)),))
    seen = set()
    for view in range(20):
        views = Views(share, load(share, FIT), policy=away, seed=0, view=view, boxes=boxes_of_all())
        for index in range(2, N):
            found = views[index]["boxes"]
            kinds = found.kinds.tolist()
            assert found.known == (1 in kinds) and (found.known or kinds == [])
            seen.add(tuple(kinds))
    assert {(1,), ()} <= seen


@pytest.mark.parametrize(("moved", "kind"), [(0.25, 1), (0.5, IGNORE)])
def test_what_a_view_leaves_of_a_box_is_ignored_if_it_is_less_than_a_quarter(share, moved, kind):
    corners = np.array([[8, 1, 20, 11], [4, 1, 7, 5]], np.float32)  # the first is moved out of the right edge
    boxes = BoxTargets.of([Boxes(corners, np.array([1, 0]), True)] * N)
    away = Policy("away", (Step("Affine", translate_percent=(moved, moved)),))
    found = Views(share, load(share, FIT), policy=away, seed=0, view=0, boxes=boxes)[3]["boxes"]
    told = dict(zip(map(tuple, found.corners.round(3).tolist()), found.kinds.tolist(), strict=True))
    across, down = 20 * moved, 24 * moved  # the mirrored border shows them again, elsewhere
    assert told[8 + across, 1 + down, 20, 11 + down] == kind
    assert told[4 + across, 1 + down, 7 + across, 5 + down] == 0
    assert found.known


def test_boxes_are_bit_equal_for_any_number_of_workers(share):
    views = Views(share, load(share, FIT), policy=EVERYTHING, seed=5, view=2, boxes=boxes_of_all())
    ways = [list(training_batches(views, batch=BATCH, seed=5, epoch=2, workers=w)) for w in (0, 2)]
    for here, there in zip(*ways, strict=True):
        assert all(torch.equal(here[name], there[name]) for name in ("boxes", "box_kinds", "known", "frames"))


def test_boxes_do_not_change_what_a_view_shows(share):
    plain, boxed = (
        Views(share, load(share, FIT), policy=EVERYTHING, seed=5, view=2, boxes=boxes)
        for boxes in (None, boxes_of_all())
    )
    assert all(np.array_equal(plain[i]["frames"], boxed[i]["frames"]) for i in range(N))


def test_a_views_seed_takes_any_name():
    assert view_seed(0, "good/1\udcff.png", 0) != view_seed(0, "good/1\udcfe.png", 0)
    assert view_seed(0, "good/ä.png", 3) == view_seed(0, "good/ä.png", 3)
