"""Opening model files: size limits, and the card without the whole Inspector."""

from dataclasses import replace

import pytest

from tests.line_models import a_card, line_model
from visiontune import BadModel
from visiontune.runtime import model as opening
from visiontune.runtime.model import load_card, open_session, read_model, self_test


def test_loads_the_card_of_path_and_bytes(tmp_path):
    data = line_model(golden=False)
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    assert load_card(path) == load_card(str(path)) == load_card(data) == a_card()


def test_the_card_of_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(line_model().replace(b"tiny", b"tony"))
    with pytest.raises(BadModel, match=r"model\.onnx: expected sha256"):
        load_card(path)


def test_large_files_are_refused_before_they_are_read(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.truncate(3 * 1024**3)  # sparse: takes no room
    with pytest.raises(BadModel, match=r"3\.0 GiB"):
        read_model(path)
    monkeypatch.setattr(opening, "MAX_BYTES", 10)
    with pytest.raises(BadModel, match="below 2 GiB"):
        read_model(b"x" * 11)


def test_a_model_without_golden_frames_says_so():
    data = line_model(golden=False)
    assert "no golden frames" in self_test(open_session(data), load_card(data))


def test_the_self_test_says_what_it_saw():
    data = line_model()
    seen = self_test(open_session(data), load_card(data))
    assert seen.startswith("2 golden frames, answers within 0 ") and seen.endswith("0 flips")


def test_a_graph_that_fails_on_golden_frames_is_refused():
    card = a_card(input=replace(a_card().input, roi=(0.4, 0.4, 0.45, 0.45)))
    data = line_model(card, golden=False)
    golden = load_card(line_model()).golden
    with pytest.raises(BadModel, match="self-test failed: "):
        self_test(open_session(data), replace(card, golden=replace(golden, size=(2, 2))))
