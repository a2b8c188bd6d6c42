"""Embeds pictures with a frozen timm network, for sharper suspicions about labels. Needs the lab."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visiontune.data.audit.look import Progress
from visiontune.runtime.errors import BadFrame, BadModel, MissingExtra, one_line
from visiontune.runtime.frame import decode

BATCH = 32


def embed(paths: Sequence[Path], model: str, *, progress: Progress | None = None) -> NDArray[np.float32]:
    """Pooled features float32 (n, k) of each picture by the pretrained timm model; zeros where it cannot be decoded.

    `model` is a timm name in all its forms (`mobilenetv2_100.ra_in1k`, `hf-hub:org/name`, `local-dir:PATH`) or the path of
    a folder with config.json and model.safetensors. Pictures are squeezed to the input size that its configuration names.
    Raises MissingExtra without the lab, BadModel where the model is not known or its weights cannot be reached.
    """
    try:
        import timm
        import torch
    except ImportError as problem:
        raise MissingExtra(
            f'--embed {model} needs the lab, and {problem.name} is not installed; pip install "visiontune[train]" or --embed none'
        ) from None
    name = f"local-dir:{model}" if Path(model).is_dir() else model
    try:
        network: Any = timm.create_model(name, pretrained=True, num_classes=0).eval()
    except Exception as problem:  # timm, its hub client and safetensors each have families of their own
        raise BadModel(
            f"--embed {model}: expected a timm model whose weights can be reached, found: {one_line(problem)}; "
            "name a folder with config.json and model.safetensors, or --embed none"
        ) from problem
    config = timm.data.resolve_model_data_config(network)
    rows = []
    with torch.inference_mode():
        for batch in _batches(paths, config):
            rows.append(network(torch.from_numpy(batch)).float().numpy())
            if progress:
                progress(len(batch))
    return np.concatenate(rows).astype(np.float32)


def _batches(paths: Sequence[Path], config: dict[str, Any]) -> Iterator[NDArray[np.float32]]:
    """float32 (n, 3, h, w), normalised as the weights want it."""
    height, width = config["input_size"][1:]
    mean, deviation = (np.array(config[key], np.float32) for key in ("mean", "std"))
    for start in range(0, len(paths), BATCH):
        some = paths[start : start + BATCH]
        pixels = np.zeros((len(some), height, width, 3), np.float32)
        for i, path in enumerate(some):
            try:
                frame = Image.fromarray(decode(path))
            except BadFrame:
                continue
            small = frame.resize((width, height), Image.Resampling.BILINEAR)
            pixels[i] = (np.asarray(small, np.float32) / 255 - mean) / deviation
        yield np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
