"""`visiontune verify`: makes the Inspector's checks one by one and tells which one fails."""

from __future__ import annotations

from collections.abc import Iterator

from visiontune.commands.parser import FAILED, OK, Commands, Given, add_model, command
from visiontune.runtime import seal
from visiontune.runtime.errors import BadModel
from visiontune.runtime.model import check_words, named, open_session, read_card, read_model, self_test

CHECKS = ("seal", "session", "card", "outputs", "golden")
MORE = """\
One line a check: ok, failed or not run. The exit status is 1 if one failed. The Inspector makes the same checks each
time it opens a model; this tells them apart. golden judges painted frames and compares with the answers at export: it
finds a machine or an engine that computes something else than what was validated.

example:
  visiontune verify model.onnx
"""


def add(commands: Commands) -> None:
    """Describes the subcommand."""
    summary = "check a model on this machine: seal, session, card, outputs and golden frames"
    add_model(command(commands, "verify", run, summary, MORE))


def run(given: Given) -> int:
    """One line a check; FAILED from the first that fails."""
    try:
        data = read_model(given.model)
    except BadModel as error:
        raise BadModel(f"{named(given.model)}: {error}") from error
    passed = 0
    try:
        for name, seen in zip(CHECKS, checks(data), strict=True):
            print(f"{name:<8} ok       {seen}")
            passed += 1
    except BadModel as error:
        print(f"{CHECKS[passed]:<8} failed   {error}")
        for name in CHECKS[passed + 1 :]:
            print(f"{name:<8} not run")
        return FAILED
    return OK


def checks(data: bytes) -> Iterator[str]:
    """What each of CHECKS saw, in their order; raises BadModel at the first that fails."""
    yield f"sha256 {seal.check(data)}"
    session = open_session(data)
    yield f"{len(data) / 1e6:.1f} MB, {session.get_providers()[0]}"
    card = read_card(session)
    yield f"{card.name}, made {card.created} by {card.made_by}"
    yield ", ".join(check_words(session, card))
    yield self_test(session, card)
