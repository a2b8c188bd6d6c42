"""A phase that no longer gains ends early; what follows moves up, and a resumed run knows of it."""

import io
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from visiontune.tune import Unfreeze, finetune, read
from visiontune.tune.unfreeze import Phase, shortened


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.data())
def test_shortened_phases_still_tile_the_run(lengths, data):
    phases, start = [], 0
    for opened, epochs in enumerate(lengths):
        phases.append(Phase(open=opened, start=start, epochs=epochs))
        start += epochs
    end = data.draw(st.integers(1, start))
    found = shortened(phases, end=end)
    assert [epoch for phase in found for epoch in range(phase.start, phase.end)] == list(range(found[-1].end))
    cut = next(at for at, phase in enumerate(phases) if phase.start < end <= phase.end)
    assert found[cut].end == end
    assert [phase.open for phase in found] == [phase.open for phase in phases]
    assert [p.epochs for p in found[:cut] + found[cut + 1 :]] == [
        p.epochs for p in phases[:cut] + phases[cut + 1 :]
    ]


def test_a_phase_ends_when_patience_does(tiny_recipe, parts_folder, tmp_path):
    # far too high a rate: val soon stops getting better
    recipe = replace(
        tiny_recipe,
        lr=0.3,
        epochs=None,
        unfreeze=Unfreeze(head=12, phase=2, full=2, patience=2, confidence=0.5),
    )
    run = finetune(recipe, read(parts_folder), out=tmp_path / "run", console=Console(file=io.StringIO()))
    first = run.phases[0]
    assert first.epochs < 12
    losses = [epoch.val_tempered for epoch in run.history[: first.epochs]]
    assert losses.index(min(losses)) == len(losses) - 3
    assert run.phases[1].start == first.epochs
    assert run.history[first.epochs].open > 0
    again = finetune(
        recipe, read(parts_folder), out=tmp_path / "run", resume=True, console=Console(file=io.StringIO())
    )
    assert [phase.epochs for phase in again.phases] == [phase.epochs for phase in run.phases]


def test_a_fixed_schedule_opens_when_it_says(tiny_recipe, parts_folder, tmp_path):
    recipe = replace(tiny_recipe, lr=0.3, epochs=30, unfreeze=Unfreeze(at=(6,), patience=1))
    run = finetune(recipe, read(parts_folder), out=tmp_path / "run", console=Console(file=io.StringIO()))
    losses = [epoch.val_tempered for epoch in run.history[:6]]
    assert min(losses) < losses[-1]  # patience would have ended it before
    assert [epoch.open for epoch in run.history[:7]] == [0] * 6 + [1]
    assert len(run.history) < 30  # the last phase has nothing to wait for


def test_the_last_phase_is_brief_unless_it_gains_at_once(tiny_recipe, parts_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("visiontune.tune.keeper.SURE", 0.5)  # so few pictures leave more doubt than that
    data, quiet = read(parts_folder), Console(file=io.StringIO())
    schedule = Unfreeze(head=1, brief=4, full=7, confidence=0.5)

    def opened(lr, name, resume=False, epochs=None):
        recipe = replace(tiny_recipe, lr=lr, epochs=epochs, unfreeze=schedule)
        run = finetune(recipe, data, out=tmp_path / name, resume=resume, console=quiet)
        return run.phases[0].val_loss, [epoch for epoch in run.history if epoch.open]

    before, epochs = opened(0.06, "far too high")
    assert epochs[1].val_tempered > before
    assert len(epochs) == 4
    assert epochs[0].lr == epochs[1].lr == 0.06 and epochs[3].lr < 0.04
    before, epochs = opened(0.003, "gains")
    assert epochs[1].val_tempered < before
    assert len(epochs) == 7
    assert epochs[0].lr == epochs[1].lr == 0.003 and epochs[-1].lr < 0.001
    assert opened(0.003, "gains", resume=True)[1] == epochs
    assert len(opened(0.003, "cut off", epochs=6)[1]) == 5
