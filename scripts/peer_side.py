"""One side of measure_peers.py, run by an interpreter of its own: makes a network's file, or judges frames with it.

Usage: PYTHON peer_side.py make SIDE FOLDER | serve SIDE FILE | once SIDE FILE HxW | idle SIDE FILE HxW

SIDE is visiontune, ultralytics or anomalib. A peer is used as its documentation says: exported by its own exporter, judged by its
own predict path with its own defaults. Weights are random: they cost what good ones cost. What is asked for is printed as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from time import perf_counter_ns, process_time, process_time_ns, sleep
from typing import Any, NamedTuple

import numpy as np

Frame = Any  # uint8 (height, width, 3)
Ways = dict[str, Callable[[], object]]
BANK = 1000  # patches in PatchCore's memory: few, so that the peer is not slowed by its head
TRIGGER_HZ, TRIGGERED = 20, 60
WARM_UP = 5


class Side(NamedTuple):
    """What a side can do; `judge` and `bare` share whatever `opened` gave."""

    opened: Callable[[Path], Any]
    judge: Callable[[Any, Frame], object]
    bare: Callable[[Any, Path, Frame], Ways]
    make: Callable[[Path], dict[str, Any]] | None = None


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # peers print as they go
    task, name, at, *size = sys.argv[1:]
    side = SIDES[name]
    if task == "make":
        assert side.make is not None
        print(json.dumps(side.make(Path(at))), file=answers, flush=True)
    elif task == "serve":
        serve(side, Path(at), answers)
    else:
        frame = painted(size[0])
        engine = side.opened(Path(at))
        side.judge(engine, frame)
        if task == "idle":
            begin = process_time()
            for _ in range(TRIGGERED):
                side.judge(engine, frame)
                sleep(1 / TRIGGER_HZ)
            print(json.dumps(1000 * (process_time() - begin) / TRIGGERED), file=answers, flush=True)
        else:
            print(json.dumps(peak_mib()), file=answers, flush=True)


def serve(side: Side, file: Path, answers: Any) -> None:
    """For each line `HxW COUNT`: the CPU and wall ms of COUNT calls of each way, taking turns; 0 calls only warm up."""
    engine = side.opened(file)
    ways: dict[str, Ways] = {}
    for line in sys.stdin:
        size, count = line.split()
        if size not in ways:
            frame = painted(size)
            judge = {"predict": lambda frame=frame: side.judge(engine, frame)}
            ways[size] = {**judge, **side.bare(engine, file, frame)}
            timed(ways[size], WARM_UP)
        print(json.dumps(timed(ways[size], int(count))), file=answers, flush=True)


def timed(ways: Ways, count: int) -> dict[str, list[tuple[float, float]]]:
    """(CPU ms of all threads, wall ms) of every call; who begins changes each time."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(count):
        for name, way in list(ways.items())[:: 1 if turn % 2 else -1]:
            wall, cpu = perf_counter_ns(), process_time_ns()
            way()
            cpu, wall = process_time_ns() - cpu, perf_counter_ns() - wall
            found[name].append((cpu / 1e6, wall / 1e6))
    return found


