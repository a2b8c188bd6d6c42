"""The peer's side of measure_anomaly.py, run by an interpreter that has anomalib: fits its PatchCore or PaDiM and exports it.

Usage: PYTHON anomaly_side.py JOB.json. The job says method, backbone, layers, features (of PaDiM), size, mean, std, root (with
train/good, test/good, test/bad), pictures (in train), bank (patches kept) and out. Both are used as its documentation says, by
Engine.fit and to_onnx, without its post-processor, which would clamp scores to 0..1. Prints the file and the CPU seconds of
Engine.fit as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

CELLS = 8  # pixels to a cell of PatchCore's map, where its finest layer has this stride


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # it prints as it goes
    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    torch = import_module("torch")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, data = made(job), pictures(job)
    engine = import_module("anomalib.engine").Engine(
        accelerator="cpu",
        devices=1,
        logger=False,
        default_root_dir=job["out"],
        enable_progress_bar=False,
        limit_val_batches=0,
    )
    begun = time.process_time()
    engine.fit(model, datamodule=data)
    seconds = time.process_time() - begun
    model.eval()
    # Left to itself this export holds the batch at the 2 pictures of its example.
    sides = {"input": {2: "height", 3: "width"}}
    file = Path(model.to_onnx(job["out"], dynamic_axes=sides)).resolve()
    print(json.dumps({"file": str(file), "seconds": seconds}), file=answers, flush=True)


def made(job: dict[str, Any]) -> Any:
    """The model with the job's backbone, size and normalisation."""
    v2 = import_module("torchvision.transforms.v2")
    steps = [v2.Resize(tuple(job["size"]), antialias=True), v2.Normalize(mean=job["mean"], std=job["std"])]
    pre = import_module("anomalib.pre_processing").PreProcessor(transform=v2.Compose(steps))
    models = import_module("anomalib.models")
    options = {"pre_processor": pre, "post_processor": False, "evaluator": False, "visualizer": False}
    options |= {"backbone": job["backbone"], "layers": job["layers"], "pre_trained": True}
    if job["method"] == "PaDiM":
        return models.Padim(n_features=job["features"], **options)
    patches = job["pictures"] * (job["size"][0] // CELLS) * (job["size"][1] // CELLS)
    return models.Patchcore(coreset_sampling_ratio=job["bank"] / patches, **options)


def pictures(job: dict[str, Any]) -> Any:
    """The same pictures and shares as ours."""
    return import_module("anomalib.data").Folder(
        name="parts",
        root=job["root"],
        normal_dir="train/good",
        abnormal_dir="test/bad",
        normal_test_dir="test/good",
        train_batch_size=32,
        eval_batch_size=32,
        num_workers=0,
        val_split_mode="same_as_test",  # it cannot do without; nothing is set on it
        seed=0,
    )


if __name__ == "__main__":
    main()
