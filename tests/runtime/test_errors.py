"""Errors: foreign messages fit on our one line."""

from visiontune.runtime.errors import one_line


def test_foreign_messages_are_put_on_one_short_line():
    assert one_line(ValueError("a\n  b\tc")) == "a b c"
    assert one_line(ValueError()) == "ValueError"
    assert len(one_line(ValueError("x" * 1000))) == 200
