"""Heads: what is asked of the picture. One file each; a recipe imports the one it needs by name."""

from visiontune.heads.classify import Classify
from visiontune.heads.head import Head, HeadNet, Labels

__all__ = ["Classify", "Head", "HeadNet", "Labels"]
