"""`visiontune doctor`: whether other engines judge as the validated one does, and why not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from visiontune.commands import engines
from visiontune.commands.inspect import pictures
from visiontune.commands.parser import FAILED, OK, Commands, Given, add_model, command
from visiontune.runtime.card import ModelCard
from visiontune.runtime.doctor import Diagnosis, examine
from visiontune.runtime.engine import Frames, painted
from visiontune.runtime.errors import BadModel
from visiontune.runtime.frame import Window, decode
from visiontune.runtime.model import load_card, named, read_model

MOST = 500  # pictures that are judged, nine times
CORE = "; or export with core=True and resize outside as the core's metadata says"
MORE = """\
The reference is onnxruntime on the CPU, after it has answered as the export did. Frames are painted, of sizes that try
the resize in every direction; --data takes real ones instead (at most 500), so that the count of changed decisions is
that of your parts. An engine that strays is explained by computing what known faults would give: antialias or the border of the
resize ignored, channels taken as BGR, arithmetic in bf16 or fp16.

engines: the execution providers of onnxruntime by name (cpu, cuda, ...), openvino (the package), and reference (onnx's
own evaluator, slow, needs the lab). Without --engine all that this machine has, but reference.

The exit status is 1 if an engine is not equivalent. For one that resizes otherwise, run.export(core=True) in the lab
writes model.core.onnx, the bare network with what the app must then do itself in its metadata.

examples:
  visiontune doctor model.onnx
  visiontune doctor model.onnx --engine openvino --data data/tiles/good
"""


def add(commands: Commands) -> None:
    """Describes the subcommand."""
    summary = (
        "find out whether another engine (OpenVINO, a GPU provider) judges as validated, and if not, why"
    )
    added = command(commands, "doctor", run, summary, MORE)
    add_model(added)
    added.add_argument("--engine", metavar="NAME", help="only this one, by the name that doctor lists")
    added.add_argument(
        "--data",
        metavar="FRAMES",
        nargs="+",
        type=Path,
        help="pictures or folders to judge, instead of painted frames",
    )
    added.add_argument("--json", action="store_true", help="one JSON object an engine")


def run(given: Given) -> int:
    """A diagnosis an engine; FAILED if one is not equivalent."""
    card, data = load_card(given.model), read_model(given.model)
    found = engines.available()
    names = [given.engine] if given.engine else [name for name in found if name != engines.REFERENCE]
    batches = shown(given.data, card)
    if not given.json:
        print("engines here: " + ", ".join(f"{name} ({about})" for name, about in found.items()))
    status = OK
    for name in names:
        diagnosis = examined(name, data, batches, given.model)
        print(json.dumps(diagnosis.as_dict()) if given.json else told(diagnosis))
        status = status if diagnosis.equivalent else FAILED
    return status


def examined(name: str, data: bytes, batches: Sequence[Frames], model: str) -> Diagnosis:
    """The diagnosis of one engine; that it cannot load the model is one too."""
    try:
        engine = engines.engine(name, data)
    except BadModel as error:
        if name not in engines.available():
            raise
        return Diagnosis(engine=name, about=engines.available()[name], frames=0, flips=0, failure=str(error))
    try:
        return examine(data, engine, batches)
    except BadModel as error:
        raise BadModel(f"{named(model)}: {error}") from error


class Decoded(Sequence[Frames]):
    """Pictures as batches of one, decoded each time they are asked for: many large frames would not fit into memory."""

    def __init__(self, paths: Sequence[Path], window: Window | None) -> None:
        self.paths = paths
        self.window = window

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        return decode(self.paths[index], window=self.window)[None]


def shown(given: Sequence[Path] | None, card: ModelCard) -> Sequence[Frames]:
    """The frames to judge, in batches of one size each; of many pictures MOST, evenly taken."""
    if not given:
        return painted(card)
    paths = list(pictures(given))
    return Decoded(paths[:: -(-len(paths) // MOST)], card.input.window)


def told(found: Diagnosis) -> str:
    """The diagnosis in words, a line for each cause."""
    heading = f"{found.engine} ({found.about}): "
    if found.failure is not None:
        return f"{heading}cannot be used: {found.failure}"
    decisions = (
        f"{found.flips} of {found.frames} decisions change, answers differ by at most {found.difference:.1e}"
    )
    decisions += f", logits by {found.logits:.1e}"
    if found.equivalent:
        return f"{heading}equivalent; {decisions}"
    lines = [f"{heading}NOT equivalent; {decisions}"]
    lines += [f"  {cause.name:<10} {cause.says}" for cause in found.causes]
    left = f"{found.rest:.1e} of the difference" if found.causes else "all of it"
    lines.append(f"  {'left':<10} {left} unexplained by any fault known here")
    lines.append(
        f"  {'do':<10} use onnxruntime's CPUExecutionProvider{CORE if resizes_otherwise(found) else ''}"
    )
    return "\n".join(lines)


def resizes_otherwise(found: Diagnosis) -> bool:
    """Whether a resize outside the graph would help."""
    return any(cause.name in ("antialias", "border", "resize") for cause in found.causes)
