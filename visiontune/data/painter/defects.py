"""The kinds of defects: changes of height, reflectance and roughness, lit like the rest of the part."""

from visiontune.data.painter.lines import crack, scratch
from visiontune.data.painter.noise import Rng
from visiontune.data.painter.placing import Mask
from visiontune.data.painter.spots import dent, pits, stain
from visiontune.data.painter.surface import Surface

DEFECTS = {"scratch": scratch, "pit": pits, "stain": stain, "crack": crack, "dent": dent}


def damage(rng: Rng, part: Surface, kind: str, severity: float) -> Mask:
    """Put one defect of `kind` on `part` (changed in place); bool canvas mask (h, w) of what it touches.

    `severity` 0..1 goes from barely visible to obvious: depth, width, size and contrast grow with it.
    """
    return DEFECTS[kind](rng, part, severity)
