"""Every kind of defect as one class: for heads that learn what good looks like, and cannot know kinds they have not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from visiontune.data.problems import few, shown
from visiontune.data.samples import Dataset
from visiontune.runtime.errors import BadData

DEFECTIVE = "defective"
RULE = "one_defect"  # in a dataset's provenance, and so in a card's data
KIND = "defect"  # the attribute that keeps the kind


def one_defect(dataset: Dataset) -> Dataset:
    """The data with the classes (good, "defective"), also where no picture shows a defect.

    A defective picture keeps its kind as the attribute "defect". Data that were changed so before are returned as they are.
    Raises BadData where there is no good class.
    """
    if dataset.provenance.get(RULE):
        return dataset
    if dataset.good is None:
        found = few(map(shown, dataset.classes)) or "none"
        raise BadData(f"{dataset.root}: expected a good class, found {found}; name it with good=NAME")
    samples = tuple(
        sample
        if sample.label in (None, dataset.good)
        else replace(sample, label=DEFECTIVE, attributes={**sample.attributes, KIND: sample.label})
        for sample in dataset
    )
    return replace(
        dataset,
        samples=samples,
        classes=(dataset.good, DEFECTIVE),
        provenance={**dataset.provenance, RULE: True},
    )


def ruled(dataset: Dataset, rule: Mapping[str, Any]) -> Dataset:
    """The data with their defects as one class where a card's rule says so."""
    return one_defect(dataset) if rule.get(RULE) else dataset
