"""The execution of policies: the same view anywhere, labels that move along, nothing changed outside."""

import hashlib
import json
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage

from visiontune.data import opencv, policies
from visiontune.data.policy import Policy, Step
from visiontune.data.transforms import TRANSFORMS, Span, Value

NAMED = {
    policy.name: policy
    for policy in (
        policies.none(),
        policies.flat_sheet(),
        policies.fixed_part(),
        policies.natural(),
        policies.xray(),
        policies.road_signs(),
    )
}
MOVES = {"HorizontalFlip", "VerticalFlip", "Transpose", "Affine", "RandomResizedCrop"}
each_policy = pytest.mark.parametrize("policy", NAMED.values(), ids=NAMED.keys())


def texture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A soft, lopsided colour picture, uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (8, 8, 3), np.uint8)
    picture = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    picture[: height // 3, : width // 4] //= 3
    return np.asarray(picture, np.uint8)


def geometry(policy: Policy) -> Policy:
    """The policy's steps that move things: they come first, so they draw as they do in the whole policy."""
    count = sum(step.transform in MOVES for step in policy.steps)
    first = policy.steps[:count]
    assert all(step.transform in MOVES for step in first)
    return Policy(policy.name, first)


def fingerprint(policy: Policy, picture: NDArray[np.uint8], seed: int) -> str:
    """Everything a policy gives for one picture, mask and two boxes, as a hash."""
    height, width = picture.shape[:2]
    boxes = np.array([[1, 2, width / 2, height / 2], [width / 3, 0, width, 9]], float)
    view = policy(picture, seed=seed, mask=picture[..., 0].copy(), boxes=boxes, kinds=["a", "b"])
    assert view.mask is not None
    assert view.boxes is not None
    whole = hashlib.sha256(view.image.tobytes() + view.mask.tobytes() + view.boxes.tobytes())
    return whole.hexdigest() + repr(view.kinds)


@each_policy
def test_a_view_is_the_same_in_any_order_and_thread(policy: Policy) -> None:
    picture = texture(61, 64)
    seeds = list(range(24))
    expected = [fingerprint(policy, picture, seed) for seed in seeds]
    shuffled = random.Random(1).sample(seeds, len(seeds))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads change places in the middle of a view
    try:
        with ThreadPoolExecutor(6) as threads:
            for again in (shuffled, seeds * 4):
                found = list(threads.map(lambda seed: fingerprint(policy, picture, seed), again))
                assert found == [expected[seed] for seed in again]
    finally:
        sys.setswitchinterval(interval)


@each_policy
def test_a_view_has_nothing_to_do_with_the_global_generators(policy: Policy) -> None:
    picture = texture(61, 64)
    seeds = list(range(24))
    expected = [fingerprint(policy, picture, seed) for seed in seeds]
    for state in (0, 1):
        random.seed(state)
        np.random.seed(state)
        cv2.setRNGSeed(state)
        before = random.getstate(), repr(np.random.get_state())
        assert [fingerprint(policy, picture, seed) for seed in seeds] == expected
        assert (random.getstate(), repr(np.random.get_state())) == before


def test_a_view_is_the_same_in_another_process() -> None:
    code = (
        "import sys, json; sys.path[:0] = json.loads(sys.argv[1]);"
        "from test_augment import NAMED, fingerprint, texture;"
        "print(json.dumps({n: [fingerprint(p, texture(61, 64), s) for s in (5, 3)] for n, p in NAMED.items()}))"
    )
    here = [os.path.dirname(__file__)]  # noqa: PTH120
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    answer = subprocess.run(
        [sys.executable, "-c", code, json.dumps(here)], check=True, capture_output=True, env=environment
    )
    assert json.loads(answer.stdout) == {
        name: [fingerprint(policy, texture(61, 64), seed) for seed in (5, 3)]
        for name, policy in NAMED.items()
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_worker_gives_the_same_views_and_does_not_hang() -> None:
    policy = policies.road_signs()
    cv2.warpAffine(texture(600, 600), np.eye(2, 3), (600, 600))  # starts OpenCV's threads, which a fork loses
    expected = fingerprint(policy, texture(224, 224), 4)
    opencv.inside["policies"] = 1  # as if another thread were inside a policy while this one forks
    opencv.door.acquire()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, fingerprint(policy, texture(224, 224), 4).encode())
        os._exit(0)
    opencv.door.release()
    opencv.inside["policies"] = 0
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(reader, 1000).decode() == expected


@pytest.mark.parametrize("size", [(224, 224), (301, 517)])
def test_views_do_not_depend_on_opencvs_threads_and_leave_their_number_alone(size: tuple[int, int]) -> None:
    before = cv2.getNumThreads()
    picture = texture(*size)
    try:
        found = []
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            found.append([fingerprint(policy, picture, 3) for policy in NAMED.values()])
            assert cv2.getNumThreads() == threads
            with pytest.raises(KeyError), opencv.one_thread(), opencv.one_thread():
                assert cv2.getNumThreads() == 1
                raise KeyError
            assert cv2.getNumThreads() == threads
        assert found[0] == found[1] == found[2]
    finally:
        cv2.setNumThreads(before)


def test_opencv_gives_the_same_pixels_with_any_number_of_threads() -> None:
    before = cv2.getNumThreads()
    picture = texture(700, 900)
    found = set()
    try:
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            warped = cv2.warpAffine(
                picture, cv2.getRotationMatrix2D((400, 300), 3, 1.05), (900, 700), flags=cv2.INTER_CUBIC
            )
            found.add(cv2.GaussianBlur(warped, (0, 0), 1.3).tobytes())
    finally:
        cv2.setNumThreads(before)
    assert len(found) == 1


@each_policy
def test_views_of_different_seeds_differ(policy: Policy) -> None:
    views = {policy(texture(40, 40), seed=seed).image.tobytes() for seed in range(40)}
    assert len(views) == 1 if policy.name == "none" else len(views) >= 38


def test_the_steps_of_one_view_draw_independently() -> None:
    flips = Policy("flips", (Step("HorizontalFlip", p=0.5), Step("VerticalFlip", p=0.5)))
    picture = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    seen = [flips(picture, seed=seed).image.tobytes() for seed in range(400)]
    counts = [seen.count(picture[::rows, ::columns].tobytes()) for rows in (1, -1) for columns in (1, -1)]
    assert sum(counts) == 400
    assert min(counts) > 60  # 100 expected each; all-or-nothing if both steps had one stream


@each_policy
@given(
    picture=hnp.arrays(np.uint8, st.tuples(st.integers(8, 50), st.integers(8, 50), st.just(3))),
    seed=st.integers(),
)
@settings(max_examples=40, deadline=None)
def test_any_picture_of_any_size_keeps_its_shape_and_is_not_touched(
    policy: Policy, picture: NDArray[np.uint8], seed: int
) -> None:
    picture.flags.writeable = False
    mask = picture[..., 0]  # not contiguous
    view = policy(picture, seed=seed, mask=mask)
    assert view.mask is not None
    for result, given_ in ((view.image, picture), (view.mask, mask)):
        assert result.dtype == np.uint8
        assert result.shape == given_.shape
        assert result.flags.c_contiguous
        assert result.flags.writeable
        assert not np.shares_memory(result, given_)
    assert set(np.unique(view.mask)) <= set(np.unique(mask))
    assert view.boxes is None
    assert view.kinds is None


def extremes(transform: str) -> list[dict[str, Value]]:
    """Parameter sets at the ends of what the closed list allows."""
    sets: list[dict[str, Value]] = []
    for pick in (lambda s: (s.least, s.least), lambda s: (s.most, s.most), lambda s: (s.least, s.most)):
        sets.append({n: pick(s) for n, s in TRANSFORMS[transform].items() if isinstance(s, Span)})
    return sets


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("size", [(33, 47), (224, 224), (8, 9)])
def test_every_allowed_transform_runs_at_the_ends_of_its_ranges(
    transform: str, size: tuple[int, int]
) -> None:
    picture = texture(*size)
    for params in extremes(transform):
        policy = Policy("extreme", (Step(transform, **params),))
        for seed in range(3):
            assert policy(picture, seed=seed).image.shape == picture.shape


@pytest.mark.parametrize("transform", [name for name in TRANSFORMS if name not in MOVES])
def test_only_geometry_moves_labels(transform: str) -> None:
    picture = texture(32, 32)
    boxes = np.array([[3.0, 4, 9, 20]])
    for params in extremes(transform):
        view = Policy("one", (Step(transform, **params),))(
            picture, seed=1, mask=picture[..., 0], boxes=boxes, kinds=["a"]
        )
        assert np.array_equal(view.mask, picture[..., 0])
        assert np.allclose(view.boxes, boxes)
        assert view.kinds == ("a",)


def rim(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels beside the edges of a mask."""
    square = np.ones((3, 3))
    return ndimage.binary_dilation(mask, square) & ~ndimage.binary_erosion(mask, square, border_value=1)


@each_policy
@pytest.mark.parametrize("size", [(96, 96), (75, 121)])
def test_the_mask_of_the_view_is_the_view_of_the_mask(policy: Policy, size: tuple[int, int]) -> None:
    mask = np.where(texture(*size, seed=2)[..., 0] > 128, np.uint8(255), np.uint8(0))
    painted = np.repeat(mask[..., None], 3, 2)
    for seed in range(30):
        view = geometry(policy)(painted, seed=seed, mask=mask)
        seen = view.image[..., 0] > 127
        told = view.mask == 255
        assert (seen == told)[~(rim(seen) | rim(told))].all()  # on the rim one of them is interpolated
        assert (seen == told).mean() > 0.97


def painted_boxes(mask: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Bounding boxes of the blobs of a mask, in a fixed order: the slow oracle."""
    slices = ndimage.find_objects(ndimage.label(mask, np.ones((3, 3)))[0])
    return ordered(np.array([[c.start, r.start, c.stop, r.stop] for r, c in slices], float).reshape(-1, 4))


def ordered(boxes: Any) -> NDArray[np.float64]:
    """Boxes sorted by their centres."""
    return np.array(sorted(boxes.tolist(), key=lambda b: (b[0] + b[2], b[1] + b[3]))).reshape(-1, 4)


@each_policy
@pytest.mark.parametrize("size", [(160, 160), (150, 201)])
def test_boxes_stay_round_what_they_were_round(policy: Policy, size: tuple[int, int]) -> None:
    height, width = size
    for seed in range(30):
        mask = np.zeros(size, np.uint8)
        box = np.array([[0.4 * width // 1, 0.35 * height // 1, 0.55 * width // 1, 0.6 * height // 1]])
        x0, y0, x1, y1 = box[0].astype(int)
        mask[y0:y1, x0:x1] = 255
        view = geometry(policy)(np.repeat(mask[..., None], 3, 2), seed=seed, mask=mask, boxes=box, kinds=[7])
        assert view.boxes is not None
        assert view.mask is not None
        assert view.kinds == (7,)
        assert np.abs(view.boxes - painted_boxes(view.mask)).max() <= 1.5


@given(
    seed=st.integers(0, 10**6),
    at=st.tuples(st.integers(0, 95), st.integers(0, 115), st.integers(2, 60), st.integers(2, 60)),
    name=st.sampled_from(sorted(NAMED)),
)
@example(seed=5048, at=(34, 0, 60, 8), name="road_signs")
@settings(max_examples=150, deadline=None)
def test_what_is_marked_stays_in_its_box_wherever_it_lies(seed: int, at: Any, name: str) -> None:
    """A rectangle anywhere, also at the edge: each marked pixel of the view lies in a box, and each box that the view's edge left
    a quarter of holds some."""
    y0, x0, high, wide = at
    mask = np.zeros((100, 120), np.uint8)
    mask[y0 : y0 + high, x0 : x0 + wide] = 255
    box = np.array([[x0, y0, min(x0 + wide, 120), min(y0 + high, 100)]], float)
    view = geometry(NAMED[name])(texture(100, 120), seed=seed, mask=mask, boxes=box, kinds=["pit"])
    assert view.mask is not None and view.boxes is not None and view.left is not None
    held = np.zeros((100, 120), bool)
    for (left, top, right, bottom), part in zip(view.boxes, view.left, strict=True):
        rows = slice(max(0, int(np.floor(top - 1.5))), int(np.ceil(bottom + 1.5)))
        columns = slice(max(0, int(np.floor(left - 1.5))), int(np.ceil(right + 1.5)))
        held[rows, columns] = True
        # a frame round a turned rectangle has empty corners, and the view's edge may leave such a corner alone: of a quarter
        # of it at most, for the rectangle touches all four sides
        assert part < 0.25 or (view.mask[rows, columns] == 255).any()
    lost = (view.mask == 255) & ~held
    # what a view leaves of a rectangle at its own edge may be less than a box has to be: a line of pixels
    assert min(np.ptp(np.nonzero(lost), axis=1) + 1) <= 1 if lost.any() else True


@given(
    by=st.integers(-49, 49),
    at=st.tuples(st.integers(3, 70), st.integers(3, 70), st.integers(2, 27), st.integers(2, 27)),
)
@example(by=29, at=(3, 3, 2, 2))
@settings(max_examples=100, deadline=None)
def test_a_view_says_what_share_of_a_box_is_left(by: int, at: Any) -> None:
    # half a pixel more than asked: albumentations cuts to whole pixels, and 0.29 of 100 are 28.999 to it
    share = (by + np.copysign(0.5, by)) / 100
    policy = Policy(
        "shift and mirror", (Step("Affine", translate_percent=(share, share)), Step("HorizontalFlip"))
    )
    x0, y0, wide, high = at
    view = policy(
        texture(100, 100), seed=0, boxes=np.array([[x0, y0, x0 + wide, y0 + high]], float), kinds=[1]
    )
    assert view.boxes is not None and view.left is not None
    moved = np.array([x0, y0, x0 + wide, y0 + high]) + by
    there = np.clip(moved, 0, 100)
    sides = there[2:] - there[:2]
    if (sides > 1).all():  # of one pixel exactly, rounding decides
        # the mirrored border shows the rectangle again, apart from itself
        mine = np.abs(view.boxes - [100 - there[2], there[1], 100 - there[0], there[3]]).max(axis=1) < 1e-3
        assert mine.sum() == 1
        assert view.left[mine][0] == pytest.approx(sides.prod() / (wide * high), abs=1e-4)
    assert ((view.left > 0) & (view.left <= 1)).all()


@pytest.mark.parametrize("edge", ["left", "top", "corner", "near"])
def test_a_defect_at_the_border_and_its_mirror_image_are_one_thing(edge: str) -> None:
    policy = Policy("shift", (Step("Affine", translate_percent=(0.2, 0.2)),))
    x0, y0 = {"left": (0, 40), "top": (50, 0), "corner": (0, 0), "near": (6, 40)}[edge]
    mask = np.zeros((120, 100), np.uint8)
    mask[y0 : y0 + 30, x0 : x0 + 25] = 255
    box = np.array([[x0, y0, x0 + 25, y0 + 30]], float)
    view = policy(np.repeat(mask[..., None], 3, 2), seed=0, mask=mask, boxes=box, kinds=["crack"])
    assert view.mask is not None
    assert view.boxes is not None
    assert view.kinds == ("crack",) * (2 if edge == "near" else 1)
    assert np.abs(ordered(view.boxes) - painted_boxes(view.mask)).max() <= 1


@given(
    seed=st.integers(0, 10**6),
    corners=hnp.arrays(np.float64, (5, 2, 2), elements=st.floats(0, 1)),
    name=st.sampled_from(sorted(NAMED)),
)
@settings(max_examples=100, deadline=None)
def test_boxes_lie_inside_the_picture_and_keep_their_kinds(seed: int, corners: Any, name: str) -> None:
    size = np.array([90, 70.0])
    low, high = corners.min(1) * size, corners.max(1) * size
    boxes = np.concatenate([low, high], 1)[(high - low > 0.5).all(1)]
    kinds = list(range(len(boxes)))
    view = NAMED[name](texture(70, 90), seed=seed, boxes=boxes, kinds=kinds)
    assert view.boxes is not None
    assert view.kinds is not None
    assert view.boxes.shape == (len(view.kinds), 4)
    assert set(view.kinds) <= set(kinds)
    assert (view.boxes >= 0).all()
    assert (view.boxes <= [90, 70, 90, 70]).all()
    assert (view.boxes[:, :2] < view.boxes[:, 2:]).all()


def test_boxes_that_a_crop_leaves_behind_are_gone_with_their_kinds() -> None:
    crop = Policy("crop", (Step("RandomResizedCrop", scale=(0.1, 0.1)),))
    corners = np.array([[0, 0, 5, 5], [95, 95, 100, 100], [0, 95, 5, 100.0]])
    left = [crop(texture(100, 100), seed=seed, boxes=corners, kinds="abc").kinds for seed in range(20)]
    assert all(len(kinds or ()) <= 1 for kinds in left)
    assert any(kinds == () for kinds in left)


def test_no_boxes_are_no_boxes() -> None:
    for policy in NAMED.values():
        view = policy(texture(30, 30), seed=1, boxes=np.zeros((0, 4)), kinds=[])
        assert view.boxes is not None
        assert view.boxes.shape == (0, 4)
        assert view.kinds == ()


@pytest.mark.parametrize(
    ("module", "message"), [("None", "pip install"), ("type(sys)('albumentations')", "found 2.4.9")]
)
def test_without_albumentations_of_the_right_release_the_extra_is_named(module: str, message: str) -> None:
    code = (
        f"import sys; sys.modules['albumentations'] = m = {module}\n"
        "if m: m.__version__ = '2.4.9'\n"
        "import numpy as np; from visiontune.data.policies import xray; from visiontune import MissingExtra\n"
        "try: xray()(np.zeros((9, 9, 3), np.uint8), seed=0)\n"
        "except MissingExtra as error: print(error)"
    )
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert message in answer.stdout
    assert "visiontune[train]" in answer.stdout
