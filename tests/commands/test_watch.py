"""`visiontune watch`: every picture judged once, whatever is killed when; nothing unread passes, nothing is overwritten."""

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from tests.line_models import a_card, a_reference, level, table_model

DECISIONS = ("pass", "review", "reject")
MEANT = {0: "pass", 128: "review", 255: "reject"}

# Runs the command and dies by a real SIGKILL at one step of its work on the third picture.
DYING = """
import os, signal, sys
from pathlib import Path
from visiontune.cli import main
from visiontune.commands import watch
from visiontune.runtime import journal

moment, *arguments = sys.argv[1:]
count = 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def dying(name, plain, torn=None):
    def call(*given):
        global count
        count += name == "judge"
        if count == 3 and moment == "before " + name:
            die()
        if count == 3 and moment == "within " + name:
            torn(*given)
            die()
        found = plain(*given)
        if count == 3 and moment == "after " + name:
            die()
        return found
    return call

os.write = dying("write", os.write, lambda descriptor, data, write=os.write: write(descriptor, data[: len(data) // 2]))
os.fsync = dying("fsync", os.fsync)
Path.rename = dying("rename", Path.rename)
watch.Inspector.__call__ = dying("judge", watch.Inspector.__call__)
main(arguments)
"""
MOMENTS = [
    "before judge",
    "after judge",
    "before write",
    "within write",
    "after write",
    "after fsync",
    "before rename",
    "after rename",
]


@pytest.fixture
def folder(tmp_path):
    """Six pictures, two of each decision."""
    folder = tmp_path / "camera"
    folder.mkdir()
    for turn, value in enumerate((0, 128, 255, 0, 128, 255)):
        shot(folder, f"{turn}.png", value, mtime=turn + 1)
    return folder


def shot(folder, name, value, mtime=None):
    path = folder / name
    Image.fromarray(level(value)).save(path)
    if mtime is not None:
        os.utime(path, ns=(mtime, mtime))
    return path


def logged(path):
    text = path.read_text("utf-8")
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    return [json.loads(line) for line in text.splitlines()]


def sorted_to(folder):
    return {
        name: sorted(path.name for path in (folder / name).iterdir())
        for name in DECISIONS
        if (folder / name).is_dir()
    }


SORTED = {"pass": ["0.png", "3.png"], "review": ["1.png", "4.png"], "reject": ["2.png", "5.png"]}
ONCE = ("--once", "--settle", "0")


def test_sorts_by_moving(visiontune, model, folder, tmp_path):
    found = visiontune("watch", model, folder, "--move", tmp_path / "out", *ONCE)
    assert (found.status, found.err) == (0, "6 frames: 2 pass, 2 review, 2 reject\n")
    assert sorted_to(tmp_path / "out") == SORTED
    assert list(folder.iterdir()) == []
    assert found.lines[0].split("\t") == ["pass", "0.0000", "good", str(folder / "0.png")]
    assert len(found.lines) == 6


def test_the_folders_of_decisions_may_lie_in_the_folder_itself(visiontune, model, folder):
    assert visiontune("watch", model, folder, "--move", folder, *ONCE).status == 0
    assert sorted_to(folder) == SORTED
    assert visiontune("watch", model, folder, "--move", folder, *ONCE).err.startswith("0 frames")
    found = visiontune("watch", model, folder / "pass", "--move", folder, *ONCE)
    assert found.status == 2 and "found one of judged ones" in found.err


@pytest.mark.parametrize("name", ["log.csv", "log.jsonl"])
def test_logs_and_leaves_the_files(visiontune, model, folder, tmp_path, name):
    log = tmp_path / name
    assert visiontune("watch", model, folder, "--log", log, *ONCE).status == 0
    rows = logged(log)
    assert [row["path"] for row in rows] == [f"{turn}.png" for turn in range(6)]  # as they were written
    assert [row["decision"] for row in rows] == ["pass", "review", "reject"] * 2
    assert rows[2]["kind"] == "crack" and float(rows[2]["severity"]) == 1
    assert 0 < float(rows[2]["ms"]) < 1e5
    assert rows[0]["time"].endswith("+00:00") and not rows[0]["to"] and not rows[0]["reason"]
    assert len(list(folder.iterdir())) == 6
    again = visiontune("watch", model, folder, "--log", log, *ONCE)
    assert again.err == "0 frames: 0 pass, 0 review, 0 reject\n"
    assert logged(log) == rows


