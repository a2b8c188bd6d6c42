"""Synthetic defects in real pictures of good parts: where the part is, what is drawn on it, and the mask that goes with it."""

from visiontune.data.planting.plant import plant

__all__ = ["plant"]
