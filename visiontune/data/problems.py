"""What can be wrong with a source of pictures, and how it is said: one line, with the files and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MOST = 5  # files named in one message
LONGEST = 300  # letters of a path in a message

# What was found, and what to do about it.
SAYINGS = {
    "bad-name": ("no usable file name", "write the path of a file inside the folder"),
    "outside": ("path leaves the folder", "move the file into the folder and name it by its path inside"),
    "missing-file": ("picture is missing", "restore the file or take its row out"),
    "unreadable": ("not a readable picture", "replace the file or take it out"),
    "duplicate": ("listed twice", "keep one entry for each picture"),
    "bad-row": ("wrong number of cells", "quote a cell that holds the delimiter"),
    "no-label": ("no label", "write the class of the picture, or take its row out"),
    "unknown-split": ("unknown split", "write train, val or test, or leave the cell empty"),
    "two-splits": ("sources disagree about the split", "make them agree, or read with ignore=('split',)"),
    "empty-class": ("class folder holds no picture", "add pictures or remove the folder"),
    "stray-folder": ("folder does not belong here", "put pictures straight into class folders"),
    "mask-missing": ("mask is missing", "add the mask (all black where nothing is wrong)"),
    "mask-size": ("mask and picture differ in size", "save the mask at the size of its picture"),
    "box-outside": ("box reaches outside the picture", "correct the box"),
    "box-empty": ("box has no area", "correct or remove the box"),
    "box-tiny": ("box narrower than a pixel", "correct or remove the box"),
    "box-unclear": ("box not understood", "correct or remove the box"),
    "size-differs": ("annotated at another size than the file has", "annotate the file that is there"),
    "annotation": ("annotation not understood", "correct the annotation"),
    "not-annotated": ("picture has no annotation", "annotate it (without objects where the part is good)"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a source. `kind` is a key of SAYINGS, `path` what it is about, `detail` what was found."""

    kind: str
    path: str
    detail: str = ""

    def __str__(self) -> str:
        return shown(self.path) + (f" ({shown(self.detail)})" if self.detail else "")


def summary(problems: Iterable[Problem]) -> str:
    """All problems on one line, by kind in order of appearance, at most five files of each named."""
    kinds: dict[str, list[Problem]] = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(problem)
    sayings = []
    for kind, members in kinds.items():
        found, cure = SAYINGS[kind]
        sayings.append(f"{found}: {few([str(member) for member in members])}; {cure}")
    return ". ".join(sayings)


def few(names: Iterable[str]) -> str:
    """The first names, and how many more there are: `a, b, c, d, e and 7 more`."""
    names = list(names)
    more = len(names) - MOST
    return ", ".join(names[:MOST]) + (f" and {more} more" if more > 0 else "")


def shown(name: str) -> str:
    """A name as it may stand in a one-line message: what cannot be printed is escaped, what is endless is cut."""
    name = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)
