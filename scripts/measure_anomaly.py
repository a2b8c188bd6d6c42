"""Measures Anomaly, and with --peer anomalib's PatchCore and PaDiM, on the same pictures, split, size and backbone weights.

    python scripts/measure_anomaly.py DATA --backbone local-dir:PATH [--size 224] [--memory N] [--peer PYTHON] [--keep DIR]
                                      [--splits N] [--write]

Only good parts of train are learned from. On test: AUROC of pictures; of pixels AUROC, AUPRO (to 30 % false pixels) and
AUPIMO, of maps brought bilinearly to the model's size, against masks at that size; ms (CPU) a frame through each side's own
deployed path, ours the Inspector, theirs their ONNX file in onnxruntime, one thread, taking turns; CPU seconds of the fit, of
each on the same good parts without val (ours cannot do with less than two pictures of it), and of ours with val, by which it
sets its severities. PYTHON is an interpreter with anomalib and its openvino extra. Their raw scores are taken (without their
post-processor, which clamps); PatchCore keeps as many patches as ours may. --keep names a folder for their files, which are
taken from there if they are there: a fit of PatchCore takes long. One test holds few parts: with --splits the parts are also
divided anew N times, test too, and ours is compared with PaDiM on each. `--write` puts the tables into docs/benchmarks.md.
"""

import argparse
import io
import json
import os
import platform
import shutil
import subprocess
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import benchmarks
import numpy as np
import onnxruntime
import timm
import torch
from rich.console import Console
from scipy import ndimage
from torch.nn import functional

from visiontune import Inspector
from visiontune.data.masks import DEFECT, GOOD, UNKNOWN, load_masks
from visiontune.runtime.aupimo import aupimo
from visiontune.runtime.aupro import aupro
from visiontune.runtime.frame import decode
from visiontune.runtime.roc import auroc
from visiontune.tune import Anomaly, Recipe, finetune, policies, read, split
from visiontune.tune.backbone import make_backbone, normalisation
from visiontune.tune.pyramid import taps

SIDE = Path(__file__).with_name("anomaly_side.py")
AROUND = np.ones((3, 3))  # cells of a defect touch by side or corner
CALLS = 60


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--memory", type=int, default=1000)
    parser.add_argument("--peer", metavar="PYTHON")
    parser.add_argument("--keep", type=Path, metavar="DIR")
    parser.add_argument("--splits", type=int, default=0, metavar="N")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.splits and not given.peer:
        parser.error("--splits compares ours with PaDiM and needs --peer")
    torch.set_num_threads(1)
    data = read(given.data)
    with tempfile.TemporaryDirectory() as folder:
        place, keep = Path(folder), given.keep or Path(folder) / "peers"
        lines, whole = on_one_split(split(data), given, place, keep)
        print("\n".join(lines), flush=True)
        if given.splits:
            found = [on_split(data, seed, given, place, keep) for seed in range(given.splits)]
            means = on_splits(np.array(found))
            print("\n".join(means))
            lines += means
    if given.write:
        write(lines, given, whole)


