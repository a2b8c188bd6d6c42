"""What a user hands through to Lightning's Trainer: it works, comes to what is ours, and what cannot work is refused by name."""

import os
import signal
from dataclasses import replace

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, GradientAccumulationScheduler, ModelCheckpoint
from safetensors.torch import load_file

from tests.cut_off import KILLED, Moment, cook, differing, left, needs_fork
from visiontune.runtime.errors import BadRecipe
from visiontune.tune import finetune, read
from visiontune.tune.checkpoints import BEST, LAST, AtomicCheckpoints
from visiontune.tune.keeper import tempered_losses
from visiontune.tune.trainer import make_trainer
from visiontune.tune.unfreeze import rate

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU, and there is none")
MIXED = {"precision": "bf16-mixed", "accumulate_grad_batches": 2, "gradient_clip_val": 0.5}


@pytest.fixture(scope="module")
def recipe(tiny_recipe):
    """Eight pictures a step: an epoch has five batches, an odd number."""
    return replace(tiny_recipe, batch=8, lr=2e-3)


@pytest.fixture
def tuned(tmp_path, parts_folder, recipe, console):
    """Fine-tunes with keywords, in a folder of its own."""
    return lambda **keywords: finetune(
        recipe, read(parts_folder), out=tmp_path / "run", console=console, accelerator="cpu", **keywords
    )


class Watching(lightning.Callback):
    """Notes the learning rate of the head in each batch, and the optimizer's steps."""

    def __init__(self):
        self.rates, self.steps, self.averaged = [], 0, 0

    def on_fit_start(self, trainer, module):
        follow = module.keeper.step

        def counted():
            self.averaged += 1
            follow()

        module.keeper.step = counted

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.rates.append(trainer.optimizers[0].param_groups[-1]["lr"])
        self.steps = trainer.global_step

    def state_dict(self):
        return {"seen": len(self.rates)}


def test_callbacks_of_the_user_come_to_ours_and_are_in_the_checkpoint(tuned, tmp_path):
    watching = Watching()
    run = tuned(callbacks=watching)  # one is as good as a list
    last = torch.load(run.out / "checkpoints" / LAST, weights_only=True)
    assert watching.steps == 3 * 5
    assert last["callbacks"]["Watching"] == {"seen": 15}
    assert len(last["visiontune"]["history"]) == 3


def test_a_checkpoint_and_an_early_stop_of_the_user_work_beside_ours(tuned, tmp_path):
    class Last(EarlyStopping):
        stopped = 0

        def on_train_epoch_end(self, trainer, module):
            trainer.should_stop = module.current_epoch == 1

    run = tuned(callbacks=[ModelCheckpoint(dirpath=tmp_path / "own"), Last(monitor="val_loss")])
    assert list((tmp_path / "own").iterdir())
    assert len(run.history) == 2 and (run.out / "checkpoints" / LAST).is_file()


def test_a_run_stopped_before_anything_could_be_kept_says_so(tuned, recipe, tmp_path, parts_folder, console):
    class Stop(lightning.Callback):
        def on_train_epoch_end(self, trainer, module):
            trainer.should_stop = True

    long = replace(recipe, unfreeze=replace(recipe.unfreeze, at=(2,)))
    with pytest.raises(BadRecipe, match=r"first phase \(2 epochs\).* stopped the run after 1"):
        finetune(long, read(parts_folder), out=tmp_path / "run", console=console, callbacks=[Stop()])


def test_rates_and_averages_go_by_optimizer_steps(tuned):
    watching = Watching()
    tuned(callbacks=[watching], accumulate_grad_batches=2)
    assert watching.steps == watching.averaged == 3 * 3  # of five batches: two, two, one
    phase = [2e-3 * rate(step, of=3) for step in (0, 0, 1, 1, 2)]
    assert watching.rates == pytest.approx(3 * phase)


def test_mixed_precision_trains_float32_weights_and_val_is_judged_as_it_ships(tuned):
    run = tuned(**MIXED)
    weights = load_file(run.out / "checkpoints" / BEST)
    assert {value.dtype for value in weights.values()} == {torch.float32, torch.int64}
    logits, labels = torch.from_numpy(run.logits("val")), torch.from_numpy(run.judge("val").labels)
    kept = [phase for phase in run.phases if phase.kept][-1]
    loss = float(tempered_losses(run.net.head, logits, labels).mean())
    assert loss == pytest.approx(kept.val_loss, rel=1e-5)  # bfloat16 would be off by 1e-3
    assert all(epoch.train_loss < 5 for epoch in run.history)


