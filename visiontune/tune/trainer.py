"""Lightning's Trainer for a fine-tuning: what a user may set, what is ours, and stop signals that stay what they are."""

from __future__ import annotations

import difflib
import logging
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import (
    GradientAccumulationScheduler,
    ProgressBar,
    RichProgressBar,
)
from lightning.pytorch.plugins import CheckpointIO
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities.exceptions import SIGTERMException
from rich.console import Console

from visiontune.runtime.errors import BadRecipe
from visiontune.tune.checkpoints import AtomicCheckpoints, EveryEpoch
from visiontune.tune.recipe import PRECISIONS

# What a user may hand through to the Trainer. Everything else is the schedule's, or would break it.
OPEN = frozenset(
    {
        "accelerator",
        "accumulate_grad_batches",
        "benchmark",
        "callbacks",
        "detect_anomaly",
        "deterministic",
        "devices",
        "enable_model_summary",
        "enable_progress_bar",
        "gradient_clip_algorithm",
        "gradient_clip_val",
        "limit_train_batches",
        "log_every_n_steps",
        "logger",
        "plugins",
        "precision",
        "profiler",
        "strategy",
    }
)
INSTEAD = {
    "max_epochs": "set Recipe.epochs",
    "max_steps": "set Recipe.epochs",
    "max_time": "set Recipe.epochs",
    "default_root_dir": "say out=",
    "ckpt_path": "say resume=True",
}
SIGTERM_STATUS = 128 + signal.SIGTERM


def make_trainer(folder: Path, console: Console, given: Mapping[str, Any]) -> lightning.Trainer:
    """A Trainer that writes a checkpoint after each epoch, with the keywords that the user gave.

    Callbacks and plugins of the user come to ours, which run last, so that a checkpoint holds the state of all. One device, the
    first that Lightning finds, is the default. Raises BadRecipe for a keyword that is the schedule's own, for a precision
    in which the weights would not be float32, and for several devices.
    """
    check(given)
    callbacks, plugins = listed(given.get("callbacks")), listed(given.get("plugins"))
    bar = bool(given.get("enable_progress_bar", console.is_terminal))
    if any(isinstance(callback, ProgressBar) for callback in callbacks):
        bar = bool(given.get("enable_progress_bar", True))
    elif bar:
        callbacks.append(RichProgressBar(leave=False))
    runner = lightning.Trainer(
        **{
            "devices": 1,
            "logger": False,
            "enable_model_summary": False,
            "gradient_clip_val": 1.0,
            **given,
            "max_epochs": -1,  # finetune sets it when the schedule is known
            "callbacks": [*callbacks, EveryEpoch(folder / "checkpoints")],
            "plugins": [*plugins, AtomicCheckpoints()],
            "enable_progress_bar": bar,
            "num_sanity_val_steps": 0,
            "reload_dataloaders_every_n_epochs": 1,
            "default_root_dir": folder,
        }
    )
    check_made(runner, given)
    return runner


def check(given: Mapping[str, Any]) -> None:
    """Raises BadRecipe for keywords that a fine-tuning cannot take."""
    for name in given:
        if name not in OPEN:
            close = difflib.get_close_matches(name, OPEN, n=1)
            hint = INSTEAD.get(name) or (f"did you mean {close[0]}?" if close else "leave it out")
            raise BadRecipe(
                f"finetune({name}=...): expected one of {', '.join(sorted(OPEN))}, got {name}; {hint}"
            )
    if any(isinstance(plugin, CheckpointIO) for plugin in listed(given.get("plugins"))):
        raise BadRecipe(
            "finetune(plugins=...): expected none that writes checkpoints, because --resume relies on how they are "
            "written; take it out"
        )
    if any(isinstance(one, GradientAccumulationScheduler) for one in listed(given.get("callbacks"))):
        raise BadRecipe(
            "finetune(callbacks=...): expected the same accumulation in every epoch, got a GradientAccumulationScheduler; "
            "say accumulate_grad_batches=N"
        )


def check_made(runner: lightning.Trainer, given: Mapping[str, Any]) -> None:
    """Raises BadRecipe for a device or precision that a fine-tuning cannot take."""
    if not isinstance(runner.strategy, SingleDeviceStrategy) or runner.world_size != 1:
        raise BadRecipe(
            f"finetune runs on one device, got devices={given.get('devices', 1)!r}, "
            f"strategy={given.get('strategy', 'auto')!r}; say devices=1 (or devices=[N] for the N-th) and leave strategy out"
        )
    if runner.precision not in PRECISIONS:
        raise BadRecipe(
            f"finetune(precision=...): expected one of {', '.join(PRECISIONS)}, got {runner.precision}; the weights that "
            "ship are float32"
        )
    if str(given.get("precision")).startswith("16") and runner.precision != "16-mixed":
        raise BadRecipe(
            f"finetune(precision=...): 16-mixed is for GPUs and this is {runner.strategy.root_device.type}; "
            "say bf16-mixed, or leave it out"
        )


def settings(runner: lightning.Trainer, *, compile: bool) -> dict[str, Any]:
    """What changes a result and is no field of the recipe, plain values: a run is taken up again only with the same."""
    algorithm = runner.gradient_clip_algorithm
    return {
        "precision": str(runner.precision),
        "accumulate_grad_batches": int(runner.accumulate_grad_batches),
        "gradient_clip_val": runner.gradient_clip_val,
        "gradient_clip_algorithm": None if algorithm is None else str(getattr(algorithm, "value", algorithm)),
        "limit_train_batches": runner.limit_train_batches,
        "compile": compile,
    }


def listed(given: Any) -> list[Any]:
    """None, one thing or several, as a list."""
    if given is None:
        return []
    return list(given) if isinstance(given, (list, tuple)) else [given]


@contextmanager
def stoppable() -> Iterator[None]:
    """Keeps Ctrl-C a KeyboardInterrupt, and a SIGTERM an exit that tells its reason.

    Lightning makes of the first an exit with status 1 and leaves the signal ignored; of the second an exit with 0, as if all
    had gone well.
    """
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SIGTERMException as end:
        raise SystemExit(SIGTERM_STATUS) from end
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        if main:
            signal.signal(signal.SIGINT, before)


@contextmanager
def quiet() -> Iterator[None]:
    """Holds back what Lightning says of workers, devices and tips: nothing of it is for the user of a recipe."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            yield
    finally:
        logger.setLevel(level)
