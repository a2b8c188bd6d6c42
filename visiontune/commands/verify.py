"""`visiontune verify`: makes the Inspector's checks and more, one by one, and tells which one fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from visiontune.commands.inspect import pictures
from visiontune.commands.parser import FAILED, OK, Commands, Given, add_model, command
from visiontune.runtime import proof, seal
from visiontune.runtime.adjust import check_bands
from visiontune.runtime.errors import BadModel
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.model import (
    check_words,
    named,
    open_session,
    read_card,
    read_model,
    replay,
    self_test,
)

CHECKS = ("seal", "session", "card", "outputs", "bands", "golden", "probes", "proof")
MORE = """\
One line a check: ok, failed or not run. The exit status is 1 if one failed. The Inspector makes the checks up to golden
each time it opens a model; this tells them apart.

golden  painted frames: their pixels must have the hashes in the card, and this machine and runtime must answer as the
        export did
probes  the same for frames of other sizes, which try the resize in every direction
proof   only with --data: every picture of the val share that lies there, known by its hash, must get the severity that
        it had at export

examples:
  visiontune verify model.onnx
  visiontune verify model.onnx --data data/tiles
"""


def add(commands: Commands) -> None:
    """Describes the subcommand."""
    summary = "check a model on this machine: seal, session, card, outputs, bands, golden frames and probes"
    added = command(commands, "verify", run, summary, MORE)
    add_model(added)
    added.add_argument(
        "--data", metavar="FOLDER", type=Path, help="also repeat the proof on the val pictures found there"
    )


def run(given: Given) -> int:
    """One line a check; FAILED from the first that fails."""
    try:
        data = read_model(given.model)
    except BadModel as error:
        raise BadModel(f"{named(given.model)}: {error}") from error
    wanted = CHECKS if given.data else CHECKS[:-1]
    folder = list(pictures([given.data])) if given.data else None
    passed = 0
    try:
        for name, seen in zip(wanted, checks(data, folder), strict=True):
            print(f"{name:<8} ok       {seen}")
            passed += 1
    except BadModel as error:
        print(f"{wanted[passed]:<8} failed   {error}")
        for name in wanted[passed + 1 :]:
            print(f"{name:<8} not run")
        return FAILED
    return OK


def checks(data: bytes, folder: list[Path] | None = None) -> Iterator[str]:
    """What each of CHECKS saw, in their order, the last only with pictures; raises BadModel at the first that fails."""
    yield f"sha256 {seal.check(data)}"
    session = open_session(data)
    yield f"{len(data) / 1e6:.1f} MB, {session.get_providers()[0]}"
    card = read_card(session)
    yield f"{card.name}, made {card.created} by {card.made_by}"
    yield ", ".join(check_words(session, card))
    yield check_bands(data, card.bands)
    yield self_test(session, card)
    for probe in card.probes:
        replay(session, probe, card.bands)
    sizes = ", ".join("{} x {}".format(*probe.size) for probe in card.probes)
    yield f"frames of {sizes} (h x w)" if sizes else "the card holds no probes"
    if folder is not None:
        yield proof.repeat(Inspector(data), folder)