def on_one_split(data, given, folder, keep):
    """The table of one split, and the seconds of our fit with val."""
    seconds = fitted(hardly_val(data), given, folder / "alone")[0]
    sides = [ours(data, given, folder / "whole")]
    whole, sides[0]["seconds"] = sides[0]["seconds"], seconds
    print(f"{sides[0]['name']}: fit {seconds:.1f} CPU s, with all of val {whole:.1f}", flush=True)
    if given.peer:
        sides += [theirs(method, data, given, keep) for method in ("PaDiM", "PatchCore")]
    test = data.share("test")
    masks = load_masks(test, (given.size, given.size))
    ms = timed([side["judge"] for side in sides], decode(test.samples[0].path))
    lines = [
        "| | AUROC | pixel AUROC | AUPRO | AUPIMO | fit, CPU s | CPU ms a frame | MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for side, each in zip(sides, ms, strict=True):
        found = judged(side["judge"], test, masks, given.size)
        figures = [*(f"{value:.3f}" for value in found), f"{side['seconds']:.1f}", f"{each:.2f}"]
        size = sum(part.stat().st_size for part in side["file"].parent.glob(f"{side['file'].name}*")) / 1e6
        lines.append(f"| {side['name']} | {' | '.join(figures)} | {size:.1f} |")
    return lines, whole


def on_split(data, seed, given, folder, keep):
    """What both find (2, 4) on a test that is drawn by the seed as train and val are."""
    parts = split(replace(data, samples=tuple(replace(sample, split=None) for sample in data)), seed=seed)
    sides = [ours(parts, given, folder / str(seed)), theirs("PaDiM", parts, given, keep / str(seed))]
    test = parts.share("test")
    masks = load_masks(test, (given.size, given.size))
    found = [judged(side["judge"], test, masks, given.size) for side in sides]
    print(f"split {seed}: ours, PaDiM", np.round(found, 3).tolist(), flush=True)
    return found


def on_splits(found):
    """The table of several splits (n, 2, 4): means, and how often ours is above."""
    lines = [
        "",
        "| mean of " + f"{len(found)} splits | AUROC | pixel AUROC | AUPRO | AUPIMO |",
        "|---|---|---|---|---|",
    ]
    for at, name in enumerate(("visiontune Anomaly", "anomalib PaDiM")):
        lines.append(f"| {name} | {' | '.join(f'{value:.3f}' for value in found[:, at].mean(axis=0))} |")
    above = (found[:, 0] > found[:, 1]).sum(axis=0)
    return [*lines, f"| splits in which ours is above | {' | '.join(str(count) for count in above)} |"]


def ours(data, given, folder):
    """The memory, fitted and exported."""
    seconds, run = fitted(data, given, folder)
    inspector = Inspector(run.export())

    def judge(frame):
        verdict = inspector(frame)
        return verdict.severity, verdict.heatmap

    name = f"visiontune Anomaly(memory={given.memory})"
    return {"name": name, "judge": judge, "seconds": seconds, "file": run.model}


def fitted(data, given, folder):
    """CPU seconds of a fit of the memory, and its run."""
    recipe = Recipe(
        backbone=given.backbone,
        head=Anomaly(memory=given.memory),
        policy=policies.none(),
        size=(given.size, given.size),
    )
    begun = time.process_time()
    run = finetune(recipe, data, out=folder, console=Console(file=io.StringIO()))
    return time.process_time() - begun, run


def hardly_val(data):
    """The data with one good picture in val, and one of a defect."""
    kept, seen = [], set()
    for sample in data:
        good = sample.label == data.good
        if sample.split != "val" or good not in seen:
            kept.append(sample)
        if sample.split == "val":
            seen.add(good)
    return replace(data, samples=tuple(kept))


def theirs(method, data, given, keep):
    """A method of the peer, fitted and exported by an interpreter of its own, or as it was kept."""
    place = (keep / method).resolve()
    told = place / "out.json"
    if not told.is_file() or not told.read_text():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        (place / "job.json").write_text(json.dumps(job(method, data, given, place)))
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [given.peer, str(SIDE), str(place / "job.json")]
        with (place / "said.log").open("w") as said:
            done = subprocess.run(
                command, env=env, cwd=place, stdout=subprocess.PIPE, stderr=said, text=True, check=True
            )
        told.write_text(done.stdout)
    made = json.loads(told.read_text())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(made["file"], options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def judge(frame):
        ready = np.ascontiguousarray(frame.astype(np.float32).transpose(2, 0, 1)[np.newaxis] / 255)
        score, heat = session.run(["pred_score", "anomaly_map"], {name: ready})
        return float(np.ravel(score)[0]), heat.reshape(heat.shape[-2:])

    kept = (
        f", {json.loads((place / 'job.json').read_text())['bank']} patches" if method == "PatchCore" else ""
    )
    return {
        "name": f"anomalib {method}{kept}",
        "judge": judge,
        "seconds": made["seconds"],
        "file": Path(made["file"]),
    }


def job(method, data, given, place):
    """What the peer is to do; the pictures as links in folders of its layout."""
    for number, sample in enumerate(data):
        good = sample.label == data.good
        if sample.split == "test" or (sample.split == "train" and good):
            link = (
                place / "root" / sample.split / ("good" if good else "bad") / f"{number}{sample.path.suffix}"
            )
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(sample.path.resolve())
    backbone = make_backbone(given.backbone, pretrained=True)
    mean, std = normalisation(backbone)
    maps = [tap for tap in taps(backbone, (given.size, given.size)) if tap.stride <= 16]
    maps = maps if method == "PaDiM" else maps[1:]  # the layers that each takes of a ResNet
    return {
        "method": method,
        "backbone": given.backbone,
        "layers": [tap.module for tap in maps],
        "features": sum(tap.channels for tap in maps),
        "size": [given.size] * 2,
        "mean": mean,
        "std": std,
        "root": str(place / "root"),
        "pictures": data.counts()["train"][data.good],
        "bank": given.memory,
        "out": str(place),
    }


def timed(judges, frame):
    """The median CPU ms of a call of each, taking turns."""
    found = np.zeros((CALLS, len(judges)))
    for turn in range(-5, CALLS):
        for at, judge in enumerate(judges):
            begun = time.process_time_ns()
            judge(frame)
            found[turn, at] = (time.process_time_ns() - begun) / 1e6
    return np.median(found, axis=0)


def judged(judge, test, masks, size):
    """AUROC of pictures and of pixels, AUPRO and AUPIMO."""
    scores, maps = [], []
    for sample in test:
        score, heat = judge(decode(sample.path))
        scores.append(score)
        whole = functional.interpolate(torch.from_numpy(heat)[None, None], size=(size, size), mode="bilinear")
        maps.append(whole[0, 0].numpy())
    defective = np.array([sample.label != test.good for sample in test])
    return auroc(np.array(scores), defective), *by_pixel(np.stack(maps), masks, defective)


def by_pixel(maps, masks, defective):
    """AUROC, AUPRO and AUPIMO of the pixels, scores in bins that are fine where good pictures are hottest."""
    good = maps[~defective]
    levels = np.concatenate([np.linspace(0, 1, 2000), 1 - np.geomspace(1e-7, 1e-2, 2000)])
    edges = np.unique(np.quantile(good, np.sort(levels)))
    marked, unmarked, covered, recalled, false = np.zeros((5, len(edges) + 1))
    defects = pictures = 0
    for heat, mask, bad in zip(maps, masks, defective, strict=True):
        if (mask == UNKNOWN).any():
            continue
        where = np.searchsorted(edges, heat)
        np.add.at(unmarked, where[mask == GOOD], 1)
        if not bad:
            np.add.at(false, where.ravel(), 1 / where.size)
            continue
        hit = where[mask == DEFECT]
        np.add.at(marked, hit, 1)
        np.add.at(recalled, hit, 1 / len(hit))
        regions, count = ndimage.label(mask == DEFECT, AROUND)
        for region in range(1, count + 1):
            inside = where[regions == region]
            np.add.at(covered, inside, 1 / len(inside))
        defects, pictures = defects + count, pictures + 1
    below = np.cumsum(unmarked) - unmarked / 2
    area = float((marked * below).sum() / marked.sum() / unmarked.sum())
    return area, aupro(covered / defects, unmarked), aupimo(recalled / pictures, false / (~defective).sum())


def write(lines, given, whole):
    text = [
        "## Good parts only",
        "",
        f"`scripts/measure_anomaly.py`, {date.today()}, {given.data.name}, {given.size} px, {Path(given.backbone).name}, one "
        f"split. {platform.machine()}, one thread of a machine shared with other work, torch {torch.__version__}, timm "
        f"{timm.__version__}, onnxruntime {onnxruntime.__version__}; anomalib 2.7, raw scores. "
        f"The fit is on the same good parts, without val; with val, by which ours sets its severities, it takes {whole:.1f} s. "
        "The method of ours was settled with this test in view, theirs was not: expect a little less.",
        "",
        *lines,
    ]
    benchmarks.put(__file__, "\n".join(text))


if __name__ == "__main__":
    main()
