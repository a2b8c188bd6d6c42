"""The store: every picture decoded once, the same pixels with and without it, whatever was killed, cut, flipped or full."""

import io
import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from visiontune.data import frames as making
from visiontune.data import rows as rowing
from visiontune.data import store as storing
from visiontune.data.fit import Fit
from visiontune.data.frames import Stored
from visiontune.data.read import read
from visiontune.data.rows import INDEX, LINE, PIXELS, Rows
from visiontune.data.store import load, remove
from visiontune.runtime.errors import BadData, BadFrame
from visiontune.runtime.frame import decode

SIZE = (6, 5)
ROW = 6 * 5 * 3
FIT = Fit(SIZE)
ROOT = Path(__file__).parents[2]
N = 9


@pytest.fixture
def parts(tree):
    """Nine pictures of two classes, one of them there twice under another name."""
    for i in range(N - 1):
        tree.picture(f"{'good' if i % 2 else 'crack'}/{i}.png", (20 + i, 10 + i))
    shutil.copy(tree.root / "good/1.png", tree.root / "good/again.png")
    return read(tree.root)


@pytest.fixture
def decodes(monkeypatch):
    """The paths that were decoded, in no particular order."""
    paths = []

    def counted(path, **options):
        paths.append(Path(path).name)
        return decode(path, **options)

    monkeypatch.setattr(making, "decode", counted)
    return paths


def place(folder, fit=FIT, window=None):
    """The folder in the store that holds this size."""
    return folder / storing._name(making.Reader(fit, window))


def test_all_ways_give_the_same_pixels(parts, tmp_path):
    plain = np.stack([FIT(decode(sample.path)) for sample in parts])
    ways = [
        load(parts, FIT),
        load(parts, FIT, folder=tmp_path / "store"),
        load(parts, FIT, folder=tmp_path / "store"),
        load(parts, FIT, folder=tmp_path / "half", store_gb=4 * (ROW + LINE) / 1e9),
        load(parts, FIT, folder=tmp_path / "none", store_gb=0),
    ]
    for frames in ways:
        assert frames.shape == (N, *SIZE, 3) and frames.dtype == np.uint8 and len(frames) == N
        assert np.array_equal(np.asarray(frames), plain)
        assert np.array_equal(np.stack([frames[i] for i in range(N)]), plain)


def test_a_second_run_decodes_nothing(parts, tmp_path, decodes):
    load(parts, FIT, folder=tmp_path / "store")
    assert N - 1 <= len(decodes) <= N  # the twins may meet
    decodes.clear()
    frames = load(parts, FIT, folder=tmp_path / "store")
    frames[:], frames[3]
    assert decodes == []


def test_shares_and_data_sets_use_each_others_pictures(parts, tmp_path, decodes, tree):
    from dataclasses import replace

    load(replace(parts, samples=parts.samples[:5]), FIT, folder=tmp_path / "store")
    decodes.clear()
    load(replace(parts, samples=parts.samples[3:]), FIT, folder=tmp_path / "store")
    assert not set(decodes) & {sample.path.name for sample in parts.samples[:5]}
    decodes.clear()
    (tree.root / "crack/0.png").rename(tree.root / "good/renamed.png")
    load(read(tree.root), FIT, folder=tmp_path / "store")
    assert decodes == []


