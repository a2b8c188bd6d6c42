"""A run that is killed at any moment and resumed ends bit-equal to one that was not: weights, averages, optimizer, history."""

import random
import time
from dataclasses import replace

import pytest

from tests.cut_off import FORKED, KILLED, Moment, cook, differing, left, rubbish
from visiontune.runtime.errors import BadData, BadRecipe
from visiontune.tune import Classify, Recipe, Unfreeze, finetune, read

pytestmark = FORKED

STORING = Moment("visiontune.data.rows:Rows.append", nth=20)
FILLING = Moment("visiontune.tune.prefix:prefixes", nth=3)
HALF_FILLED = Moment("numpy.lib.format:write_array_header_1_0", "after", nth=2)
FILLED = Moment("visiontune.tune.prefix:os.fsync", nth=2)  # a cache file is complete and not yet in its place
STEPPING = Moment("visiontune.tune.learner:Learner.training_step", nth=5)
WRITING = Moment("torch:save", "amid", nth=2)
WRITTEN = Moment("visiontune.tune.checkpoints:EveryEpoch.on_train_epoch_end", "after")
CHOSEN = Moment("visiontune.tune.keeper:save_weights", "after")  # best weights new, last checkpoint old
OPENED = Moment("visiontune.tune.keeper:Keeper.begin", "after")
DECIDING = Moment("visiontune.tune.keeper:Keeper._close")
SHUT = Moment("visiontune.tune.keeper:Keeper._close", "after")
STOPPED = Moment("visiontune.tune.finetune:summary")
CLEANING = Moment("visiontune.tune.finetune:shutil.rmtree", "after")
CLEANED = Moment("visiontune.tune.finetune:remove")
CALIBRATED = Moment("visiontune.tune.run:export")
PROVING = Moment("visiontune.tune.export:prove")
SAVING = Moment("visiontune.tune.run:Run.save", nth=2)
REPORTING = Moment("visiontune.report.template:whole")


@pytest.fixture(scope="module")
def gated():
    """Everything that could be lost: dropout, drop-path, averages, a gate. It stays shut after the first opening.

    Ten steps an epoch: the moving average of a phase of ten steps or fewer is the last step's weights.
    """
    return Recipe(
        backbone="test_resnet",
        pretrained=False,
        head=Classify(dropout=0.1),
        unfreeze=Unfreeze(shares=(0.5, 1.0), head=2, phase=2, confidence=0.999),
        size=(64, 64),
        batch=4,
        views=2,
        drop_path=0.1,
        seed=2,
    )


@pytest.fixture(scope="module")
def fixed(gated):
    """Three phases at fixed epochs."""
    return replace(gated, unfreeze=Unfreeze(at=(2, 4)), epochs=6)


def whole(tmp_path_factory, recipe, parts, **options):
    """What an uninterrupted run left, and how long it took in seconds."""
    out = tmp_path_factory.mktemp("whole") / "run"
    start = time.monotonic()
    status, said = cook(recipe, parts, out, **options)
    assert status == 0, said
    return left(out), time.monotonic() - start


@pytest.fixture(scope="module")
def gated_run(tmp_path_factory, gated, parts_folder):
    return whole(tmp_path_factory, gated, parts_folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, gated, parts_folder):
    return whole(tmp_path_factory, gated, parts_folder, verbs=True)


@pytest.fixture(scope="module")
def fixed_run(tmp_path_factory, fixed, parts_folder):
    return whole(tmp_path_factory, fixed, parts_folder)


def resumed(recipe, parts, out, moments, **options):
    """Cooks, killed at one moment after the other and resumed each time; gives what is left in the end."""
    for moment in moments:
        status, said = cook(recipe, parts, out, moment=moment, resume=True, **options)
        assert status == KILLED, f"{moment} did not come: {said}"
    status, said = cook(recipe, parts, out, resume=True, **options)
    assert status == 0, said
    assert rubbish(out) == []
    return left(out)


def test_the_gate_stays_shut_in_the_run_that_is_cut(gated_run):
    found, _ = gated_run
    assert found["last.ckpt/visiontune/keeper/stopped"] is True
    assert found["last.ckpt/visiontune/keeper/results/1/kept"] is False


