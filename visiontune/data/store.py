"""Decodes and fits every picture of a dataset once, so that no epoch pays for a JPEG again."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from visiontune.data.fit import Fit
from visiontune.data.samples import Dataset, Sample
from visiontune.runtime.frame import decode


def load(dataset: Dataset, fit: Fit, *, progress: Callable[[int], None] | None = None) -> NDArray[np.uint8]:
    """All pictures of `dataset`, decoded and fitted: uint8 (n, h, w, 3), in the dataset's order.

    `progress` is called with 1 for each picture. Raises BadFrame with the path of the first picture that cannot be read:
    a picture is never replaced by another.
    """
    frames = np.empty((len(dataset), *fit.size, 3), np.uint8)

    def put(item: tuple[int, Sample]) -> None:
        index, sample = item
        frames[index] = fit(decode(sample.path))

    with ThreadPoolExecutor(max(1, min(8, os.cpu_count() or 1))) as pool:
        for _ in pool.map(put, enumerate(dataset)):
            if progress is not None:
                progress(1)
    return frames
