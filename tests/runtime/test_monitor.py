"""The Monitor on real tiny models: gate, alarms, state, threads, master parts, and files without a reference."""

import json
import re
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.line_models import a_card, a_reference, line_model, table_model
from visiontune import BadData, BadFrame, BadModel, Bands, Inspector, Stream
from visiontune.runtime.look import Look, look

SEVERITY = np.linspace(0, 1, 256)
RANGES = {**a_reference().ranges, "brightness": (100.0, 150.0), "sharpness": (0.0, 1.0)}
WELL_SEEN = a_reference(ranges=RANGES)


def an_inspector(reference=WELL_SEEN, **changes):
    """Its severity is the first red value over 255; bands 0.3 and 0.7."""
    return Inspector(table_model({"severity": SEVERITY}, a_card(reference=reference, **changes)))


def shot(value, seed=0, light=1.0):
    """A frame of noise, brightness about 127 times `light`, that the model judges by `value`."""
    frame = np.random.default_rng([seed, value]).integers(0, 256, (16, 16, 3)) * light
    frame = frame.astype(np.uint8)
    frame[0, 0, 0] = value
    return frame


@pytest.fixture(scope="module")
def inspector():
    return an_inspector()


def test_it_judges_as_the_inspector_does(inspector, tmp_path):
    monitor = inspector.monitor()
    for value in (0, 100, 255):
        frame = shot(value)
        assert monitor(frame) == inspector(frame) == monitor.observe(frame, inspector(frame))
    Image.fromarray(shot(3)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    assert monitor(tmp_path / "a.png") == monitor(data) == inspector(shot(3))
    assert monitor.status()["frames"] == 8
    assert monitor.status()["decisions"] == {"pass": 4, "review": 2, "reject": 2}


@pytest.mark.parametrize(
    ("value", "decision", "gated"),
    [(0, "pass", "review"), (100, "review", "review"), (255, "reject", "reject")],
)
def test_what_could_not_be_inspected_is_never_passed_and_a_reject_stays(inspector, value, decision, gated):
    monitor, dark = inspector.monitor(), shot(value, light=0.1)
    dark[0, 0, 0] = value
    verdict = monitor(dark)
    assert inspector(dark).decision == decision and verdict.decision == gated
    assert verdict.reason.startswith("not inspectable: too dark (brightness 1")
    assert verdict.as_dict()["reason"] == verdict.reason
    assert (verdict.severity, verdict.kinds) == (inspector(dark).severity, inspector(dark).kinds)
    assert monitor.status()["not inspectable"] == 1
    assert inspector.monitor(gate=False)(dark) == inspector(dark)


def test_frames_that_the_gate_holds_count_for_no_other_watch(inspector):
    monitor = inspector.monitor(subgroup=4)
    for seed in range(8):
        monitor(shot(0, seed, light=0.1))
    status = monitor.status()
    assert status["drift"]["scores"]["seen"] == 0
    assert [chart["subgroups"] for chart in status["rates"].values()] == [0, 0, 2]


def test_alarms_are_told_once_and_kept(inspector):
    heard = []
    monitor = inspector.monitor(alpha=0.05, on_alarm=heard.append)
    for seed in range(150):  # the reference reaches from 0 to 0.3; these are all the same
        monitor(shot(60, seed))
    (alarm,) = (alarm for alarm in heard if alarm.what == "scores")
    assert alarm in monitor.alarms and str(alarm) == f"scores: {alarm.text} (frame {alarm.frame})"
    assert monitor.status()["drift"]["scores"]["alarm_at"] == alarm.frame
    json.dumps(monitor.status(), allow_nan=False)
    monitor.restart()
    assert monitor.alarms == () and monitor.status()["frames"] == 0


def test_rates_that_leave_what_validation_expects_are_told(inspector):
    heard = []
    monitor = inspector.monitor(defects=0.0, subgroup=50, on_alarm=heard.append)
    for seed in range(50):
        monitor(shot(255 if seed % 2 else 5, seed))
    assert [(alarm.what, alarm.frame) for alarm in heard if alarm.what == "reject"] == [("reject", 50)]
    (text,) = (alarm.text for alarm in heard if alarm.what == "reject")
    assert text.startswith("25 of 50 frames, expected 0 to ")
    more = inspector.monitor(defects=0.3).status()["rates"]["reject"]["rate"]
    assert more > inspector.monitor(defects=0.0).status()["rates"]["reject"]["rate"] + 0.05


def test_a_master_part_is_judged_and_counts_for_nothing(inspector):
    heard = []
    monitor = inspector.monitor(on_alarm=heard.append)
    assert monitor.master(shot(255)).decision == "reject" and not heard
    assert monitor.master(shot(0), expect="pass").decision == "pass" and not heard
    assert monitor.master(shot(0)).decision == "pass"
    (alarm,) = heard
    assert (alarm.what, alarm.text) == ("master", "a master part to reject got pass (severity 0.0000)")
    status = monitor.status()
    assert (status["frames"], status["masters"]) == (0, 3) and status["drift"]["scores"]["seen"] == 0
    with pytest.raises(ValueError, match="expected pass, review, reject"):
        monitor.master(shot(0), expect="fail")


def test_what_cannot_be_read_is_raised_and_counted(inspector):
    monitor = inspector.monitor()
    for call in (monitor, monitor.master):
        with pytest.raises(BadFrame):
            call(b"no picture")
    assert monitor.status()["unreadable"] == 2 and monitor.status()["frames"] == 0


@pytest.mark.parametrize("cut", [0, 33, 90])
def test_restored_it_goes_on_as_if_nothing_had_been_between(inspector, tmp_path, cut):
    frames = [shot(value, seed, light) for seed, (value, light) in enumerate(
        zip(np.random.default_rng(1).integers(0, 256, 90), [1, 1, 1, 0.1] * 23, strict=False)
    )]  # fmt: skip
    heard, again = [], []
    settings = {"alpha": 0.2, "subgroup": 3, "seed": 7}
    whole = inspector.monitor(**settings, on_alarm=heard.append)
    verdicts = [whole(frame) for frame in frames]
    first = inspector.monitor(**settings, on_alarm=again.append)
    found = [first(frame) for frame in frames[:cut]]
    first.save(tmp_path / "state.json")
    for state in (tmp_path / "state.json", str(tmp_path / "state.json"), first.state()):
        second = inspector.monitor(state=state, on_alarm=again.append)
        assert second.state() == first.state()
    found += [second(frame) for frame in frames[cut:]]
    assert found == verdicts and second.state() == whole.state()
    assert again == heard and heard


def test_a_state_of_another_model_or_other_bands_or_damaged_is_refused(inspector, tmp_path):
    monitor = inspector.monitor()
    monitor(shot(3))
    state = monitor.state()
    for other in (an_inspector(bands=Bands(0.2, 0.7)), an_inspector(reference=a_reference())):
        with pytest.raises(BadData, match="another model than tiny with its bands of today"):
            other.monitor(state=state)
    wrongs = (
        [1],
        {},
        {**state, "schema": 2},
        {**state, "settings": {"alpha": 0.1}},
        {**state, "settings": {**state["settings"], "alpha": "x"}},
        {**state, "drift": {}},
        {**state, "rates": {**state["rates"], "reject": None}},
        {**state, "frames": None},
        {**state, "alarms": [{"mood": 1}]},
    )
    for wrong in wrongs:
        (tmp_path / "state.json").write_text(json.dumps(wrong))
        with pytest.raises(BadData, match=r"state\.json: expected the state of a monitor") as found:
            inspector.monitor(state=tmp_path / "state.json")
        assert "\n" not in str(found.value)
    for text in ("", "{", "\udcff"):
        (tmp_path / "state.json").write_text(text, errors="surrogateescape")
        with pytest.raises(BadData, match="expected the state of a monitor"):
            inspector.monitor(state=tmp_path / "state.json")
    with pytest.raises(BadData, match=r"none\.json"):
        inspector.monitor(state=tmp_path / "none.json")


def test_saving_writes_a_whole_file_or_says_why_not(inspector, tmp_path):
    monitor = inspector.monitor()
    monitor.save(tmp_path / "deep" / "state.json")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["state.json"]
    (tmp_path / "file").write_text("")
    with pytest.raises(BadData, match="expected to write the monitor's state"):
        monitor.save(tmp_path / "file" / "state.json")


def test_a_file_from_before_there_was_a_reference_says_what_to_do():
    old = Inspector(line_model(a_card()))
    for given in ({}, {"state": {}}):
        with pytest.raises(
            BadModel, match=r"expected a reference in the card, found none.*export the model again"
        ):
            old.monitor(**given)


@pytest.mark.parametrize(
    "wrong", [{"alpha": 0}, {"alpha": 2}, {"subgroup": 0}, {"defects": 1.0}, {"defects": -0.1}]
)
def test_numbers_out_of_range_are_refused(inspector, wrong):
    with pytest.raises(ValueError, match="expected"):
        inspector.monitor(**wrong)


def test_defects_need_a_good_class():
    sorter = an_inspector(reference=a_reference(defective=()), good=None)
    assert sorter.monitor(defects=0.0).status()["rates"]["review"]["rate"] is not None
    with pytest.raises(ValueError, match="with a good class"):
        sorter.monitor(defects=0.1)


def test_threads_share_a_monitor(inspector):
    monitor, heard, lock = inspector.monitor(subgroup=20), [], threading.Lock()
    frames = [shot(value, value) for value in range(0, 240, 2)]

    def camera(_):
        found = [monitor(frame) for frame in frames]
        with lock:
            heard.append(found)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(camera, range(4)))
    status = monitor.status()
    assert all(found == heard[0] for found in heard)
    assert status["frames"] == sum(status["decisions"].values()) == 4 * len(frames)
    assert status["drift"]["scores"]["seen"] == status["decisions"]["pass"]
    assert status["rates"]["reject"]["subgroups"] == 4 * len(frames) // 20