def test_one_run_killed_at_every_moment_in_turn_ends_bit_equal(tmp_path, gated, parts_folder, gated_run):
    storing = [STORING, FILLING, HALF_FILLED, FILLED]
    head = [STEPPING, WRITING, STEPPING, CHOSEN, WRITTEN]  # after WRITING one epoch of two is done
    opened = [OPENED, WRITTEN, STEPPING, DECIDING, SHUT]
    moments = [*storing, *head, *opened, STOPPED, CLEANED]
    assert differing(resumed(gated, parts_folder, tmp_path / "run", moments), gated_run[0]) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    [
        *(replace(STEPPING, nth=n) for n in (1, 14, 20, 21, 35)),
        *(replace(WRITING, nth=n) for n in (1, 2, 3, 4)),
        *(replace(WRITTEN, nth=n) for n in (1, 2, 3)),
        *(replace(OPENED, nth=n) for n in (1, 2)),
        *(replace(FILLED, nth=n) for n in (1, 3, 5)),
        STORING, FILLING, HALF_FILLED, CHOSEN, DECIDING, SHUT, STOPPED, CLEANING, CLEANED,
    ],
    ids=str,
)  # fmt: skip
def test_a_run_killed_once_ends_bit_equal(moment, tmp_path, gated, parts_folder, gated_run):
    assert differing(resumed(gated, parts_folder, tmp_path / "run", [moment]), gated_run[0]) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    [
        *(replace(STEPPING, nth=n) for n in (15, 21, 45)),
        *(replace(WRITTEN, nth=n) for n in range(1, 7)),
        CHOSEN,
    ],
    ids=str,
)
def test_a_fixed_schedule_killed_once_ends_bit_equal(moment, tmp_path, fixed, parts_folder, fixed_run):
    assert differing(resumed(fixed, parts_folder, tmp_path / "run", [moment]), fixed_run[0]) == []


@pytest.mark.slow
@pytest.mark.parametrize("moment", [CALIBRATED, PROVING, SAVING, REPORTING], ids=str)
def test_a_run_killed_in_export_or_report_ends_bit_equal(moment, tmp_path, gated, parts_folder, finished):
    out = tmp_path / "run"
    found = resumed(gated, parts_folder, out, [moment], verbs=True)
    assert differing(found, finished[0]) == []
    assert (out / "model.onnx").is_file() and (out / "report.html").is_file()


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_bit_equal(tmp_path, gated, parts_folder, finished):
    expected, seconds = finished
    draw = random.Random(5)
    for trial in range(2):
        out = tmp_path / str(trial)
        for _ in range(3):
            status, said = cook(
                gated, parts_folder, out, after=draw.uniform(0.02, 0.9) * seconds, resume=True, verbs=True
            )
            assert status in (0, KILLED), said
        assert differing(resumed(gated, parts_folder, out, [], verbs=True), expected) == [], trial


def test_other_pictures_than_those_it_began_with_are_refused(cooked, parts_folder, tiny_recipe, console):
    data = read(parts_folder)
    train = data.samples[0]
    other = "good" if train.label != "good" else next(name for name in data.classes if name != "good")
    changed = replace(data, samples=(replace(train, label=other), *data.samples[1:]))
    with pytest.raises(BadData, match="not those the run began with"):
        finetune(tiny_recipe, changed, out=cooked.out, resume=True, console=console)


def test_other_keywords_than_those_it_began_with_are_refused(cooked, parts_folder, tiny_recipe, console):
    with pytest.raises(BadRecipe, match=r"accumulate_grad_batches \(was 1, is 2\)"):
        finetune(
            tiny_recipe,
            read(parts_folder),
            out=cooked.out,
            resume=True,
            console=console,
            accumulate_grad_batches=2,
        )


def test_a_run_that_is_done_is_resumed_without_computing_the_closed_stages(
    cooked, parts_folder, tiny_recipe, console, tmp_path
):
    import shutil

    out = tmp_path / "run"
    shutil.copytree(cooked.out, out)
    again = finetune(tiny_recipe, read(parts_folder), out=out, resume=True, console=console)
    assert "computed once" not in console.file.getvalue()
    assert again.history == cooked.history and again.best == cooked.best


def test_a_phase_that_ended_early_leaves_the_cache_as_it_was(tmp_path_factory, gated, parts_folder):
    """Eight views are planned, which fit in half precision only; so few epochs are run that float32 would have done."""
    stop = Unfreeze(head=8, phase=1, patience=1, confidence=0.999)
    recipe = replace(gated, lr=0.05, views=8, unfreeze=stop, cache_gb=0.008)
    found, _ = whole(tmp_path_factory, recipe, parts_folder)
    head = found["last.ckpt/visiontune/phases/0/epochs"]
    assert head < 4
    out = tmp_path_factory.mktemp("early") / "run"
    assert differing(resumed(recipe, parts_folder, out, [replace(WRITTEN, nth=head), SHUT]), found) == []
