"""Data of which some shares hold good parts alone."""

from dataclasses import replace

from visiontune.data.splits import split


def good_alone(data, shares=()):
    """The data with defective pictures only in some shares."""
    data = split(data)
    kept = [sample for sample in data if sample.label == data.good or sample.split in shares]
    return replace(data, samples=tuple(kept))