def painted(size: str) -> Frame:
    """A frame with something on it, alike for all sides."""
    height, width = map(int, size.split("x"))
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def peak_mib() -> float | None:
    """The most memory this process ever held, where the system tells."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    return next(
        int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM")
    )


def bare_session(file: Path) -> Any:
    """The file in onnxruntime with one thread."""
    onnxruntime = import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def gmacs(network: Any, pictures: Any) -> float:
    """Multiply-accumulates of one call, in 1e9, counted by torch."""
    with import_module("torch.utils.flop_counter").FlopCounterMode(display=False) as counter:
        network(pictures)
    return float(counter.get_total_flops() / 2e9)


def our_bare(inspector: Any, file: Path, frame: Frame) -> Ways:
    names = [output.name for output in inspector._session.get_outputs()]
    core = bare_session(file.with_suffix(".core.onnx"))
    found = core.get_inputs()[0]
    pictures = np.zeros((1, *found.shape[1:]), np.float32)
    return {
        "file": lambda: inspector._session.run(names, {"frames": frame[np.newaxis]}),
        "network": lambda: core.run(None, {found.name: pictures}),
    }


def ultralytics_made(folder: Path) -> dict[str, Any]:
    torch = import_module("torch")
    torch.manual_seed(0)
    os.chdir(folder)
    model = import_module("ultralytics").YOLO("yolo11n-cls.yaml")
    counted = gmacs(model.model.eval(), torch.zeros(1, 3, 224, 224))
    file = Path(model.export(format="onnx", imgsz=224)).resolve()
    versions = f"Ultralytics {version('ultralytics')} (onnxruntime {version('onnxruntime')}, torch {torch.__version__})"
    return {"file": str(file), "network": "yolo11n-cls", "gmacs": counted, "versions": versions}


def ultralytics_opened(file: Path) -> Any:
    return import_module("ultralytics").YOLO(str(file), task="classify")


def ultralytics_judge(model: Any, frame: Frame) -> object:
    return model(frame, imgsz=224, device="cpu", verbose=False)[0].probs.top1


def ultralytics_bare(model: Any, file: Path, frame: Frame) -> Ways:
    ultralytics_judge(model, frame)  # it opens the file at the first call
    session = model.predictor.model.backend.session  # the very same one
    found = session.get_inputs()[0]
    pictures = np.zeros((1, 3, 224, 224), np.float32)
    return {"file": lambda: session.run(None, {found.name: pictures})}


def anomalib_made(folder: Path) -> dict[str, Any]:
    torch = import_module("torch")
    torch.manual_seed(0)
    model = import_module("anomalib.models").Patchcore(
        backbone="resnet18", layers=["layer2", "layer3"], pre_trained=False, visualizer=False, evaluator=False
    )
    model.model.memory_bank = torch.rand(BANK, 128 + 256)
    after = model.post_processor
    for name, value in {"threshold": 5.0, "min": 0.0, "max": 10.0}.items():
        for of in ("image", "pixel"):
            getattr(after, f"_{of}_{name}" if name == "threshold" else f"{of}_{name}").fill_(value)
    model.eval()
    with torch.no_grad():
        counted = gmacs(model.model, torch.zeros(1, 3, 256, 256))
    # Left to itself this export holds the batch at the 2 pictures of its example, which its inferencer cannot feed.
    sides = {"input": {2: "height", 3: "width"}}
    file = Path(model.to_onnx(folder, dynamic_axes=sides)).resolve()
    versions = f"anomalib {version('anomalib')} (OpenVINO {version('openvino')}, torch {torch.__version__})"
    network = f"PatchCore, resnet18, {BANK} patches"
    return {"file": str(file), "network": network, "gmacs": counted, "versions": versions}


def anomalib_opened(file: Path) -> Any:
    return import_module("anomalib.deploy").OpenVINOInferencer(path=file, device="CPU")


def anomalib_judge(inferencer: Any, frame: Frame) -> object:
    return inferencer.predict(frame).pred_label


def anomalib_bare(inferencer: Any, file: Path, frame: Frame) -> Ways:
    ready = np.ascontiguousarray(frame.astype(np.float32).transpose(2, 0, 1)[np.newaxis] / 255)
    name = inferencer.input_blob.any_name
    session = bare_session(file)
    return {
        "file": lambda: inferencer.model({name: ready}),
        "file in onnxruntime": lambda: session.run(None, {name: ready}),
    }


SIDES = {
    "visiontune": Side(
        lambda file: import_module("visiontune").Inspector(file),
        lambda inspector, frame: inspector(frame).decision,
        our_bare,
    ),
    "ultralytics": Side(ultralytics_opened, ultralytics_judge, ultralytics_bare, ultralytics_made),
    "anomalib": Side(anomalib_opened, anomalib_judge, anomalib_bare, anomalib_made),
}


if __name__ == "__main__":
    main()
