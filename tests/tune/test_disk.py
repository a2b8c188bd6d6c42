"""A disk that fills up: one line that says so, the last good checkpoint untouched, nothing half-written, and on it goes."""

import errno
import shutil
from dataclasses import replace

import pytest

from tests.cut_off import KILLED, Moment, cook, differing, left, needs_fork, rubbish
from visiontune.tune import Recipe, Unfreeze
from visiontune.tune.disk import Unwritable, writing

SAVED = Moment("visiontune.tune.checkpoints:EveryEpoch.on_train_epoch_end", "after")


@pytest.fixture(scope="module")
def recipe():
    """Its checkpoint grows when stages open, and with the best epochs that are kept."""
    return Recipe(
        backbone="test_resnet", pretrained=False, unfreeze=Unfreeze(at=(1,)), size=(64, 64), epochs=4, batch=16, views=2, lr=2e-3
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory, recipe, parts_folder):
    """What a run with room left."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert cook(recipe, parts_folder, out)[0] == 0
    return left(out)


@pytest.fixture(scope="module")
def early(tmp_path_factory, recipe, parts_folder):
    """The folder of a run that was killed after its second epoch: its last good checkpoint."""
    out = tmp_path_factory.mktemp("early") / "run"
    assert cook(recipe, parts_folder, out, moment=replace(SAVED, nth=2))[0] == KILLED
    return out


def is_one_line(said, out):
    """Whether a person is told what happened and what to do, and nothing else."""
    return "Traceback" not in said and said.count("\n") == 1 and str(out) in said and "--resume" in said


@needs_fork
def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(tmp_path, recipe, parts_folder, whole, early):
    out = tmp_path / "run"
    last = early / "checkpoints/last.ckpt"
    status, said = cook(recipe, parts_folder, out, limit=last.stat().st_size + 2000)
    assert status == 2 and is_one_line(said, out), said
    assert "found none (File too large)" in said
    assert rubbish(out) == []
    assert differing(left(out), left(early)) == []
    assert cook(recipe, parts_folder, out, resume=True)[0] == 0
    assert differing(left(out), whole) == []


@needs_fork
def test_a_cache_that_does_not_fit_is_said_and_filled_later(tmp_path, recipe, parts_folder, whole):
    out = tmp_path / "run"
    status, said = cook(recipe, parts_folder, out, limit=60_000)
    assert status == 2 and is_one_line(said, out), said
    assert rubbish(out) == [] and not list((out / "cache").glob("view*"))
    assert not (out / "checkpoints").exists()
    assert cook(recipe, parts_folder, out, resume=True)[0] == 0
    assert differing(left(out), whole) == []


@needs_fork
def test_a_small_disk_that_fills_up_kills_nothing(tmp_path, recipe, parts_folder, whole, early):
    """On a real disk: a file that is mapped into memory for writing would end the process by a signal."""
    full = sum(
        path.stat().st_size for path in early.rglob("*") if path.is_file() and "store" not in path.parts
    )
    seen = set()
    for share in (0.2, 0.6, 1.1):
        out = tmp_path / f"run-{share}"
        status, said = cook(recipe, parts_folder, out, disk=int(full * share) // 4096 * 4096)
        assert status == 2 and is_one_line(said, out), said
        assert "No space left on device" in said
        real = out.with_name(f"{out.name}.real")
        assert rubbish(real) == []
        if (real / "checkpoints/last.ckpt").is_file():
            seen.add("last")
        again = tmp_path / f"again-{share}"
        shutil.copytree(real, again)
        assert cook(recipe, parts_folder, again, resume=True)[0] == 0
        assert differing(left(again), whole) == []
    assert seen == {"last"}


@needs_fork
@pytest.mark.slow
def test_a_model_that_does_not_fit_is_not_half_written(tmp_path, recipe, parts_folder):
    out = tmp_path / "run"
    assert cook(recipe, parts_folder, out)[0] == 0
    status, said = cook(recipe, parts_folder, out, resume=True, verbs=True, limit=100_000)
    assert status == 2 and is_one_line(said, out), said
    assert not (out / "model.onnx").exists() and rubbish(out) == []
    assert cook(recipe, parts_folder, out, resume=True, verbs=True)[0] == 0
    assert (out / "model.onnx").is_file() and (out / "report.html").is_file()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_disk_is_named_as_the_reason(tmp_path, number):
    with pytest.raises(Unwritable, match=str(tmp_path)), writing(tmp_path):
        raise OSError(number, "as the system says")


def test_another_error_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), writing(tmp_path):
        (tmp_path / "none").read_text()