def test_an_alarm_may_ask_the_monitor(inspector):
    """It is told when nothing is locked any more."""
    heard = []
    monitor = inspector.monitor(alpha=0.5, on_alarm=lambda alarm: heard.append(monitor.status()))
    for seed in range(60):
        monitor(shot(60, seed))
    assert heard and heard[0]["frames"] >= 1


def test_a_stream_takes_a_monitor_for_its_inspector(inspector):
    monitor = inspector.monitor()
    with Stream(monitor, workers=2) as stream:
        futures = [stream.submit(shot(value)) for value in range(0, 50, 5)]
        assert [future.result() for future in futures] == [
            inspector(shot(value)) for value in range(0, 50, 5)
        ]
    assert monitor.status()["frames"] == 10


def test_memory_does_not_grow(inspector):
    monitor = inspector.monitor(subgroup=2, defects=0.0)
    frames = [shot(value, value) for value in range(0, 250, 5)]
    for frame in frames * 4:
        monitor(frame)
    before = len(json.dumps(monitor.state()))
    tracemalloc.start()
    for frame in frames * 20:
        monitor(frame)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 20_000
    assert len(json.dumps(monitor.state())) < before + 500 and len(monitor.alarms) == 16


def test_the_look_is_of_the_region_that_the_network_sees():
    spec = replace(a_card().input, roi=(0.5, 0.0, 1.0, 1.0))
    inspector = an_inspector(input=spec)
    frame = shot(0)
    frame[:, :8] = 0  # dark outside of the region
    assert look(frame, size=(16, 16), roi=None).brightness < 70
    assert inspector.monitor()(frame).reason == ""
    assert set(RANGES) == set(Look._fields)


def test_the_example_in_the_docs_runs(tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parents[2] / "docs" / "drift.md").read_text("utf-8")
    monkeypatch.chdir(tmp_path)
    card = a_card(reference=WELL_SEEN)
    Path("model.onnx").write_bytes(table_model({"severity": SEVERITY}, card))
    Image.fromarray(shot(3)).save("frame.png")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(block, "drift.md", "exec"), {})
    assert capsys.readouterr().out.startswith("pass \n{'frames': 1,")
    assert Inspector("model.onnx").monitor(state="camera1.json").status()["masters"] == 1
