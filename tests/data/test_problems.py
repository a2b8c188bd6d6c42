"""How problems are said: one line, five names, nothing that breaks a terminal."""

from __future__ import annotations

import re
from pathlib import Path

from visiontune.data.problems import SAYINGS, Problem, few, shown, summary


def test_summary_is_one_line_with_five_names_a_kind():
    problems = [Problem("missing-file", f"{i}.png") for i in range(7)] + [
        Problem("no-label", "x\ny.png", "line 3")
    ]
    assert summary(problems) == (
        "picture is missing: 0.png, 1.png, 2.png, 3.png, 4.png and 2 more; restore the file or take its row out. "
        "no label: x\\ny.png (line 3); write the class of the picture, or take its row out"
    )


def test_few_and_shown():
    assert few("abcde") == "a, b, c, d, e"
    assert few("abcdefg") == "a, b, c, d, e and 2 more"
    assert shown("größe 1.png") == "größe 1.png"
    assert shown("a\0b\x1b[31m\udc80") == "a\\x00b\\x1b[31m\\udc80"


def test_every_kind_that_a_layout_names_has_a_saying():
    import visiontune.data

    folder = Path(visiontune.data.__file__).parent
    text = "".join(path.read_text() for path in [folder / "read.py", *(folder / "layouts").glob("*.py")])
    used = set(re.findall(r'Problem\(\s*"([a-z-]+)"', text))
    assert used == set(SAYINGS)
