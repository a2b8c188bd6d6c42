"""The errors that visiontune raises on purpose; each says what was expected, what was found, what to do.

VisiontuneError
├── BadFrame            a picture that cannot be judged: unreadable, empty, of another dtype, too large
│   ├── TooSlow         a picture that was not judged within the budget of time
│   └── Overrun         a picture that came while as many waited as may
├── BadModel            a model file or card that must not be used: damaged, not ours, of another version
├── BadData             a dataset that cannot be read, split or measured
├── BadRecipe           a recipe with a value that cannot work
├── ExportRefused       the exported graph does not give the verdicts that were validated
│   └── PrecisionRefused  a smaller or faster file that judges otherwise, or is not smaller or faster enough
├── CalibrationRefused  the held-out parts cannot certify what was asked
└── MissingExtra        the lab is asked for, and only the line is installed

The command line prints such a message on one line and exits with 2; any other exception is a bug of ours.
"""

from collections.abc import Mapping, Sequence
from typing import Any


class VisiontuneError(Exception):
    """Root of the family: catch this to catch all of them."""


class BadFrame(VisiontuneError):
    """A picture that cannot be judged."""


class TooSlow(BadFrame):
    """A picture that was not judged within the budget of time; like any BadFrame it must not pass."""


class Overrun(BadFrame):
    """A picture that a stream refused because too many wait for their verdict; like any BadFrame it must not pass."""


class BadModel(VisiontuneError):
    """A model file or a card that must not be used."""


class BadData(VisiontuneError):
    """A dataset that cannot be read, split or measured."""


class BadRecipe(VisiontuneError):
    """A recipe with a value that cannot work."""


class ExportRefused(VisiontuneError):
    """The exported graph does not give the verdicts that were validated."""


class PrecisionRefused(ExportRefused):
    """A file of narrower numbers judges otherwise, or is not worth it.

    `rows` holds what was measured, a dictionary a precision, float32 first.
    """

    def __init__(self, message: str, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.rows = tuple(rows)


class CalibrationRefused(VisiontuneError):
    """The held-out parts cannot certify what was asked."""


class MissingExtra(VisiontuneError):
    """Something needs the optional packages of the lab."""


def one_line(error: BaseException, limit: int = 200) -> str:
    """The message of a foreign exception on one line, cut to `limit` characters, fit to stand in ours."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"
