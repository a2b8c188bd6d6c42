"""The look at single files, and the arithmetic of prints, hashes and neighbours against slow plain oracles."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from visiontune.data.audit import fingerprint
from visiontune.data.audit.clusters import Clusters, members
from visiontune.data.audit.describe import describe
from visiontune.data.audit.hashes import CROWD, difference_hash, hamming, pairs_within
from visiontune.data.audit.look import look
from visiontune.data.audit.match import Matcher
from visiontune.data.audit.nearest import ranked_neighbours


def encoded(pixels, form, **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form, **options)
    return stream.getvalue()


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)


def looked(tmp_path, contents):
    paths = []
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        paths.append(tmp_path / name)
    return look(paths, describing=True)


def test_facts_of_a_file(tmp_path, noise):
    found = looked(tmp_path, {"a.jpg": encoded(noise, "JPEG", quality=80), "b.png": encoded(noise, "PNG")})
    jpeg, png = found.facts
    assert (jpeg.format, jpeg.mode, jpeg.width, jpeg.height) == ("JPEG", "L", 60, 40)
    assert (png.format, png.quality, png.camera) == ("PNG", None, "")
    assert png.brightness == pytest.approx(noise.mean(), abs=0.5)
    assert png.contrast == pytest.approx(noise.std(), abs=0.5)
    assert found.extents.min() > 0


@pytest.mark.parametrize("quality", [30, 50, 75, 90, 95])
def test_the_quality_of_a_jpeg(tmp_path, noise, quality):
    found = looked(tmp_path, {"a.jpg": encoded(noise, "JPEG", quality=quality)})
    assert found.facts[0].quality == pytest.approx(quality, abs=1)


def test_damaged_files_are_told_and_stop_nothing(tmp_path, noise):
    whole = encoded(noise, "PNG")
    found = looked(
        tmp_path,
        {"whole.png": whole, "cut.png": whole[: len(whole) // 2], "text.png": b"hello", "no.png": b""},
    )
    errors = [facts.error for facts in found.facts]
    assert errors[0] is None and all(errors[1:])
    assert not any(error.startswith("frame of") for error in errors[1:])
    assert found.extents[1:].max() == 0


def test_progress_counts_every_file(tmp_path, noise):
    (tmp_path / "a.png").write_bytes(encoded(noise, "PNG"))
    steps = []
    look([tmp_path / "a.png"] * 70, describing=False, progress=steps.append)
    assert sum(steps) == 70


def test_a_picture_of_any_shape_is_described_alike():
    shapes = [(1, 1), (5, 900), (900, 5), (300, 300)]
    sizes = {describe(np.full((*shape, 3), 7, np.uint8)).shape for shape in shapes}
    assert len(sizes) == 1


@given(hnp.arrays(np.float32, (2, 7, 9), elements=st.floats(-10, 10, width=32)), st.integers(1, 12))
@settings(max_examples=20)
def test_the_box_mean(x, radius):
    for axis in (1, 2):
        slow = np.empty_like(x)
        for i in range(x.shape[axis]):
            low, high = max(0, i - radius), min(x.shape[axis], i + radius + 1)
            window = np.take(x, range(low, high), axis)
            slow[(slice(None),) * axis + (i,)] = window.mean(axis)
        np.testing.assert_allclose(fingerprint.box(x, radius, axis), slow, atol=1e-4)


def test_light_leaves_the_texture_alone(noise):
    dim = (noise // 3 + 10).astype(np.uint8)
    bright, dark = (fingerprint.residual(x[None]).astype(float).ravel() for x in (noise, dim))
    assert np.corrcoef(bright, dark)[0, 1] > 0.9
    assert not fingerprint.residual(np.full((1, 40, 40), 90, np.uint8)).any()


def test_a_match_finds_the_shift():
    rng = np.random.default_rng(0)
    prints = np.zeros((4, 128, 128), np.int8)
    whole = rng.integers(-100, 100, (120, 120))
    prints[0, :100, :100] = whole[:100, :100]
    prints[1, :100, :100] = whole[7:107, 3:103]
    prints[2, :100, :100] = rng.integers(-100, 100, (100, 100))
    found = Matcher(prints)(np.array([[0, 0], [0, 1], [0, 2], [0, 3]]))
    assert found[0] == pytest.approx(1, abs=1e-3)
    assert 0.85 < found[1] < 0.98 and found[2] < 0.1 and found[3] == 0


@given(hnp.arrays(np.uint64, st.integers(0, 40), elements=st.integers(0, 2**64 - 1)), st.integers(0, 6))
@settings(max_examples=40)
def test_pairs_of_hashes_as_by_comparing_all(hashes, distance):
    near = hashes.copy()
    if len(near):
        near[::2] = near[0] ^ np.uint64(0b1011 << 17)  # random hashes alone are never close
    slow = [
        [i, j]
        for i in range(len(near))
        for j in range(i + 1, len(near))
        if (int(near[i]) ^ int(near[j])).bit_count() <= distance
    ]
    assert pairs_within(near, distance).tolist() == slow
    assert all(
        hamming(near[:1], near[i : i + 1])[0] == (int(near[0]) ^ int(near[i])).bit_count()
        for i in range(len(near))
    )


def test_a_crowd_of_equal_hashes_is_passed_over():
    assert len(pairs_within(np.zeros(CROWD + 1, np.uint64), 3)) == 0


def test_the_hash_knows_shape_and_not_light():
    ramp = np.tile(np.arange(9, dtype=np.uint8) * 20, (8, 1))
    assert difference_hash(ramp) == difference_hash(ramp // 3) == 2**64 - 1
    assert difference_hash(ramp[:, ::-1]) == 0


def test_neighbours_as_by_sorting_all():
    rng = np.random.default_rng(0)
    keys = rng.standard_normal((60, 8)).astype(np.float32)
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    cosines = keys @ keys.T
    np.fill_diagonal(cosines, -9)
    slow = np.argsort(-cosines, axis=1)
    ranks = np.array([0, 1, 5, 30, 58])
    assert (ranked_neighbours(keys, ranks) == slow[:, ranks]).all()


@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=12))
def test_clusters_as_by_spreading(n, links):
    links = [(i % n, j % n) for i, j in links]
    clusters = Clusters(n)
    for i, j in links:
        clusters.join(i, j)
    reached = [{i} for i in range(n)]
    for _ in range(n):
        for i, j in links:
            both = reached[i] | reached[j]
            for k in both:
                reached[k] = reached[k] | both
    assert clusters.roots() == [min(some) for some in reached]
    assert all(len(set(places)) == len(places) for places in members(clusters.roots()).values())
