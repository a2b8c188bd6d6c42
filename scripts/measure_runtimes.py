"""Opens one exported model in every onnxruntime from the oldest supported to the newest, each in a clean environment.

Usage: .venv/bin/python scripts/measure_runtimes.py [MODEL] [--data FOLDER] [--only VERSION ...] [--write]

In each: `visiontune verify`, then the Inspector on painted frames of five sizes and on the pictures in FOLDER; answers and
decisions are compared with those of this environment. Without MODEL a small one is made first, with its pictures (needs the
lab). `--write` puts the table into docs/benchmarks.md. Exit status: 0 all agree, 1 one does not, 3 no package index can be
reached.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import benchmarks
import numpy as np
import onnxruntime

from visiontune import Bands, Inspector, __version__

ROOT = Path(__file__).parents[1]
UNREACHABLE = 3
NEWEST = "newest"

# onnxruntime, and the numpy and Pillow beside it: with the oldest the oldest that pyproject.toml admits.
SETS = {
    "1.16.0": ("numpy==1.26.0", "pillow==10.1.0"),
    "1.16.3": ("numpy<2", "pillow"),
    "1.17.3": ("numpy<2", "pillow"),
    "1.18.1": ("numpy<2", "pillow"),
    "1.19.2": ("numpy", "pillow"),
    "1.20.1": ("numpy", "pillow"),
    "1.22.1": ("numpy", "pillow"),
    NEWEST: ("numpy", "pillow"),
}
JUDGE = """
import json, pathlib, sys, time
begin = time.perf_counter()
import numpy, onnxruntime, PIL
from visiontune import Inspector
from visiontune.commands.inspect import pictures
from visiontune.runtime.engine import painted
opening = time.perf_counter()
inspector = Inspector(sys.argv[1])
opened = time.perf_counter()
verdicts = [inspector(frame) for frames in painted(inspector.card, 4) for frame in frames]
verdicts += [inspector(path) for path in pictures([pathlib.Path(folder) for folder in sys.argv[2:]])]
frame = painted(inspector.card, 1)[1][0]
times = []
for _ in range(60):
    start = time.process_time()
    inspector(frame)
    times.append(time.process_time() - start)
print(json.dumps({
    "onnxruntime": onnxruntime.__version__, "numpy": numpy.__version__, "pillow": PIL.__version__,
    "answers": [[v.severity, *v.kinds.values()] for v in verdicts], "decision": [v.decision for v in verdicts],
    "open_ms": 1000 * (opened - opening), "cpu_ms": 1000 * sorted(times)[30],
}))
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", type=Path, help="a model that visiontune exported"
    )
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="pictures, those of the model's proof among them"
    )
    parser.add_argument("--only", nargs="+", choices=list(SETS), default=list(SETS), metavar="VERSION")
    parser.add_argument("--write", action="store_true", help=f"put the table into {benchmarks.PAGE.name}")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="visiontune-runtimes-") as folder:
        model, data = (given.model, given.data) if given.model else cooked(Path(folder))
        model, data = model.resolve(), [data.resolve()] if data else []
        here = judged(Path(sys.executable), model, data)
        rows = []
        for version in given.only:
            try:
                python = environment(Path(folder) / version, version)
            except subprocess.CalledProcessError as error:
                print(f"measure_runtimes: onnxruntime {version}: {error.stderr.strip()}", file=sys.stderr)
                return UNREACHABLE
            rows.append(row(judged(python, model, data), verified(python, model, data), here))
            print(f"{version}: {rows[-1]}", file=sys.stderr)
            shutil.rmtree(Path(folder) / version)
        page = "\n".join(section(model, rows, here, bool(data)))
    print(page)
    if given.write:
        benchmarks.put(__file__, page)
    return 0 if all(found["agrees"] for found in rows) else 1