@needs_fork
def test_mixed_precision_and_accumulation_resume_bit_equal(tmp_path, recipe, parts_folder):
    assert cook(recipe, parts_folder, tmp_path / "whole", **MIXED)[0] == 0
    for moment in (
        Moment("visiontune.tune.learner:Learner.training_step", nth=7),
        Moment("visiontune.tune.checkpoints:EveryEpoch.on_train_epoch_end"),
    ):
        assert cook(recipe, parts_folder, tmp_path / "cut", moment=moment, resume=True, **MIXED)[0] == KILLED
    assert cook(recipe, parts_folder, tmp_path / "cut", resume=True, **MIXED)[0] == 0
    assert differing(left(tmp_path / "cut"), left(tmp_path / "whole")) == []


@pytest.mark.parametrize(
    ("keywords", "why"),
    [
        ({"max_epochs": 3}, "set Recipe.epochs"),
        ({"precison": "bf16-mixed"}, "did you mean precision"),
        ({"val_check_interval": 2}, "expected one of accelerator"),
        ({"precision": "bf16-true"}, "the weights that ship are float32"),
        ({"precision": "16-mixed"}, "say bf16-mixed"),
        ({"devices": 2}, "finetune runs on one device, got devices=2"),
        ({"strategy": "ddp"}, "leave strategy out"),
        ({"plugins": AtomicCheckpoints()}, "expected none that writes checkpoints"),
        ({"callbacks": GradientAccumulationScheduler({1: 2})}, "say accumulate_grad_batches=N"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_work_is_refused_before_anything_begins(tuned, tmp_path, keywords, why):
    with pytest.raises(BadRecipe, match=why):
        tuned(**keywords)
    assert not (tmp_path / "run").exists()


def test_one_device_is_the_default(tmp_path, console):
    assert make_trainer(tmp_path, console, {}).world_size == 1


class Signal(lightning.Callback):
    """What the system sends while a run is under way."""

    def __init__(self, number):
        self.number = number

    def on_train_batch_start(self, trainer, module, batch, index):
        if module.current_epoch == 1:
            os.kill(os.getpid(), self.number)


@pytest.fixture
def listening():
    """A process that was started in the background may ignore Ctrl-C; here it does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_stays_a_keyboard_interrupt_and_can_be_pressed_again(tuned, listening):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        tuned(callbacks=[Signal(signal.SIGINT)])
    assert signal.getsignal(signal.SIGINT) is before is not signal.SIG_IGN


@pytest.mark.skipif(os.name == "nt", reason="no SIGTERM to catch on Windows")
def test_a_sigterm_does_not_end_like_a_success(tuned):
    with pytest.raises(SystemExit) as end:
        tuned(callbacks=[Signal(signal.SIGTERM)])
    assert end.value.code == 143


@gpu
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_gpu_trains_caches_and_resumes(tmp_path, recipe, parts_folder, console, precision):
    class Cut(Exception):
        pass

    class Scissors(lightning.Callback):
        def on_train_batch_start(self, trainer, module, batch, index):
            if module.current_epoch == 2 and index == 1:
                raise Cut

    data = read(parts_folder)
    options = {"accelerator": "gpu", "deterministic": "warn", "precision": precision, "console": console}
    whole = finetune(recipe, data, out=tmp_path / "whole", **options)
    with pytest.raises(Cut):
        finetune(recipe, data, out=tmp_path / "cut", callbacks=[Scissors()], **options)
    finetune(recipe, data, out=tmp_path / "cut", resume=True, **options)
    assert differing(left(tmp_path / "cut"), left(tmp_path / "whole")) == []
    assert next(whole.net.parameters()).device.type == "cpu"
    whole.export()


@gpu
def test_a_gpu_learns_what_a_cpu_does(tmp_path, recipe, parts_folder, console):
    data = read(parts_folder)
    runs = [
        finetune(recipe, data, out=tmp_path / kind, console=console, accelerator=kind)
        for kind in ("gpu", "cpu")
    ]
    for here, there in zip(*(run.history for run in runs), strict=True):
        assert here.val_loss == pytest.approx(there.val_loss, rel=0.05)
