"""Findings on leaks: the same part on both sides of a split, as the source made it or as a random one would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import exp, lgamma

from visiontune.data.audit.clusters import members
from visiontune.data.audit.evidence import Evidence
from visiontune.data.audit.finding import Finding, counted
from visiontune.data.samples import Dataset
from visiontune.data.splits import split

TRAIN = 0.7  # share of a random split that `random_leak` is told for
SERIOUS = 0.01  # leaked share of a split from which its figures cannot be trusted


def findings(evidence: Evidence) -> Iterator[Finding]:
    """What a split leaks: the source's own, else a random one; and parts that the given groups do not hold together."""
    if any(sample.split for sample in evidence.samples):
        yield from _across_splits(evidence)
        yield from _torn_groups(evidence)
    elif not evidence.grouped:
        yield from _random(evidence)
    yield from _across_groups(evidence)


def random_leak(clusters: Sequence[int], *, train: float = TRAIN) -> float:
    """Expected share of the pictures outside train that have a twin in it, when pictures are drawn one by one.

    clusters   the cluster of each of the n pictures. A picture in a cluster of s has no twin in train with the
               probability that all s - 1 others are among those left out: hypergeometric, exact.
    """
    n, drawn = len(clusters), round(train * len(clusters))
    if n < 2:
        return 0.0
    leaked = sum(size * (1 - _none_drawn(n - 1, drawn, size - 1)) for size in Counter(clusters).values())
    return leaked / n


def _none_drawn(n: int, drawn: int, marked: int) -> float:
    """The probability that `drawn` of n hold none of the marked ones."""
    if marked > n - drawn:
        return 0.0

    def ways(k: int) -> float:
        """ln of k over drawn."""
        return lgamma(k + 1) - lgamma(drawn + 1) - lgamma(k - drawn + 1)

    return exp(ways(n - marked) - ways(n))


def leaked(dataset: Dataset, clusters: Sequence[int], share: str) -> list[int]:
    """The pictures of a share (val, test) that have a twin in train."""
    trained = {c for c, sample in zip(clusters, dataset.samples, strict=True) if sample.split == "train"}
    return [i for i, sample in enumerate(dataset.samples) if sample.split == share and clusters[i] in trained]


def _across_splits(evidence: Evidence) -> Iterator[Finding]:
    numbers: dict[str, dict[str, float]] = {}
    files: list[int] = []
    said = []
    for share in ("test", "val"):
        of = sum(sample.split == share for sample in evidence.samples)
        found = leaked(evidence.dataset, evidence.seen, share)
        if of:
            numbers[share] = {"leaked": len(found), "of": of, "share": len(found) / of}
            files += found
            said.append(f"{len(found)} of {of} {share} pictures ({len(found) / of:.1%})")
    if not files:
        return
    worst = max(part["share"] for part in numbers.values())
    concerned = {evidence.seen[i] for i in files}
    sets = [places for c, places in members(evidence.seen).items() if c in concerned]
    yield Finding(
        code="twins-across-splits",
        harm="serious" if worst >= SERIOUS else "check",
        title=f"{' and '.join(said)} show a part that train shows too",
        count=len(files),
        files=evidence.ids(files),
        sets=tuple(evidence.ids(places) for places in sets),
        numbers=numbers,
        details={evidence.samples[i].id: str(evidence.samples[i].split) for c in sets for i in c},
        advice="split anew by part: --fix writes a manifest with the found parts as groups; figures from this split are too good",
    )


def _torn_groups(evidence: Evidence) -> Iterator[Finding]:
    groups = members(sample.group for sample in evidence.samples)
    torn = {
        str(name): places
        for name, places in groups.items()
        if len({evidence.samples[i].split for i in places} - {None}) > 1
    }
    if torn:
        concerned = [i for places in torn.values() for i in places]
        yield Finding(
            code="torn-groups",
            harm="serious",
            title=f"the split tears {len(torn)} of {counted(len(groups), 'group')} apart",
            count=len(torn),
            unit="group",
            files=evidence.ids(concerned),
            sets=tuple(evidence.ids(places) for places in torn.values()),
            numbers={"torn": len(torn), "groups": len(groups), "pictures": len(concerned)},
            advice="read with --ignore split and let visiontune divide by whole groups",
        )


def _random(evidence: Evidence) -> Iterator[Finding]:
    expected = random_leak(evidence.seen)
    if expected * len(evidence.samples) < 1:
        return
    parts = len(set(evidence.seen))
    least = "" if evidence.links.blind is None else "at least "
    concerned = [i for places in members(evidence.seen).values() if len(places) > 1 for i in places]
    yield Finding(
        code="random-split-leaks",
        harm="serious" if expected >= SERIOUS else "check",
        title=f"a random split by picture would leak: {least}{expected:.1%} of the test pictures would have a twin in train; "
        "split by the found parts, none of them",
        count=len(concerned),
        files=evidence.ids(concerned),
        numbers={
            "fractions": [TRAIN, (1 - TRAIN) / 2, (1 - TRAIN) / 2],
            "expected_share_with_twin": expected,
            "by_found_parts": 0.0,
            "pictures": len(evidence.samples),
            "parts": parts,
        },
        advice="give every picture its part: a manifest column `group`, --group PATTERN on the names, or the manifest of --fix",
    )


def _across_groups(evidence: Evidence) -> Iterator[Finding]:
    """Groups were given, and two of them show the same part."""
    if not evidence.grouped:
        return
    sets = []
    for places in members(evidence.seen).values():
        if len({evidence.samples[i].group for i in places}) > 1:
            sets.append(places)
    if not sets:
        return
    groups = sorted({evidence.samples[i].group for places in sets for i in places})
    divided = split(evidence.dataset)
    leak = {share: len(leaked(divided, evidence.seen, share)) for share in ("val", "test")}
    held = {share: max(1, len(divided.share(share))) for share in leak}
    concerned = [i for places in sets for i in places]
    yield Finding(
        code="parts-across-groups",
        harm="serious" if any(leak[share] >= SERIOUS * held[share] for share in leak) else "check",
        title=f"{counted(len(sets), 'part')} shown by more than one of the given groups ({len(groups)} groups in all)",
        count=len(sets),
        unit="part",
        files=evidence.ids(concerned),
        sets=tuple(evidence.ids(places) for places in sets),
        numbers={"groups": groups, "leaked_by_the_split": leak},
        details={evidence.samples[i].id: evidence.samples[i].group for i in concerned},
        advice="give pictures of one part one group; --fix joins these groups",
    )
