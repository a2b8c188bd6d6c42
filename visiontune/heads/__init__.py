"""Heads: what is asked of the picture. One file each; a recipe imports the one it needs by name."""

from visiontune.heads.anomaly import Anomaly
from visiontune.heads.classify import Classify
from visiontune.heads.detect import Detect
from visiontune.heads.head import Features, Head, HeadNet, Labels, Pyramid, Raw
from visiontune.heads.segment import Segment
from visiontune.heads.trained_anomaly import TrainedAnomaly

__all__ = [
    "Anomaly",
    "Classify",
    "Detect",
    "Features",
    "Head",
    "HeadNet",
    "Labels",
    "Pyramid",
    "Raw",
    "Segment",
    "TrainedAnomaly",
]
