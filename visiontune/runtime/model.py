"""Opens a model file: bytes, seal, session, card, vocabulary, each checked before the next is trusted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import onnxruntime

from visiontune.runtime import seal
from visiontune.runtime.answers import INPUT, check_inputs, check_outputs
from visiontune.runtime.bands import Bands
from visiontune.runtime.budget import run_within
from visiontune.runtime.card import KEY, ModelCard
from visiontune.runtime.errors import BadModel, one_line
from visiontune.runtime.golden import Golden

Model: TypeAlias = str | os.PathLike[str] | bytes

MAX_BYTES = 2 * 1024**3  # an ONNX file is one protobuf message, which ends there
SELF_TEST_S = 60.0  # a model that cannot judge two frames in a minute will never serve a line
CPU = ("CPUExecutionProvider",)
FATAL = 4  # onnxruntime's own log stays silent: what goes wrong is in the exceptions that we pass on


def read_model(model: Model) -> bytes:
    """The bytes of a model file, unchecked. Raises BadModel for no file, an empty one or more than 2 GiB."""
    if isinstance(model, bytes):
        _check_size(len(model))
        return model
    path = Path(model)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing there"
        raise BadModel(f"expected a model file, found {found}; check the path")
    try:
        _check_size(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise BadModel(f"expected a readable file, found {one_line(error)}; check its permissions") from error


def open_session(
    data: bytes, *, threads: int = 1, providers: Sequence[str] | None = None, optimise: bool = True
) -> onnxruntime.InferenceSession:
    """A session with the line's settings, from bytes so that no second file can join in.

    threads    used inside one call. One is best beside other work: 2 threads that wait burn ten times the
               CPU.
    providers  onnxruntime's names, in order of preference; CPU if None. One that is missing is an error, not
               a fallback.
    optimise   False opens faster and computes slower: to read the card.

    Raises BadModel if onnxruntime cannot load the graph or lacks a provider; ValueError for threads < 1.
    """
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ValueError(f"threads: expected a whole number >= 1, found {threads!r}")
    wanted = list(providers or CPU)
    available = onnxruntime.get_available_providers()
    if missing := [name for name in wanted if name not in available]:
        raise BadModel(
            f"expected the provider {missing[0]}, found only {', '.join(available)}; name one of these"
        )
    try:
        session = onnxruntime.InferenceSession(data, _options(threads, optimise), providers=wanted)
    except Exception as error:  # onnxruntime's exceptions have no common root
        raise BadModel(f"onnxruntime {onnxruntime.__version__} cannot load it: {one_line(error)}") from error
    used = session.get_providers()[0]
    if used != wanted[0]:  # a provider whose libraries are missing gives way without a word
        raise BadModel(
            f"expected to run on {wanted[0]}, onnxruntime fell back to {used}; install what it needs"
        )
    return session


def read_card(session: onnxruntime.InferenceSession) -> ModelCard:
    """The card in the session's metadata. Raises BadModel if there is none or it is not sound."""
    found = session.get_modelmeta().custom_metadata_map.get(KEY)
    if found is None:
        raise BadModel(f"expected a card under the metadata key {KEY!r}, found none; export it again")
    return ModelCard.from_json(found)


def check_words(session: onnxruntime.InferenceSession, card: ModelCard) -> tuple[str, ...]:
    """The outputs of the session, in the vocabulary's order. Raises BadModel if it speaks other words."""
    check_inputs(session.get_inputs())
    return check_outputs(session.get_outputs(), classes=len(card.classes))


def self_test(session: onnxruntime.InferenceSession, card: ModelCard) -> str:
    """Judges the golden frames, compares with the card, says what was seen; raises BadModel if they disagree."""
    if card.golden is None:
        return "the card holds no golden frames"
    return replay(session, card.golden, card.bands)


def replay(session: onnxruntime.InferenceSession, golden: Golden, bands: Bands) -> str:
    """Paints these frames, judges them as one batch and compares with the answers at export; says what was seen.

    Raises BadModel if the pixels, an answer or a decision differ, or SELF_TEST_S seconds are not enough.
    """
    frames = golden.paint()
    if wrong := golden.misprints(frames):
        raise BadModel(
            f"self-test failed: {wrong} of {golden.frames} painted frames are not those of the export; "
            "install visiontune and numpy anew"
        )
    try:
        answers = run_within(SELF_TEST_S, session.run, ["severity", "kinds", "decision"], {INPUT: frames})
    except Exception as error:
        raise BadModel(f"self-test failed: {one_line(error)}; export it again") from error
    severity, kinds, decision = answers
    difference, flips = golden.difference(severity, kinds), golden.flips(decision, bands)
    within = f"answers within {difference:.2g} (allowed {golden.tolerance:.2g})"
    seen = f"{golden.frames} golden frames, {within}, {flips} flips"
    if flips or difference > golden.tolerance:
        engine = f"{session.get_providers()[0]} of onnxruntime {onnxruntime.__version__}"
        raise BadModel(
            f"self-test failed: {seen}; {engine} does not compute what was validated: use CPUExecutionProvider"
        )
    if (bands.decisions(severity) != decision).any():
        raise BadModel("self-test failed: the decisions contradict the bands in the card; export it again")
    return seen


def named(model: Model) -> str:
    """How messages call this model."""
    return f"model of {len(model)} bytes" if isinstance(model, bytes) else os.fspath(model)


def load_card(model: Model) -> ModelCard:
    """The card of a model file, after its seal was checked. Raises BadModel naming the file."""
    try:
        data = read_model(model)
        seal.check(data)
        return read_card(open_session(data, optimise=False))
    except BadModel as error:
        raise BadModel(f"{named(model)}: {error}") from error


def _check_size(size: int) -> None:
    if not 0 < size < MAX_BYTES:
        found = "an empty file" if size == 0 else f"{size / 1024**3:.1f} GiB"
        raise BadModel(
            f"expected a model file below 2 GiB, found {found}; copy it again from where it was exported"
        )


def _options(threads: int, optimise: bool) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = FATAL
    # Spinning burns a core while the line waits for the next part.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimise else level.ORT_DISABLE_ALL
    return options
