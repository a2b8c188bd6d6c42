"""Findings on shortcuts: the class can be told from something that has nothing to do with the part."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from visiontune.data.audit.clusters import members
from visiontune.data.audit.evidence import Evidence
from visiontune.data.audit.finding import Finding, Harm
from visiontune.data.audit.guess import Guess, Values, guess

GAIN = 0.25  # of the way from chance to certainty, from which a shortcut is worth a word
INNOCENT_GAIN = 0.4  # the same for what may be the defect itself
SERIOUS = 0.5  # and from which a network will take it
MOST_VALUES = 50  # different texts of an attribute; beyond, it names single pictures
AUDITED = "audit"  # the column that `--fix` writes
PER_BOX = ("iscrowd", "difficult", "truncated")
FEWEST_PARTS = 5  # of a class, for a word on where it comes from
CONFOUNDED = 0.01  # probability, if classes came from all sources alike, that one comes from a single one
ADVICE = "take the classes in the same way, or make the files alike before training; a network learns the easiest sign"
INNOCENT_ADVICE = (
    "unless the defect itself changes it: find out what else differs between the classes; take them in one go"
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact about all readable pictures. `innocent`: it may well be the defect itself, as brightness is of a burn, or
    no network can see it, as a name; it is then never serious."""

    name: str
    values: Values
    innocent: bool = False


def findings(evidence: Evidence) -> Iterator[Finding]:
    """Facts that tell the class, and classes that come from one camera or lot only."""
    kept = [i for i in evidence.readable if evidence.samples[i].label is not None]
    labels = [str(evidence.samples[i].label) for i in kept]
    parts = [evidence.parts[i] for i in kept]
    if len(set(labels)) < 2:
        return
    for fact in facts(evidence, kept):
        found = _asked(fact, labels, parts, evidence.dataset.good)
        if found:
            question, best = found
            yield _shortcut(evidence, fact, labels, question, best)
    for name, values in attributes(evidence, kept):
        yield from _one_source(evidence, kept, name, values)


def facts(evidence: Evidence, kept: Sequence[int]) -> Iterator[Fact]:
    """What can be said of the pictures without looking at what they show, unless it is the same for all."""
    seen = [evidence.looks.facts[i] for i in kept]
    every: list[Fact] = [
        Fact("file format", [f.format for f in seen]),
        Fact("colour mode", [f.mode for f in seen]),
        Fact("JPEG quality", [float(f.quality or 0) for f in seen]),
        Fact("file size per pixel", [round(f.size / (f.width * f.height), 4) for f in seen], innocent=True),
        Fact("picture width", [float(f.width) for f in seen]),
        Fact("picture height", [float(f.height) for f in seen]),
        Fact("aspect", [round(f.width / f.height, 3) for f in seen]),
        Fact("mean brightness", [round(f.brightness, 2) for f in seen], innocent=True),
        Fact("camera in the file (EXIF)", [f.camera for f in seen]),
        Fact("pattern of the file name", _patterns(evidence, kept), innocent=True),
        *(Fact(f"attribute {name}", values) for name, values in attributes(evidence, kept)),
    ]
    yield from (fact for fact in every if len(set(fact.values)) > 1)


def attributes(evidence: Evidence, kept: Sequence[int]) -> Iterator[tuple[str, list[str]]]:
    """The attributes with some repeated values, such as camera or lot."""
    names = sorted({name for i in kept for name in evidence.samples[i].attributes})
    for name in names:
        values = [evidence.samples[i].attributes.get(name, "") for i in kept]
        if name != AUDITED and name not in PER_BOX and 1 < len(set(values)) <= MOST_VALUES:
            yield name, values


def _patterns(evidence: Evidence, kept: Sequence[int]) -> list[str]:
    """File names without class names, each number as `#`; the rarer ones as one."""
    words = sorted((c.lower() for c in evidence.dataset.classes if c), key=len, reverse=True)
    classes = re.compile("|".join(map(re.escape, words)) or "$^")
    names = []
    for i in kept:
        stem = classes.sub("", evidence.samples[i].path.stem.lower())
        names.append(re.sub(r"\d+", "#", stem))
    common = {name for name, _ in Counter(names).most_common(MOST_VALUES)}
    return [name if name in common else "other" for name in names]


def _asked(
    fact: Fact, labels: Sequence[str], parts: Sequence[int], good: str | None
) -> tuple[str, Guess] | None:
    """The question that the fact answers best, of kind and good or defective; None where chance answers as well."""
    questions = {"the class": list(labels)}
    if good is not None and len(set(labels)) > 2:
        questions["good or defective"] = ["good" if label == good else "defective" for label in labels]
    best: tuple[str, Guess] | None = None
    for question, answers in questions.items():
        found = guess(fact.values, answers, parts, least=INNOCENT_GAIN if fact.innocent else GAIN)
        if found and found.beyond_chance and (best is None or found.gain > best[1].gain):
            best = question, found
    return best


def _shortcut(evidence: Evidence, fact: Fact, labels: Sequence[str], question: str, found: Guess) -> Finding:
    harm: Harm = "serious" if found.gain >= SERIOUS and not fact.innocent else "check"
    return Finding(
        code="shortcut",
        harm=harm,
        title=f"{fact.name} alone tells {question}: {found.accuracy:.0%} balanced accuracy against "
        f"{1 / found.classes:.0%} by chance",
        count=len(labels),
        numbers={
            "fact": fact.name,
            "question": question,
            "balanced_accuracy": found.accuracy,
            "chance": 1 / found.classes,
            "best_of_shuffled": found.by_chance,
            "gain": found.gain,
            "commonest_by_class": _commonest(fact, labels),
        },
        advice=INNOCENT_ADVICE if fact.innocent else ADVICE,
    )


def _commonest(fact: Fact, labels: Sequence[str]) -> dict[str, str]:
    """For each class its commonest value, or of numbers the middle one."""
    found = {}
    for label, places in members(labels).items():
        values = [fact.values[i] for i in places]
        if isinstance(values[0], str):
            value, n = Counter(values).most_common(1)[0]
            found[str(label)] = f"{value or 'none'} ({n} of {len(values)})"
        else:
            found[str(label)] = f"median {sorted(values)[len(values) // 2]:g}"
    return found


def _one_source(
    evidence: Evidence, kept: Sequence[int], name: str, values: Sequence[str]
) -> Iterator[Finding]:
    by_part = {evidence.parts[i]: value for i, value in zip(kept, values, strict=True)}
    share = Counter(by_part.values())
    for label in evidence.dataset.classes:
        here = [k for k, i in enumerate(kept) if evidence.samples[i].label == label]
        sources = {values[k] for k in here}
        own = {evidence.parts[kept[k]] for k in here}
        if len(own) < FEWEST_PARTS or len(sources) != 1:
            continue
        (source,) = sources
        if (share[source] / len(by_part)) ** len(own) > CONFOUNDED:
            continue
        alone = all(evidence.samples[kept[k]].label == label for k, v in enumerate(values) if v == source)
        yield Finding(
            code="one-source-class",
            harm="serious" if alone else "check",
            title=f"all {len(own)} parts of {label} come from {name} {source or '(none)'}"
            + (", and no other class does" if alone else ""),
            count=len(here),
            files=evidence.ids(kept[k] for k in here),
            numbers={"class": label, "attribute": name, "value": source, "parts": len(own), "alone": alone},
            advice=f"take parts of {label} from another {name} too; no test on this set can tell the class from its {name}",
        )