def test_a_later_picture_of_the_same_name_is_judged_and_kept_apart(visiontune, model, tmp_path):
    camera, out, log = tmp_path / "camera", tmp_path / "out", tmp_path / "log.jsonl"
    camera.mkdir()
    for mtime in (1, 2, 3):
        shot(camera, "part.png", 255, mtime)
        visiontune("watch", model, camera, "--move", out, "--log", log, *ONCE)
    shot(camera, "part.png", 255, 3)
    visiontune("watch", model, camera, "--move", out, *ONCE)
    names = ["part.png", "part.2.png", "part.3.png", "part.3.1.png"]
    assert sorted_to(out)["reject"] == sorted(names)
    assert [row["to"] for row in logged(log)] == [f"reject/{name}" for name in names[:3]]


def test_what_cannot_be_judged_is_reviewed_never_passed(visiontune, model, folder, tmp_path):
    whole = (folder / "0.png").read_bytes()
    (folder / "0.png").write_bytes(whole[:-30])
    (folder / "3.png").write_bytes(b"")
    log = tmp_path / "log.jsonl"
    found = visiontune("watch", model, folder, "--move", tmp_path / "out", "--log", log, *ONCE)
    assert found.status == 1
    assert found.err == "6 frames: 0 pass, 4 review, 2 reject\n"
    assert sorted_to(tmp_path / "out")["review"] == ["0.png", "1.png", "3.png", "4.png"]
    reasons = {row["path"]: row["reason"] for row in logged(log)}
    assert "expected a" in reasons["0.png"] and reasons["1.png"] is None


