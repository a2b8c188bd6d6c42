"""What the findings are drawn from: the data set as read, a look at every picture, and which pictures show the same part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from visiontune.data.audit.clusters import Clusters, members
from visiontune.data.audit.look import Looks
from visiontune.data.audit.twins import Links
from visiontune.data.samples import Dataset, Sample


@dataclass(frozen=True)
class Evidence:
    """`looks` and everything that is numbered here goes by the place of the picture in `dataset.samples`."""

    dataset: Dataset
    looks: Looks
    links: Links
    embedding: NDArray[np.float32] | None = None

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The pictures."""
        return self.dataset.samples

    @cached_property
    def readable(self) -> tuple[int, ...]:
        """The pictures that can be decoded."""
        return tuple(i for i, facts in enumerate(self.looks.facts) if facts.error is None)

    @cached_property
    def grouped(self) -> bool:
        """Whether the source, or a pattern, told which pictures belong together."""
        return any(sample.group != sample.id for sample in self.samples)

    @cached_property
    def digests(self) -> tuple[bytes | None, ...]:
        """The sha256 of each readable file."""
        return tuple(facts.digest if facts.error is None else None for facts in self.looks.facts)

    @cached_property
    def copies(self) -> tuple[tuple[int, ...], ...]:
        """Sets of files with the same bytes, two or more."""
        found = members(self.digests)
        return tuple(
            tuple(places) for digest, places in found.items() if digest is not None and len(places) > 1
        )

    @cached_property
    def near_copies(self) -> tuple[tuple[int, ...], ...]:
        """Sets of pictures that are practically the same and not all of the same bytes."""
        near = Clusters(len(self.samples))
        near.join_equal(self.digests)
        for i, j in self.links.pairs[self.links.copies]:
            near.join(int(i), int(j))
        sets = (places for places in members(near.roots()).values() if len(places) > 1)
        return tuple(tuple(places) for places in sets if len({self.digests[i] for i in places}) > 1)

    @cached_property
    def seen(self) -> tuple[int, ...]:
        """For each picture the first of those that were seen to show the same part: found cluster, by the pixels alone."""
        found = Clusters(len(self.samples))
        found.join_equal(self.digests)
        for i, j in self.links.pairs:
            found.join(int(i), int(j))
        return tuple(found.roots())

    @cached_property
    def parts(self) -> tuple[int, ...]:
        """For each picture the first of its part: pictures of one given group or of one found cluster."""
        joined = Clusters(len(self.samples))
        joined.join_equal([sample.group for sample in self.samples])
        joined.join_equal(self.seen)
        return tuple(joined.roots())

    def ids(self, places: Iterable[int]) -> tuple[str, ...]:
        """The pictures' names."""
        return tuple(self.samples[i].id for i in places)

    def labels(self, places: Iterable[int]) -> set[str]:
        """The labels that occur among pictures."""
        return {label for i in places if (label := self.samples[i].label) is not None}
