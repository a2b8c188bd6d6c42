"""Has fine-tuning overfitted or forgotten? Weight drift per stage, the gap between train and val, accuracy under corruptions."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

from visiontune.tune.learner import balanced_accuracy
from visiontune.tune.net import Net, together

Frame = NDArray[np.uint8]
Corruption = Callable[[Frame, np.random.Generator], Frame]


def darker(frame: Frame, _: np.random.Generator) -> Frame:
    """Two thirds of the light."""
    return (frame.astype(np.float32) * 0.66).astype(np.uint8)


def brighter(frame: Frame, _: np.random.Generator) -> Frame:
    """A third more light, clipped at white."""
    return np.asarray((frame.astype(np.float32) * 1.33).clip(0, 255), np.uint8)


def blurred(frame: Frame, _: np.random.Generator) -> Frame:
    """Out of focus: a Gaussian of 1.5 % of the shorter side."""
    radius = 0.015 * min(frame.shape[:2])
    return np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(radius)))


def noisy(frame: Frame, rng: np.random.Generator) -> Frame:
    """Sensor noise with a standard deviation of 8 levels."""
    return np.asarray((frame + rng.normal(0, 8, frame.shape)).clip(0, 255), np.uint8)


def compressed(frame: Frame, _: np.random.Generator) -> Frame:
    """JPEG at quality 40."""
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=40)
    return np.asarray(Image.open(file))


def shifted(frame: Frame, _: np.random.Generator) -> Frame:
    """Moved by 4 % of each side; the edge is repeated."""
    dy, dx = (max(1, round(0.04 * side)) for side in frame.shape[:2])
    return np.pad(frame, ((dy, 0), (dx, 0), (0, 0)), mode="edge")[: frame.shape[0], : frame.shape[1]]


CORRUPTIONS: dict[str, Corruption] = {
    "darker": darker,
    "brighter": brighter,
    "blur": blurred,
    "noise": noisy,
    "jpeg": compressed,
    "shift": shifted,
}


def under_corruption(net: Net, frames: Any, labels: NDArray[np.int64]) -> dict[str, float]:
    """Balanced accuracy, 0..1, on fitted frames uint8 (n, h, w, 3): as they are, and under each stock corruption."""
    found = {}
    for name, corrupt in {"none": None, **CORRUPTIONS}.items():
        rng = np.random.default_rng(0)
        predicted = []
        for start in range(0, len(labels), some := together(frames.shape[1:3])):
            batch = np.asarray(frames[start : start + some])
            if corrupt is not None:
                batch = np.stack([corrupt(frame, rng) for frame in batch])
            with torch.inference_mode():
                predicted.append(net.answers(torch.from_numpy(batch))["kinds"].argmax(1).numpy())
        found[name] = balanced_accuracy(labels, np.concatenate(predicted))
    return found


def drift(net: Net, start: Mapping[str, Tensor]) -> dict[str, float]:
    """How far each stage's weights moved from `start`, as |w - w0| / |w0|; 0 for a stage that stayed closed."""
    parameters = dict(net.backbone.named_parameters())
    return {stage.name: moved(parameters, start, stage.parameters) for stage in net.stages}


def moved(now: Mapping[str, Tensor], start: Mapping[str, Tensor], names: Sequence[str]) -> float:
    """Relative distance of some tensors from where they began."""
    with torch.no_grad():
        far = sum(float((now[name].cpu() - start[name].cpu()).square().sum()) for name in names)
        size = sum(float(start[name].square().sum()) for name in names)
    return (far / size) ** 0.5 if size else 0.0