def cooked(folder: Path) -> tuple[Path, Path]:
    """A small model and the painted parts it was made on. Its head is drawn at random, so that answers differ."""
    import torch

    from visiontune.data.painter import paint_folder
    from visiontune.tune import Recipe, Unfreeze, finetune, policies, read

    parts = paint_folder(folder / "parts", parts=36, exposures=2, size=(96, 96), seed=3)
    recipe = Recipe(
        backbone="test_resnet", pretrained=False, policy=policies.flat_sheet(), unfreeze=Unfreeze(at=(1, 2)),
        size=(96, 96), epochs=3, batch=16,
    )  # fmt: skip
    run = finetune(recipe, read(parts), out=folder / "run")
    weights = run.net.head.get_parameter("linear.weight")
    with torch.no_grad():
        torch.nn.init.normal_(weights)
        weights.mul_(2 / float(run.logits("val").std(axis=0).mean()))
        run.net.head.get_parameter("linear.bias").sub_(torch.from_numpy(run.logits("val").mean(axis=0)))
    run.bands = Bands(0.3, 0.7)  # calibration would see that it guesses, and flatten the answers
    return run.export(), parts


def environment(folder: Path, version: str) -> Path:
    """A clean virtual environment with this onnxruntime and visiontune, without the lab; its python."""
    uv = shutil.which("uv", path=os.fspath(Path(sys.executable).parent)) or shutil.which("uv")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True, text=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = (
        [uv, "pip", "install", "--quiet", "--python", python]
        if uv
        else [python, "-m", "pip", "install", "--quiet"]
    )
    wanted = "onnxruntime" if version == NEWEST else f"onnxruntime=={version}"
    for packages in ([wanted, *SETS[version]], ["--no-deps", ROOT]):
        subprocess.run([*install, *packages], check=True, capture_output=True, text=True)
    return python


def judged(python: Path, model: Path, data: list[Path]) -> dict[str, Any]:
    """What the Inspector says there of all frames; an error's last line if it cannot."""
    done = subprocess.run(
        [python, "-c", JUDGE, model, *data], capture_output=True, text=True, cwd=model.parent
    )
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def verified(python: Path, model: Path, data: list[Path]) -> bool:
    """Whether `visiontune verify` finds all in order there, the proof too if there are pictures."""
    code = "import sys; from visiontune.cli import main; sys.exit(main(['verify', *sys.argv[1:]]))"
    more = ["--data", *data] if data else []
    done = subprocess.run(
        [python, "-c", code, model, *more], capture_output=True, text=True, cwd=model.parent
    )
    return done.returncode == 0


def row(found: dict[str, Any], verified: bool, here: dict[str, Any]) -> dict[str, Any]:
    """A line of the table."""
    if "error" in found:
        return {"agrees": False, **found}
    difference = float(np.abs(np.array(found["answers"]) - here["answers"]).max())
    flips = sum(one != two for one, two in zip(found["decision"], here["decision"], strict=True))
    return {
        "agrees": verified and not flips and difference < 1e-4,
        "verify": "ok" if verified else "FAILED",
        "difference": difference,
        "flips": flips,
        **{name: found[name] for name in ("onnxruntime", "numpy", "pillow", "open_ms", "cpu_ms")},
    }


def section(model: Path, rows: list[dict[str, Any]], here: dict[str, Any], proved: bool) -> list[str]:
    """The section for the page."""
    card = Inspector(model).card
    size = " x ".join(map(str, card.input.size))
    severities = [one[0] for one in here["answers"]]
    lines = [
        "## Runtimes",
        "",
        f"`{card.name}` ({card.recipe.get('backbone')}, {size} px), exported once by visiontune {__version__} with torch "
        f"{card.versions.get('torch')}, opened in clean environments; Python {platform.python_version()}, {platform.system()}, "
        f"{os.cpu_count()} cores. Severity, kinds and decisions of {len(severities)} frames, 20 of them painted in five sizes "
        f"(severities {min(severities):.2g} to {max(severities):.2g}), are compared with those of onnxruntime "
        f"{onnxruntime.__version__}; `verify` {'repeats the proof too' if proved else 'without pictures'}; CPU ms is the median "
        "of one frame at the model's own size, one thread.",
        "",
        "| onnxruntime | numpy | Pillow | `verify` | answers within | decisions changed | opening ms | CPU ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for found in rows:
        if "error" in found:
            lines.append(f"| {found['error']} | | | FAILED | | | | |")
            continue
        lines.append(
            f"| {found['onnxruntime']} | {found['numpy']} | {found['pillow']} | {found['verify']} | {found['difference']:.1e} | "
            f"{found['flips']} | {found['open_ms']:.0f} | {found['cpu_ms']:.2f} |"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