def test_a_picture_that_changed_is_decoded_again(parts, tmp_path, decodes, tree):
    load(parts, FIT, folder=tmp_path / "store")
    decodes.clear()
    stat = (tree.root / "good/3.png").stat()
    tree.save("good/3.png", np.full((13, 23), 7, np.uint8))
    os.utime(tree.root / "good/3.png", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    frames = load(parts, FIT, folder=tmp_path / "store")
    assert decodes == ["3.png"]
    index = [sample.path.name for sample in parts].index("3.png")
    assert (frames[index] == 7).all()


def test_another_size_region_window_or_version_is_another_picture(parts, tmp_path, decodes, monkeypatch):
    folder = tmp_path / "store"
    load(parts, FIT, folder=folder)
    ways = [
        {"fit": Fit((5, 6))},
        {"fit": Fit(SIZE, (0, 0, 0.5, 1))},
        {"fit": FIT, "window": (0, 4095)},
    ]
    for way in ways:
        decodes.clear()
        fit, window = way["fit"], way.get("window")
        found = load(parts, fit, window=window, folder=folder)
        assert len(decodes) >= N - 1
        assert np.array_equal(found[:], load(parts, fit, window=window))
    decodes.clear()
    load(parts, FIT, window=(0, 65535), folder=folder)  # what None means
    assert decodes == []
    for name, value in (
        (storing, "VERSION"),
        (storing.PIL, "__version__"),
        (storing.onnxruntime, "__version__"),
    ):
        monkeypatch.setattr(name, value, "another")
        decodes.clear()
        load(parts, FIT, folder=folder)
        assert len(decodes) >= N - 1


@pytest.mark.parametrize("way", ["memory", "store", "anew"])
def test_the_first_picture_that_cannot_be_read_is_named(parts, tmp_path, tree, way):
    for name in ("crack/2.png", "crack/4.png"):
        data = (tree.root / name).read_bytes()
        (tree.root / name).write_bytes(data[: len(data) // 2])
    options = {
        "memory": {},
        "store": {"folder": tmp_path / "s"},
        "anew": {"folder": tmp_path / "s", "store_gb": 0},
    }
    with pytest.raises(BadFrame, match=r"crack/2\.png: expected a whole picture"):
        load(parts, FIT, **options[way])
    (tree.root / "crack/2.png").unlink()
    with pytest.raises(BadFrame, match=r"crack/2\.png: expected a picture file, found nothing there"):
        load(parts, FIT, **options[way])


def test_a_region_without_pixels_is_said_with_the_path(tmp_path, tree):
    tree.picture("good/a.png", (3, 3))
    with pytest.raises(BadFrame, match=r"good/a\.png: expected a frame .* found 3 x 3") as caught:
        load(read(tree.root, good=None), Fit(SIZE, (0.1, 0.1, 0.2, 0.2)))
    assert "\n" not in str(caught.value)


def test_a_file_that_changes_while_it_is_read_is_refused(parts, tmp_path, monkeypatch, tree):
    def written(path, **options):
        frame = decode(path, **options)
        path.write_bytes(path.read_bytes() + b"more")
        return frame

    monkeypatch.setattr(making, "decode", written)
    with pytest.raises(BadData, match="changed while it was read"):
        load(parts, FIT, folder=tmp_path / "store")


def test_what_is_not_wanted_is_decoded_when_it_is_asked_for(parts, tmp_path, decodes):
    said = []
    frames = load(parts, FIT, folder=tmp_path / "store", wanted=[0, 3, 4], say=said.append)
    assert len(decodes) == 3 and "3 take at most" in said[0] and len(said) == 1
    assert (frames[:] == load(parts, FIT)).all()
    assert len(decodes) == 3 + (N - 3) + N


def test_a_broken_picture_that_is_not_wanted_raises_when_it_is_asked_for(parts, tmp_path):
    parts.samples[5].path.write_bytes(b"no picture")
    frames = load(parts, FIT, folder=tmp_path / "store", wanted=[0, 3, 4])
    assert frames[[0, 3, 4]].shape == (3, *SIZE, 3)
    with pytest.raises(BadFrame, match=parts.samples[5].path.name):
        frames[5]
    with pytest.raises(BadFrame, match=parts.samples[5].path.name):
        load(parts, FIT, folder=tmp_path / "store")


def test_progress_counts_every_picture(parts, tmp_path):
    for options in ({}, {"folder": tmp_path}, {"folder": tmp_path}, {"folder": tmp_path, "store_gb": 0}):
        done = []
        load(parts, FIT, progress=done.append, **options)
        assert done == [1] * N


# what is left after a kill


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A data set of nine pictures, what its store looks like when it is full, and the right pixels."""
    root = tmp_path_factory.mktemp("filled")
    for i in range(N):
        path = root / "parts" / ("good" if i % 2 else "crack") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (12, 17, 3), np.uint8)).save(path)
    data = read(root / "parts")
    load(data, FIT, folder=root / "store")
    full = place(root / "store")
    assert (full / PIXELS).stat().st_size == N * ROW and (full / INDEX).stat().st_size == N * LINE
    return data, (full / PIXELS).read_bytes(), (full / INDEX).read_bytes(), load(data, FIT)


def reloaded(filled, pixels, index, root):
    """Loads from a store that holds these bytes: how many were decoded, and whether the pixels are right."""
    data, _, _, wanted = filled
    shutil.rmtree(root / "store", ignore_errors=True)
    folder = place(root / "store")
    folder.mkdir(parents=True)
    (folder / PIXELS).write_bytes(pixels)
    (folder / INDEX).write_bytes(index)
    count = 0

    def counted(path, **options):
        nonlocal count
        count += 1
        return decode(path, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "decode", counted)
        assert np.array_equal(load(data, FIT, folder=root / "store")[:], wanted)
        decoded, count = count, 0
        assert np.array_equal(load(data, FIT, folder=root / "store")[:], wanted)
        assert count == 0  # healed
    return decoded


slow_to_set_up = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@slow_to_set_up
@given(cuts=st.tuples(st.integers(0, N * ROW), st.integers(0, N * LINE)))
def test_files_cut_anywhere_lose_only_what_was_cut(filled, cuts, tmp_path):
    _, pixels, index, _ = filled
    whole = min(cuts[0] // ROW, cuts[1] // LINE)
    assert reloaded(filled, pixels[: cuts[0]], index[: cuts[1]], tmp_path) == N - whole


@slow_to_set_up
@given(at=st.integers(0, N * (ROW + LINE) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_one_picture_at_most(filled, at, bit, tmp_path):
    _, pixels, index, _ = filled
    both = bytearray(pixels + index)
    both[at] ^= 1 << bit
    assert reloaded(filled, bytes(both[: len(pixels)]), bytes(both[len(pixels) :]), tmp_path) <= 1


def test_lines_that_came_to_the_disk_before_their_pixels_are_found_out(filled, tmp_path):
    _, pixels, index, _ = filled
    holes = pixels[: 4 * ROW] + bytes(3 * ROW) + pixels[7 * ROW :]  # as after a power cut
    assert reloaded(filled, holes, index, tmp_path) == 3


def test_pixels_without_their_line_are_written_again(filled, tmp_path):
    _, pixels, index, _ = filled
    assert reloaded(filled, pixels[: 5 * ROW] + b"x" * 2 * ROW, index[: 5 * LINE], tmp_path) == N - 5


LOADING = """
import os, sys, time
from visiontune.data import frames as making
from visiontune.data.fit import Fit
from visiontune.data.read import read
from visiontune.data.store import load

decode = making.decode

def slowly(path, **options):
    os.write(1, b"%s\\n" % os.fsencode(path))  # in one piece, whatever the other threads write
    time.sleep(0.01)
    return decode(path, **options)

making.decode = slowly
say = lambda line: print(line, file=sys.stderr, flush=True)
load(read(sys.argv[1]), Fit((6, 5)), folder=sys.argv[2], say=say)
"""


def loading(data, folder):
    command = [sys.executable, "-c", LOADING, data.root, folder]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a kill that cannot be caught")
def test_a_killed_run_is_taken_up_where_it_was(tmp_path, tree, decodes):
    for i in range(40):
        tree.picture(f"{'good' if i % 2 else 'crack'}/{i}.png")
    data = read(tree.root)
    child = loading(data, tmp_path / "store")
    for _ in range(15):
        child.stdout.readline()
    child.kill()
    child.communicate()
    there = (place(tmp_path / "store") / INDEX).stat().st_size // LINE
    assert 0 < there < 40
    frames = load(data, FIT, folder=tmp_path / "store")
    assert len(decodes) == 40 - there
    assert np.array_equal(frames[:], load(data, FIT))


def test_two_at_once_share_the_work(tmp_path, tree):
    for i in range(20):
        tree.picture(f"{'good' if i % 2 else 'crack'}/{i}.png")
    data = read(tree.root)
    children = [loading(data, tmp_path / "store") for _ in range(2)]
    decoded = [child.communicate(timeout=60)[0].split() for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert sorted(map(len, decoded)) == [0, 20]
    assert np.array_equal(load(data, FIT, folder=tmp_path / "store")[:], load(data, FIT))


def test_waiting_for_another_run_is_said(parts, tmp_path):
    with Rows(place(tmp_path), (*SIZE, 3)):
        child = loading(parts, tmp_path)
        assert child.stderr.readline() == f"waiting for another run to fill {tmp_path}\n"
        assert child.poll() is None
    child.communicate(timeout=60)
    assert child.returncode == 0


# where there is no room


def bytes_in(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(room=st.integers(0, N * (ROW + LINE) + 50))
def test_the_store_keeps_to_its_room_and_says_so_before_and_after(filled, room, tmp_path):
    data, _, _, wanted = filled
    folder = tmp_path / "store"
    shutil.rmtree(folder, ignore_errors=True)
    said = []
    frames = load(data, FIT, folder=folder, store_gb=room / 1e9, say=said.append)
    assert bytes_in(folder) <= room
    assert np.array_equal(frames[:], wanted)
    kept = min(N, room // (ROW + LINE))
    assert said[0].startswith(f"pictures are decoded once: {N} take at most 0.0 MB in {folder}")
    assert said[1:] == (
        [f"{N - kept} of {N} pictures are not kept in {folder} (store_gb is used up, or the disk nearly full): "
         "decoded anew each time they are asked for"] if kept < N else []
    )  # fmt: skip
    load(data, Fit((3, 3)), folder=folder, store_gb=room / 1e9)  # all sizes together
    assert bytes_in(folder) <= room


def test_what_is_in_a_full_store_is_used_and_a_larger_one_takes_the_rest(parts, tmp_path, decodes):
    load(parts, FIT, folder=tmp_path, store_gb=4 * (ROW + LINE) / 1e9)
    decodes.clear()
    load(parts, FIT, folder=tmp_path, store_gb=0)
    assert len(decodes) <= N - 4
    decodes.clear()
    load(parts, FIT, folder=tmp_path)
    assert len(decodes) <= N - 4
    decodes.clear()
    load(parts, FIT, folder=tmp_path, store_gb=0)
    assert decodes == []


def test_a_gigabyte_of_the_disk_stays_free(parts, tmp_path, monkeypatch):
    free = storing.RESERVE + 3 * (ROW + LINE)
    monkeypatch.setattr(
        storing.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**12, 0, free)
    )
    load(parts, FIT, folder=tmp_path / "store")
    assert bytes_in(tmp_path / "store") == 3 * (ROW + LINE)


@pytest.mark.parametrize("taken", [0, 1, ROW - 1])
@pytest.mark.parametrize("which", [0, 1])
def test_a_disk_that_fills_up_costs_nothing_but_time(filled, tmp_path, monkeypatch, taken, which):
    """The disk is full at the third picture, before (0) or in (1) its line, after `taken` bytes."""
    data, _, _, wanted = filled
    put = rowing._put
    writes = []

    def full(file, at, some):
        writes.append(at)
        if len(writes) > 4 + which:
            file.seek(at)
            file.write(bytes(some)[:taken])
            raise OSError(28, "No space left on device")
        put(file, at, some)

    said = []
    monkeypatch.setattr(rowing, "_put", full)
    frames = load(data, FIT, folder=tmp_path, say=said.append)
    assert np.array_equal(frames[:], wanted)
    assert f"{N - 2} of {N} pictures are not kept in {tmp_path} (No space left" in said[-1]
    monkeypatch.undo()
    assert np.array_equal(load(data, FIT, folder=tmp_path)[:], wanted)


def test_a_write_that_is_cut_short_is_a_full_disk(tmp_path):
    class Short(io.BytesIO):
        def write(self, data):
            return super().write(bytes(data)[:3])

    with pytest.raises(OSError, match="space"):
        rowing._put(Short(), 0, b"abcdef")


def test_a_folder_that_cannot_be_written_is_said_and_done_without(parts, tmp_path):
    (tmp_path / "store").write_text("a file")
    said = []
    frames = load(parts, FIT, folder=tmp_path / "store", say=said.append)
    assert np.array_equal(frames[:], load(parts, FIT))
    assert (
        len(said) == 1 and f"{N} of {N} pictures are not kept" in said[0] and "(Not a directory)" in said[0]
    )


# what behaves like an array


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.integers(-N, N - 1)
    | st.slices(N)
    | st.lists(st.integers(-N, N - 1)).map(lambda x: np.array(x, int))
)
def test_it_is_indexed_like_an_array(filled, at, tmp_path):
    data, _, _, wanted = filled
    for room in (1, 5 * (ROW + LINE) / 1e9):
        found = load(data, FIT, folder=tmp_path / str(room), store_gb=room)[at]
        assert type(found) is np.ndarray and found.dtype == np.uint8
        assert np.array_equal(found, wanted[at])


def test_positions_that_are_not_there_are_refused(filled, tmp_path):
    frames = load(filled[0], FIT, folder=tmp_path)
    with pytest.raises(IndexError):
        frames[N]
    with pytest.raises(IndexError):
        frames[0, 1]
    assert np.array_equal(frames[np.arange(N) % 2 == 0], filled[3][::2])


def test_nothing_is_held_in_memory_and_nothing_can_be_written(filled, tmp_path):
    frames = load(filled[0], FIT, folder=tmp_path)
    assert isinstance(frames, Stored)
    base = frames[0]
    while isinstance(base, np.ndarray):
        base = base.base
    assert type(base).__name__ == "mmap"
    with pytest.raises(ValueError, match="read-only"):
        frames[0][:] = 0
    assert frames[1:3].flags.writeable  # torch would warn
    with pytest.raises(ValueError, match="copy"):
        np.asarray(frames, copy=False) if np.lib.NumpyVersion(
            np.__version__
        ) >= "2.0.0" else frames.__array__(copy=False)


@pytest.mark.parametrize("room", [1, 5 * (ROW + LINE) / 1e9])
def test_it_travels_to_another_process_without_its_pixels(filled, tmp_path, room):
    frames = load(filled[0], FIT, folder=tmp_path, store_gb=room)
    packed = pickle.dumps(frames)
    assert len(packed) < 2000
    assert np.array_equal(pickle.loads(packed)[:], filled[3])


def test_an_empty_share_is_an_empty_array(parts, tmp_path):
    from dataclasses import replace

    none = replace(parts, samples=())
    for frames in (load(none, FIT), load(none, FIT, folder=tmp_path)):
        assert frames[:].shape == (0, *SIZE, 3) and len(frames) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be removed there")
def test_what_is_mapped_outlives_the_store(filled, tmp_path):
    frames = load(filled[0], FIT, folder=tmp_path / "store")
    remove(tmp_path / "store")
    assert not (tmp_path / "store").exists()
    assert np.array_equal(frames[:], filled[3])


def test_nothing_else_is_removed_or_counted(filled, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/mine.txt").write_text("x" * 10_000)
    load(filled[0], FIT, folder=tmp_path, store_gb=5 * (ROW + LINE) / 1e9)
    assert bytes_in(tmp_path) == 10_000 + 5 * (ROW + LINE)
    remove(tmp_path)
    remove(tmp_path / "gone")
    assert [path.name for path in tmp_path.rglob("*")] == ["notes", "mine.txt"]
