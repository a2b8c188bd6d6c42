"""Finds what ruins inspection models in the data, before training: leaks, copies, labels, masks, shortcuts, thin classes."""

from visiontune.data.audit.auditor import Audit, audit
from visiontune.data.audit.finding import Finding, LeftOut

__all__ = ["Audit", "Finding", "LeftOut", "audit"]
