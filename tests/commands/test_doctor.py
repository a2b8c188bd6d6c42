"""`visiontune doctor`: engines by name, what it says of a good and of a faulty one, and what is missing."""

import importlib.util
import json

import numpy as np
import pytest
from PIL import Image

from tests.line_models import line_model
from visiontune import BadModel
from visiontune.commands import doctor, engines
from visiontune.runtime.engine import Engine, painted
from visiontune.runtime.model import load_card, open_session
from visiontune.runtime.wire import with_attribute


@pytest.fixture
def faulty(monkeypatch):
    """As if an engine were installed that ignores antialias."""

    def engine(name, data):
        data = with_attribute(with_attribute(data, "Resize", "exclude_outside", 0), "Resize", "antialias", 0)
        session = open_session(data)
        words = ["severity", "kinds", "decision"]
        return Engine(
            name=name, about="blurry 1.0", run=lambda frames: session.run(words, {"frames": frames})
        )

    monkeypatch.setattr(engines, "engine", engine)
    monkeypatch.setattr(engines, "available", lambda: {"blurry": "a toy", "reference": "slow"})


def test_the_providers_of_this_machine_are_listed_and_examined(visiontune, golden_model):
    found = visiontune("doctor", golden_model)
    listed, *told = found.lines
    assert listed.startswith("engines here: ") and "cpu (onnxruntime's CPUExecutionProvider)" in listed
    assert "Azure" not in listed and "reference (" in listed
    assert any(
        line.startswith("cpu (onnxruntime ") and ": equivalent; 0 of 20 decisions change" in line
        for line in told
    )
    assert not any(line.startswith("reference") for line in told)


@pytest.mark.parametrize("name", ["cpu", "CPU", "CPUExecutionProvider"])
def test_an_engine_by_name(visiontune, golden_model, name):
    found = visiontune("doctor", golden_model, "--engine", name, "--json")
    assert (found.status, found.err) == (0, "")
    (line,) = found.lines
    diagnosis = json.loads(line)
    assert diagnosis["engine"] == name and diagnosis["equivalent"] is True and diagnosis["difference"] < 1e-4


def test_onnx_own_evaluator_rounds_in_another_order(visiontune, golden_model):
    """Its resize is off by one level in a few pixels, which this tiny model of random weights shows."""
    found = visiontune("doctor", golden_model, "--engine", "reference", "--json")
    diagnosis = json.loads(found.lines[0])
    assert diagnosis["flips"] == 0 and diagnosis["difference"] < 5e-3
    assert [cause["name"] for cause in diagnosis["causes"]] == ["resize"]


def test_an_engine_that_is_not_there(visiontune, golden_model):
    found = visiontune("doctor", golden_model, "--engine", "abacus")
    assert found.status == 2 and "cpu" in found.err and "'abacus'" in found.err and found.err.count("\n") == 1


@pytest.mark.skipif(importlib.util.find_spec("openvino") is not None, reason="openvino is installed here")
def test_openvino_says_what_to_install(visiontune, golden_model):
    found = visiontune("doctor", golden_model, "--engine", "openvino")
    assert found.status == 2 and "pip install openvino" in found.err


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed here")
def test_openvino_ignores_antialias_and_is_found_out(visiontune, golden_model):
    found = visiontune("doctor", golden_model, "--engine", "openvino", "--json")
    diagnosis = json.loads(found.lines[-1])
    assert found.status == 1 and "antialias" in [cause["name"] for cause in diagnosis["causes"]]


def test_a_faulty_engine_in_words(visiontune, golden_model, faulty):
    found = visiontune("doctor", golden_model)
    assert found.status == 1
    _, heading, *lines = found.lines
    assert heading.startswith("blurry (blurry 1.0): NOT equivalent; ") and "of 20 decisions change" in heading
    assert [line.split()[0] for line in lines] == ["antialias", "left", "do"]
    assert "CPUExecutionProvider" in lines[-1] and "core=True" in lines[-1]


def test_an_engine_that_cannot_run_it(visiontune, golden_model, monkeypatch):
    def run(frames):
        raise RuntimeError("no kernel for Resize")

    monkeypatch.setattr(engines, "engine", lambda name, data: Engine(name=name, about="broken", run=run))
    found = visiontune("doctor", golden_model, "--engine", "x")
    assert found.status == 1 and found.lines[-1] == "x (broken): cannot be used: no kernel for Resize"


def test_an_engine_that_cannot_load_it_does_not_end_the_round(visiontune, golden_model, monkeypatch):
    sound = engines.engine

    def engine(name, data):
        if name == "shaky":
            raise BadModel("its libraries are missing")
        return sound(name, data)

    monkeypatch.setattr(engines, "engine", engine)
    monkeypatch.setattr(engines, "available", lambda: {"shaky": "a provider", "cpu": "the CPU"})
    found = visiontune("doctor", golden_model)
    assert found.status == 1
    assert found.lines[1] == "shaky (a provider): cannot be used: its libraries are missing"
    assert found.lines[2].startswith("cpu (") and ": equivalent; " in found.lines[2]


def test_real_frames_take_the_painted_ones_place(visiontune, golden_model, camera, faulty):
    for index in range(3):
        noise = np.random.default_rng(index).integers(0, 256, (90, 70, 3), np.uint8)
        Image.fromarray(noise).save(camera / f"noise{index}.png")
    found = visiontune("doctor", golden_model, "--data", camera)
    assert "of 6 decisions change" in found.out
    text = visiontune("doctor", golden_model, "--data", camera / "notes.txt")
    assert text.status == 2 and "notes.txt" in text.err


def test_of_many_pictures_some_are_taken_evenly(golden_model, camera, monkeypatch):
    monkeypatch.setattr(doctor, "MOST", 2)
    shown = doctor.shown([camera], load_card(golden_model))
    assert len(shown) == 2
    assert [frames.shape for frames in shown] == [(1, 2, 2, 3)] * 2
    assert doctor.shown(None, load_card(golden_model))[0].shape == painted(load_card(golden_model))[0].shape


def test_a_damaged_model(visiontune, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(line_model()[:-5])
    found = visiontune("doctor", path)
    assert (found.status, found.out) == (2, "") and "model.onnx" in found.err
