"""docs/benchmarks.md (or another page), where each measuring script has a section of its own between markers."""

from pathlib import Path

from visiontune.runtime.whole import whole

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def put(script: str, section: str, page: Path = PAGE) -> None:
    """Replaces the section of `script` (its __file__), or adds it; makes the page where there is none."""
    name = Path(script).stem
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = page.read_text("utf-8") if page.exists() else "# Benchmarks\n"
    marked = f"{begin}\n{section}\n{end}"
    if begin in text and end in text:
        before, _, rest = text.partition(begin)
        text = before + marked + rest.partition(end)[2]
    else:
        text = f"{text.rstrip()}\n\n{marked}\n"
    with whole(page) as draft:
        draft.write_text(text, "utf-8")
