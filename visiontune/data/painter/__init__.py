"""Paints machined parts under wandering light, with known defects: pictures to show, test and demonstrate with."""

from visiontune.runtime.errors import MissingExtra

try:
    import scipy
except ImportError:
    raise MissingExtra(
        'visiontune.data.painter needs scipy, which is not installed; pip install "visiontune[train]"'
    ) from None

from visiontune.data.painter.folder import paint_folder
from visiontune.data.painter.machining import STYLES
from visiontune.data.painter.parts import KINDS, Painted, paint_part

del scipy, MissingExtra

__all__ = ["KINDS", "STYLES", "Painted", "paint_folder", "paint_part"]
