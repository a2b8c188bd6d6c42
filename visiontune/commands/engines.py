"""The engines that `visiontune doctor` can examine: onnxruntime's providers, OpenVINO, and onnx's own evaluator."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime

from visiontune.runtime.answers import INPUT
from visiontune.runtime.engine import WORDS, Answers, Engine, Frames
from visiontune.runtime.errors import BadModel, MissingExtra
from visiontune.runtime.model import open_session

OPENVINO, REFERENCE = "openvino", "reference"
SUFFIX = "ExecutionProvider"
REMOTE = "AzureExecutionProvider"  # calls a service and computes nothing here


def available() -> dict[str, str]:
    """The names of the engines of this machine, each with a word on what it is."""
    found = {
        provider.removesuffix(SUFFIX).lower(): f"onnxruntime's {provider}"
        for provider in onnxruntime.get_available_providers()
        if provider != REMOTE
    }
    if OPENVINO in found:  # the short name is for the package of that name
        found[f"OpenVINO{SUFFIX}"] = found.pop(OPENVINO)
    if importlib.util.find_spec(OPENVINO):
        found[OPENVINO] = "the package openvino"
    if importlib.util.find_spec("onnx"):
        found[REFERENCE] = "onnx's own evaluator, in Python: slow"
    return found


def engine(name: str, data: bytes) -> Engine:
    """The engine of this name with the model file loaded.

    Raises MissingExtra where a package is not installed, BadModel for a name that is none or a model that it cannot load.
    """
    if name == OPENVINO:
        return _openvino(data)
    if name == REFERENCE:
        return _reference(data)
    known = onnxruntime.get_available_providers()
    provider = next(
        (one for one in known if name.lower() in (one.lower(), one.removesuffix(SUFFIX).lower())), None
    )
    if provider is None:
        names = ", ".join(sorted({*available(), OPENVINO, REFERENCE}))
        raise BadModel(
            f"expected an engine of this machine ({names}), found {name!r}; install it or name another"
        )
    session = open_session(data, providers=[provider])
    return Engine(
        name=name,
        about=f"onnxruntime {onnxruntime.__version__}, {provider}",
        run=lambda frames: _three(session.run(list(WORDS), {INPUT: frames})),
    )


def _openvino(data: bytes) -> Engine:
    try:
        openvino: Any = importlib.import_module(OPENVINO)
    except ImportError:
        raise MissingExtra(
            "expected the package openvino, it is not installed; pip install openvino"
        ) from None
    core = openvino.Core()

    def compiled(options: dict[str, str]) -> tuple[Any, Callable[[Frames], Answers]]:
        try:
            model = core.compile_model(core.read_model(data), "CPU", options)
        except Exception as error:
            raise BadModel(f"openvino {openvino.__version__} cannot load it: {error}") from error
        return model, lambda frames: _three([model({INPUT: frames})[word] for word in WORDS])

    model, run = compiled({})
    precision = model.get_property("INFERENCE_PRECISION_HINT").to_string()
    return Engine(
        name=OPENVINO,
        about=f"openvino {openvino.__version__}, CPU, {precision}",
        run=run,
        precise=compiled({"INFERENCE_PRECISION_HINT": "f32"})[1],
    )


def _reference(data: bytes) -> Engine:
    try:
        onnx: Any = importlib.import_module("onnx")
        reference: Any = importlib.import_module("onnx.reference")
    except ImportError:
        raise MissingExtra(
            'the engine reference needs the lab, and onnx is not installed; pip install "visiontune[train]"'
        ) from None
    evaluator = reference.ReferenceEvaluator(onnx.load_from_string(data))
    return Engine(
        name=REFERENCE,
        about=f"onnx {onnx.__version__}, reference evaluator",
        run=lambda frames: _three(evaluator.run(list(WORDS), {INPUT: frames})),
    )


def _three(answers: list[Any]) -> Answers:
    severity, kinds, decision = (np.array(answer) for answer in answers)
    return severity, kinds, decision
