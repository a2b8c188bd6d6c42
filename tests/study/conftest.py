"""Good pictures and the inspector that knows dark from bright."""

import numpy as np
import pytest
from PIL import Image

from tests.study.dark_model import dark_model
from visiontune.runtime.inspector import Inspector


@pytest.fixture(scope="session")
def inspector():
    """Rejects from 50 dark pixels on: a spot of 8 pixels across."""
    return Inspector(dark_model(50))


@pytest.fixture(scope="session")
def good_folder(tmp_path_factory):
    """70 grey pictures, 64 x 80, a little noisy."""
    folder = tmp_path_factory.mktemp("good")
    stream = np.random.default_rng(0)
    for number in range(70):
        levels = stream.normal(150, 6, (64, 80, 1)).repeat(3, 2).clip(0, 255).astype(np.uint8)
        Image.fromarray(levels).save(folder / f"part{number // 2:02}_{number}.png")
    return folder
