"""The line's door: open an exported model, judge frames; never imports torch.

    from visiontune import Inspector

    inspector = Inspector("model.onnx")
    verdict = inspector(frame)  # RGB uint8 (H, W, 3), grey uint8 (H, W), encoded bytes, or a path
    verdict.decision            # "pass", "review" or "reject"

The lab, which makes such models, has its own door: `import visiontune.tune`.
"""

from visiontune.runtime.adjust import set_bands
from visiontune.runtime.adjust_regions import set_regions
from visiontune.runtime.alarm import Alarm
from visiontune.runtime.bands import Bands
from visiontune.runtime.card import ModelCard
from visiontune.runtime.errors import (
    BadData,
    BadFrame,
    BadModel,
    BadRecipe,
    CalibrationRefused,
    ExportRefused,
    MissingExtra,
    Overrun,
    PrecisionRefused,
    TooSlow,
    VisiontuneError,
)
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.monitor import Monitor
from visiontune.runtime.region_bands import RegionBands
from visiontune.runtime.stream import Stream
from visiontune.runtime.verdict import Region, Verdict
from visiontune.version import __version__

__all__ = [
    "Alarm",
    "BadData",
    "BadFrame",
    "BadModel",
    "BadRecipe",
    "Bands",
    "CalibrationRefused",
    "ExportRefused",
    "Inspector",
    "MissingExtra",
    "ModelCard",
    "Monitor",
    "Overrun",
    "PrecisionRefused",
    "Region",
    "RegionBands",
    "Stream",
    "TooSlow",
    "Verdict",
    "VisiontuneError",
    "__version__",
    "set_bands",
    "set_regions",
]
