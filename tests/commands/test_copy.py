"""`visiontune copy`: lists the recipes, hands one over, never writes over a file."""

import ast
from pathlib import Path

import pytest

from visiontune.commands import copy

RECIPES = Path(__file__).parents[2] / "recipes"
NAMES = sorted(path.stem for path in RECIPES.glob("*.py"))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_name_it_lists_the_recipes_with_their_headlines(visiontune, here):
    found = visiontune("copy")
    assert (found.status, found.err) == (0, "")
    assert [line.split()[0] for line in found.lines] == NAMES
    for line in found.lines:
        name, headline = line.split(maxsplit=1)
        assert (RECIPES / f"{name}.py").read_text().startswith(f'"""{headline}')
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_what_is_handed_over_is_the_recipe(name, visiontune, here):
    found = visiontune("copy", name, "my_part.py")
    assert found.status == 0 and "python my_part.py DATA --out DIR" in found.out
    assert (here / "my_part.py").read_bytes() == (RECIPES / f"{name}.py").read_bytes()
    assert ast.parse((here / "my_part.py").read_text())


@pytest.mark.parametrize(
    ("words", "file"),
    [([], "surface_defects.py"), (["mine"], "mine/surface_defects.py"), (["mine/ä b.py"], "mine/ä b.py")],
)
def test_where_it_goes(words, file, visiontune, here):
    (here / "mine").mkdir()
    assert visiontune("copy", "surface_defects", *words).status == 0
    assert [path.relative_to(here).as_posix() for path in here.rglob("*.py")] == [file]


def test_an_edited_copy_is_never_lost(visiontune, here):
    (here / "mine.py").write_text("edited")
    found = visiontune("copy", "surface_defects", "mine.py")
    assert (found.status, found.out) == (2, "")
    assert "mine.py exists already" in found.err and found.err.count("\n") == 1
    assert (here / "mine.py").read_text() == "edited"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["surface_defect"], "did you mean surface_defects?"),
        (["zzz"], ", ".join(NAMES)),
        (["../recipes/surface_defects"], "no recipe is called"),
        (["surface_defects", "nowhere/mine.py"], "cannot be written"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(words, said, visiontune, here):
    found = visiontune("copy", *words)
    assert (found.status, found.out) == (2, "")
    assert said in found.err and found.err.count("\n") == 1
    assert list(here.iterdir()) == []


def test_an_installation_without_recipes_says_so(visiontune, here, monkeypatch):
    monkeypatch.setattr(copy.visiontune, "__file__", str(here / "visiontune" / "__init__.py"))
    found = visiontune("copy")
    assert found.status == 2 and "install visiontune again" in found.err


def test_the_recipes_of_the_package_go_before_those_beside_it(here, monkeypatch):
    package = here / "visiontune"
    for folder in (package / "recipes", here / "recipes"):
        folder.mkdir(parents=True)
        (folder / "one.py").touch()
        (folder / "_not_one.py").touch()
    monkeypatch.setattr(copy.visiontune, "__file__", str(package / "__init__.py"))
    assert copy.recipes() == {"one": package / "recipes" / "one.py"}
