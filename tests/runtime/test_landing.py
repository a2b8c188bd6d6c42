"""The landing: a file is taken when it is whole, once, in the order in which they came."""

import os

import pytest

from visiontune.runtime import landing as module
from visiontune.runtime.errors import BadData
from visiontune.runtime.landing import Landing


@pytest.fixture
def clock(monkeypatch):
    """Moves on only when told."""

    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


def put(folder, name, data=b"x", mtime=None):
    path = folder / name
    path.write_bytes(data)
    if mtime is not None:
        os.utime(path, ns=(mtime, mtime))
    return path


def names(found):
    return [landed.path.name for landed in found]


def test_a_file_is_taken_when_it_has_settled(tmp_path, clock):
    landing = Landing(tmp_path, settle_s=0.5)
    put(tmp_path, "a.png")
    assert landing.look() == []
    clock.now += 0.4
    assert landing.look() == []
    clock.now += 0.1
    assert names(landing.look()) == ["a.png"]
    assert names(landing.look()) == ["a.png"]  # until it is done


def test_a_file_that_grows_or_is_touched_settles_anew(tmp_path, clock):
    landing = Landing(tmp_path, settle_s=0.5)
    put(tmp_path, "a.png", b"x", 1)
    landing.look()
    for data, mtime in ((b"xy", 1), (b"xy", 2)):
        clock.now += 0.5
        put(tmp_path, "a.png", data, mtime)
        assert landing.look() == []
    clock.now += 0.5
    assert names(landing.look()) == ["a.png"]


def test_without_settling_it_is_taken_at_first_sight(tmp_path):
    put(tmp_path, "a.png")
    assert names(Landing(tmp_path, settle_s=0).look()) == ["a.png"]


def test_the_oldest_comes_first(tmp_path):
    for name, mtime in (("b.png", 2), ("c.png", 1), ("a.png", 2)):
        put(tmp_path, name, mtime=mtime)
    assert names(Landing(tmp_path, settle_s=0).look()) == ["c.png", "a.png", "b.png"]


def test_what_is_done_does_not_come_again_unless_it_is_another(tmp_path):
    landing = Landing(tmp_path, settle_s=0)
    put(tmp_path, "a.png", mtime=1)
    (one,) = landing.look()
    landing.done(one)
    assert landing.look() == []
    assert landing.waiting() == 0
    put(tmp_path, "a.png", mtime=2)
    assert names(landing.look()) == ["a.png"]
    assert landing.waiting() == 1


def test_the_next_of_a_name_that_was_moved_away_is_new_whatever_its_time_and_size(tmp_path, clock):
    landing = Landing(tmp_path, settle_s=0.5)
    for _ in range(3):
        path = put(tmp_path, "a.bmp", mtime=1)
        assert landing.look() == []  # it settles anew
        clock.now += 0.5
        (one,) = landing.look()
        path.unlink()
        landing.gone(one)
        assert landing.waiting() == 0


def test_what_is_gone_is_forgotten(tmp_path):
    landing = Landing(tmp_path, settle_s=0)
    for turn in range(20):
        path = put(tmp_path, f"{turn}.png", mtime=1)
        (one,) = landing.look()
        landing.done(one)
        path.unlink()
    landing.look()
    assert not landing._done and not landing._seen
    put(tmp_path, "3.png", mtime=1)  # the camera counts from zero again, on a disk with coarse times
    assert names(landing.look()) == ["3.png"]


def test_only_pictures_that_lie_there_themselves(tmp_path):
    put(tmp_path, "a.PNG")
    for name in ("notes.txt", ".b.png", "c.png.tmp", "png"):
        put(tmp_path, name)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "a.PNG")
    landing = Landing(tmp_path, settle_s=0)
    assert names(landing.look()) == ["a.PNG"]
    assert landing.names() == {"a.PNG"}


def test_still_tells_what_changed(tmp_path):
    path = put(tmp_path, "a.png", mtime=1)
    (one,) = Landing(tmp_path, settle_s=0).look()
    assert one.still()
    put(tmp_path, "a.png", b"xy", mtime=1)
    assert not one.still()
    path.unlink()
    assert not one.still()


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(BadData, match="expected a readable folder"):
        Landing(tmp_path / "gone", settle_s=0).look()
    with pytest.raises(BadData, match="expected a readable folder"):
        Landing(put(tmp_path, "a.png"), settle_s=0).look()
