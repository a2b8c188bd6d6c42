"""Measures a model of large frames: memory and time of the loop in the graph, against all tiles at once and a loop outside.

    python scripts/measure_tiles.py [--backbone mobilenetv2_100] [--size 2048x2448] [--tile 512] [--overlap 64] [--write]

The model is Segment on random weights: it costs what a good one costs. Each way runs in a fresh process with one thread, on
one frame, three times. `--write` puts the table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import benchmarks
from measure_line import machine, size

from visiontune import Bands, ModelCard, __version__
from visiontune.runtime.card import InputSpec

MOST_MIB = 1024
WAYS = {
    "Inspector": "the `Inspector`, opened by its self-test: `Loop` in the graph",
    "loop": "the graph alone",
    "outside": "a loop in Python over the network of one tile",
    "batch": "all tiles as one batch",
}
MEASURED = """
import sys, time
import numpy as np
from visiontune.data.tiles import Grid
from visiontune.runtime.model import open_session
way, folder, (height, width, tile, overlap) = sys.argv[1], sys.argv[2], map(int, sys.argv[3:])
frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
grid = Grid((height, width), tile, overlap)
opened = time.perf_counter()
if way == "Inspector":
    from visiontune import Inspector
    inspector = Inspector(f"{folder}/model.onnx")
    run = lambda: inspector(frame)
elif way == "loop":
    session = open_session(open(f"{folder}/model.onnx", "rb").read())
    run = lambda: session.run(None, {"frames": frame[None]})
else:
    session = open_session(open(f"{folder}/core.onnx", "rb").read())
    def cut(y, x):
        return (frame[None, y : y + tile, x : x + tile].transpose(0, 3, 1, 2).astype(np.float32) - 127) / 60
    def run():
        tiles = [cut(y, x) for y, x in grid.corners] if way == "outside" else [
            np.concatenate([cut(y, x) for y, x in grid.corners])]
        return [session.run(None, {"pictures": one}) for one in tiles]
opened = time.perf_counter() - opened
spent = []
for _ in range(3):
    begin = time.process_time()
    run()
    spent.append(time.process_time() - begin)
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
print(opened, min(spent), sorted(spent)[1], peak)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--size", type=size, default="2048x2448", metavar="HxW")
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--overlap", type=int, default=64)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shape = [*given.size, given.tile, given.overlap]
        made = [sys.executable, __file__, "--make", folder, given.backbone, *map(str, shape)]
        subprocess.run(made, check=True)
        rows = {way: measured(way, folder, given) for way in WAYS}
    page = "\n".join(section(rows, given))
    print(page)
    if given.write:
        benchmarks.put(__file__, page)


def measured(way, folder, given):
    numbers = [*given.size, given.tile, given.overlap]
    command = [sys.executable, "-c", MEASURED, way, folder, *map(str, numbers)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(number) for number in done.stdout.split()]


def section(rows, given):
    tiles = f"tiles of {given.tile} that share {given.overlap}"
    peak = rows["Inspector"][3]
    return [
        "## Large frames",
        "",
        *machine(),
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `python scripts/measure_tiles.py`; `{given.backbone}` with `Segment`, one "
        f"frame of {given.size[0]} x {given.size[1]}, {tiles}; the best and the median of three frames, peak of a fresh process.",
        "",
        "| | CPU s a frame, best | median | peak MiB |",
        "|---|---|---|---|",
        *(
            f"| {WAYS[way]} | {best:.2f} | {usual:.2f} | {mib:.0f} |"
            for way, (_, best, usual, mib) in rows.items()
        ),
        "",
        f"Opening the file, with its self-test on one painted frame, took {rows['Inspector'][0]:.1f} s by the clock. "
        f"The Inspector's peak is {'within' if peak < MOST_MIB else 'ABOVE'} its budget of {MOST_MIB} MiB; it does not grow "
        "with the number of tiles.",
    ]


def make(folder, backbone, height, width, tile, overlap) -> None:
    """Writes model.onnx and core.onnx. In a process of its own: only this needs the lab."""
    import onnx
    import torch

    from visiontune.data.samples import Dataset, Sample
    from visiontune.data.tiles import Grid
    from visiontune.tune import Recipe, Segment
    from visiontune.tune.export import card_metadata, painted_answers, sealed
    from visiontune.tune.finetune import make_net
    from visiontune.tune.graph import core_model
    from visiontune.tune.tiled_graph import whole_model
    from visiontune.tune.tiled_net import TiledNet
    from visiontune.tune.versions import versions

    classes = ("good", "pit", "scratch")
    samples = tuple(
        Sample(id=name, path=Path(name), label=name, group=name, split="train") for name in classes
    )
    data = Dataset(root=Path(), layout="", samples=samples, classes=classes, good="good")
    recipe = Recipe(
        backbone=backbone,
        pretrained=False,
        head=Segment(),
        size=(int(height), int(width)),
        tile=(int(tile), int(overlap)),
    )
    net = make_net(recipe, data).eval()
    torch.nn.init.normal_(net.head.get_parameter("classify.linear.weight"), std=0.1)
    tiled = TiledNet(net, Grid(recipe.size, *recipe.tile))
    core, bands = core_model(tiled, recipe.seen), Bands(0.5, 0.9)
    model = whole_model(core, tiled, bands, roi=None)
    card = ModelCard(
        name="tiles",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        made_by=f"visiontune {__version__}",
        task="segment",
        classes=classes,
        good="good",
        input=InputSpec(size=recipe.size, roi=None, mean=(0.5,) * 3, std=(0.25,) * 3, window=None),
        temperature=1.0,
        bands=bands,
        recipe=recipe.as_dict(),
        data={
            "digest": "0" * 64,
            "layout": "none",
            "counts": {},
            "group_pattern": None,
            "split_seed": 0,
            "fractions": [0.7, 0.15, 0.15],
        },
        versions=versions(),
    )
    card = replace(card, golden=painted_answers(model.SerializeToString(), card)[0])
    (Path(folder) / "model.onnx").write_bytes(sealed(model, card_metadata(card)))
    onnx.save(core, Path(folder) / "core.onnx")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        make(*sys.argv[2:])
    else:
        main()
