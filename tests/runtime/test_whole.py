"""A file is written whole or not at all."""

import pytest

from visiontune.runtime.whole import whole


def test_it_is_there_when_the_block_ended_well(tmp_path):
    target = tmp_path / "new" / "file.txt"
    with whole(target) as draft:
        draft.write_text("all of it")
        assert not target.exists()
    assert target.read_text() == "all of it"
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"]


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(OSError, match="disk full"), whole(target) as draft:
        draft.write_text("half")
        raise OSError("disk full")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]
