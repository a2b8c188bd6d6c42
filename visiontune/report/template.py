"""What every page is made by: a template, filled with everything escaped, and a file that is there whole or not at all."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from visiontune.report import words
from visiontune.runtime.whole import whole


def filled(name: str, **what: Any) -> str:
    """The template `name` of this package with `what` in it, and the style that all pages share as `css`."""
    package = files("visiontune.report")
    css = Markup(package.joinpath("page.css").read_text(encoding="utf-8"))  # our own file, not foreign text
    template = environment().from_string(package.joinpath(name).read_text(encoding="utf-8"))
    return template.render(css=css, **what)


def put(path: str | Path, text: str) -> Path:
    """Writes a page to `path`, at once or not at all; makes its folder where there is none. Gives the path."""
    target = Path(path)
    with whole(target) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")
    return target


def environment() -> Environment:
    """Escapes everything, and fails on a name that is not there."""
    made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters.update(
        percent=words.percent,
        at_most=words.at_most,
        at_least=words.at_least,
        asked=words.asked,
        moment=words.moment,
        whole=words.whole,
        counted=words.counted,
        name=words.printable,
    )
    return made