@pytest.mark.parametrize(
    ("moment", "form"),
    [
        *((moment, "log.jsonl") for moment in MOMENTS),
        ("within write", "log.csv"),
        ("before rename", "log.csv"),
    ],
)
def test_a_kill_at_any_moment_loses_nothing_and_logs_nothing_twice(
    visiontune, model, folder, tmp_path, moment, form
):
    out, log = tmp_path / "out", tmp_path / form
    arguments = ["watch", model, folder, "--move", out, "--log", log, *ONCE]
    done = subprocess.run([sys.executable, "-c", DYING, moment, *map(str, arguments)], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(list(folder.iterdir())) == (3 if moment == "after rename" else 4)
    again = visiontune(*arguments)
    assert again.status == 0
    assert [(row["path"], row["decision"]) for row in logged(log)] == [
        (f"{turn}.png", DECISIONS[turn % 3]) for turn in range(6)
    ]
    assert sorted_to(out) == SORTED
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("moment", ["within write", "after write"])
def test_a_kill_while_files_stay_where_they_are(visiontune, model, folder, tmp_path, moment):
    log = tmp_path / "log.jsonl"
    arguments = ["watch", model, folder, "--log", log, *ONCE]
    done = subprocess.run([sys.executable, "-c", DYING, moment, *map(str, arguments)], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    visiontune(*arguments)
    assert [row["path"] for row in logged(log)] == [f"{turn}.png" for turn in range(6)]


def started(*arguments):
    code = "import sys; from visiontune.cli import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.01)


@pytest.mark.slow
def test_kills_at_random_while_pictures_land(model, tmp_path):
    camera, out, log = tmp_path / "camera", tmp_path / "out", tmp_path / "log.csv"
    camera.mkdir()
    meant = {}
    enough = threading.Event()

    def land():
        while not enough.wait(0.02):
            value = len(meant) % 256
            name = f"{len(meant):05}.png"
            draft = camera / f".{name}"
            Image.fromarray(level(value)).save(draft, "PNG")
            draft.rename(camera / name)
            meant[name] = value / 255

    camera_thread = threading.Thread(target=land)
    camera_thread.start()
    dice = random.Random(5)
    try:
        for _ in range(5):
            watch = started("watch", model, camera, "--move", out, "--log", log, "--settle", "0")
            watch.stdout.readline()  # at work
            time.sleep(dice.uniform(0, 0.2))
            watch.kill()
            watch.communicate()
    finally:
        enough.set()
        camera_thread.join()
    last = started("watch", model, camera, "--move", out, "--log", log, *ONCE)
    _, err = last.communicate(timeout=60)
    assert last.returncode == 0, err
    rows = logged(log)
    assert len(meant) > 20
    assert sorted(row["path"] for row in rows) == sorted(meant)
    assert sorted(name for names in sorted_to(out).values() for name in names) == sorted(meant)
    for row in rows:
        assert abs(float(row["severity"]) - meant[row["path"]]) < 1e-6
        assert (out / row["to"]).is_file()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_goes_on_until_it_is_ended_and_tells_what_it_did(model, folder, tmp_path, number):
    watch = started("watch", model, folder, "--move", tmp_path / "out", "--settle", "0.05")
    until(lambda: not list(folder.iterdir()))
    shot(folder, "late.png", 255)
    until(lambda: (tmp_path / "out" / "reject" / "late.png").is_file())
    watch.send_signal(number)
    out, err = watch.communicate(timeout=60)
    assert (watch.returncode, err) == (0, "7 frames: 2 pass, 2 review, 3 reject\n")
    assert len(out.splitlines()) == 7


def test_a_file_that_is_still_written_waits(visiontune, model, tmp_path):
    camera, log = tmp_path / "camera", tmp_path / "log.jsonl"
    camera.mkdir()
    shot(camera, "whole.png", 255, 1)
    growing = camera / "growing.bmp"
    stop = threading.Event()

    def grow():
        with growing.open("wb") as stream:
            while not stop.wait(0.01):
                stream.write(b"B")
                stream.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    until(growing.exists)
    try:
        found = visiontune("watch", model, camera, "--log", log, "--once", "--settle", "0.3")
    finally:
        stop.set()
        writer.join()
    assert found.err == "1 frame: 0 pass, 0 review, 1 reject; 1 not whole yet\n"
    assert [row["path"] for row in logged(log)] == ["whole.png"]


def test_a_picture_that_changes_while_it_is_judged_is_not_logged(
    visiontune, model, folder, tmp_path, monkeypatch
):
    from visiontune.commands import watch

    plain = watch.Inspector.__call__

    def judged(inspector, path):
        verdict = plain(inspector, path)
        if path.name == "0.png":
            shot(folder, "0.png", 255, 99)
        if path.name == "1.png":
            path.unlink()
        return verdict

    monkeypatch.setattr(watch.Inspector, "__call__", judged)
    found = visiontune("watch", model, folder, "--log", tmp_path / "log.csv", *ONCE)
    assert found.err.startswith("4 frames")
    assert [row["path"] for row in logged(tmp_path / "log.csv")] == [f"{turn}.png" for turn in (2, 3, 4, 5)]


def test_two_do_not_watch_one_folder(visiontune, model, folder, tmp_path):
    watch = started("watch", model, folder, "--log", tmp_path / "a.csv", "--settle", "0")
    watch.stdout.readline()
    found = visiontune("watch", model, folder, "--log", tmp_path / "b.csv", *ONCE)
    watch.kill()
    watch.communicate()
    assert found.status == 2
    assert "another process" in found.err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "expected --move DIR, --log FILE or both"),
        (("--log", "camera"), "expected a log that can be written"),
        (("--move", "file"), "expected a folder to move to"),
        (("--log", "log.csv", "--settle", "-1"), "expected seconds from 0 to 3600"),
    ],
)
def test_wrong_use_is_told_in_one_line(visiontune, model, folder, tmp_path, monkeypatch, more, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    found = visiontune("watch", model, folder, *more)
    assert found.status == 2
    assert said in found.err and found.err.count("\n") == 1
    assert len(list(folder.iterdir())) == 6


def test_a_folder_that_is_not_there(visiontune, model, tmp_path):
    found = visiontune("watch", model, tmp_path / "gone", "--log", tmp_path / "log.csv")
    assert found.status == 2 and "gone" in found.err


@pytest.mark.slow
def test_memory_stays_flat(visiontune, model, tmp_path):
    import tracemalloc

    camera = tmp_path / "camera"
    camera.mkdir()
    picture = Image.fromarray(np.zeros((8, 8, 3), np.uint8))

    def turn(count):
        for number in range(count):
            picture.save(camera / f"{number}.bmp")
        visiontune("watch", model, camera, "--move", tmp_path / "out", "--log", tmp_path / "log.csv", *ONCE)

    turn(50)
    tracemalloc.start()
    turn(400)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 300_000


@pytest.fixture(scope="session")
def watched_model(tmp_path_factory):
    """The model of the other tests, with a reference: brightness 120 to 140, scores of good parts near 0.1."""
    severity = np.linspace(0, 1, 256)
    ranges = {**a_reference().ranges, "brightness": (120.0, 140.0)}
    reference = a_reference(ranges=ranges, good=tuple(np.linspace(0.08, 0.12, 40).tolist()), looks=())
    path = tmp_path_factory.mktemp("models") / "watched.onnx"
    path.write_bytes(table_model({"severity": severity}, a_card(reference=reference)))
    return path


def grey(folder, name, value, light=130):
    """A picture of this brightness that the model judges by `value`."""
    frame = np.full((8, 8, 3), light, np.uint8)
    frame[0, 0, 0] = value
    Image.fromarray(frame).save(folder / name)


@pytest.mark.parametrize("log", ["log.csv", "log.jsonl"])
def test_a_monitor_reviews_what_was_not_inspectable_and_says_why(visiontune, watched_model, tmp_path, log):
    folder = tmp_path / "camera"
    folder.mkdir()
    grey(folder, "a.png", 20)
    grey(folder, "b.png", 20, light=5)
    grey(folder, "c.png", 250, light=5)
    given = ("--log", tmp_path / log, "--monitor", tmp_path / "state.json", "--move", tmp_path / "out", *ONCE)
    found = visiontune("watch", watched_model, folder, *given)
    assert (found.status, found.err) == (0, "3 frames: 1 pass, 1 review, 1 reject\n")
    assert sorted_to(tmp_path / "out") == {"pass": ["a.png"], "review": ["b.png"], "reject": ["c.png"]}
    reasons = [record["reason"] or "" for record in logged(tmp_path / log)]
    assert reasons[0] == "" and all(reason.startswith("not inspectable: too dark") for reason in reasons[1:])
    assert found.lines[1].split("\t")[-1] == reasons[1]
    assert json.loads((tmp_path / "state.json").read_text())["frames"] == 3


def test_alarms_are_printed_and_logged_and_the_state_goes_on(visiontune, watched_model, tmp_path):
    folder, state = tmp_path / "camera", tmp_path / "state.json"
    folder.mkdir()
    for turn in range(30):
        grey(folder, f"{turn:03}.png", 70)  # 0.27, and val held 0.08 to 0.12
    given = ("--log", tmp_path / "log.jsonl", "--monitor", state, *ONCE)
    found = visiontune("watch", watched_model, folder, *given)
    assert found.status == 0
    (alarm,) = (line for line in found.err.splitlines() if "alarm" in line)
    assert alarm.startswith(
        "visiontune: alarm: scores: scores of the frames that pass are higher than in validation"
    )
    (reason,) = (record["reason"] for record in logged(tmp_path / "log.jsonl") if record["reason"])
    assert f"visiontune: {reason}" == alarm
    for turn in range(30, 33):
        grey(folder, f"{turn:03}.png", 70)
    again = visiontune("watch", watched_model, folder, *given)
    stands, summary = again.err.splitlines()
    assert re.match(
        r"visiontune: the alarm of scores stands \(.higher., raised at passed frame \d+\)", stands
    )
    assert summary == "3 frames: 3 pass, 0 review, 0 reject"
    assert all(not record["reason"] for record in logged(tmp_path / "log.jsonl")[30:])
    assert json.loads(state.read_text())["frames"] == 33


def test_an_unreadable_picture_is_still_a_failure_with_a_monitor(visiontune, watched_model, tmp_path):
    folder = tmp_path / "camera"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"no picture")
    given = ("--log", tmp_path / "log.csv", "--monitor", tmp_path / "state.json", *ONCE)
    assert visiontune("watch", watched_model, folder, *given).status == 1
    assert json.loads((tmp_path / "state.json").read_text())["unreadable"] == 1


@pytest.mark.parametrize(
    ("text", "said"), [("{", "state.json: expected the state of a monitor"), (None, "expected a reference")]
)
def test_a_monitor_that_cannot_begin_judges_nothing(
    visiontune, model, watched_model, folder, tmp_path, text, said
):
    if text is not None:
        (tmp_path / "state.json").write_text(text)
    chosen = model if text is None else watched_model
    given = ("--move", tmp_path / "out", "--monitor", tmp_path / "state.json", *ONCE)
    found = visiontune("watch", chosen, folder, *given)
    assert found.status == 2 and said in found.err and len(found.err.splitlines()) == 1
    assert len(list(folder.iterdir())) == 6
