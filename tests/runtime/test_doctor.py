"""The doctor against engines with one known fault each: it must name that fault, and clear the sound one."""

from dataclasses import replace

import numpy as np
import pytest

from tests.line_models import a_card, line_model, resealed
from visiontune import BadModel, Bands
from visiontune.runtime.card import InputSpec
from visiontune.runtime.doctor import examine
from visiontune.runtime.engine import WORDS, Engine, painted, unresized
from visiontune.runtime.faults import to_bf16, to_fp16
from visiontune.runtime.faults import with_weights as rounded
from visiontune.runtime.model import load_card, open_session
from visiontune.runtime.wire import with_attribute

CARD = a_card(
    input=InputSpec(size=(32, 32), roi=(0.1, 0.0, 1.0, 0.9), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4)),
    bands=Bands(0.98, 0.999),
)
DATA = line_model(CARD)
BATCHES = painted(CARD, 3)


def cpu(data):
    session = open_session(data)
    return lambda frames: session.run(list(WORDS), {"frames": frames})


def without(*attributes):
    data = DATA
    for attribute in attributes:
        data = with_attribute(data, "Resize", attribute, 0)
    return cpu(data)


def turned(run):
    return lambda frames: run(np.ascontiguousarray(frames[..., ::-1]))


def examined(run, precise=None, data=DATA, batches=BATCHES):
    return examine(data, Engine(name="mine", about="a test", run=run, precise=precise), batches)


def names(diagnosis):
    return [cause.name for cause in diagnosis.causes]


ALIASED = without("exclude_outside", "antialias")
BF16 = cpu(rounded(DATA, to_bf16))


def test_a_sound_engine_is_equivalent():
    found = examined(cpu(DATA))
    assert found.equivalent and (found.frames, found.flips, found.difference) == (15, 0, 0)
    assert found.causes == () and found.failure is None


@pytest.mark.parametrize(
    ("run", "fault"),
    [
        (ALIASED, ["antialias"]),
        (without("exclude_outside"), ["border"]),
        (turned(cpu(DATA)), ["channels"]),
        (turned(ALIASED), ["antialias", "channels"]),
        (BF16, ["bf16"]),
        (cpu(rounded(DATA, to_fp16)), ["fp16"]),
    ],
)
def test_the_fault_is_named(run, fault):
    found = examined(run)
    assert not found.equivalent and names(found) == fault
    if fault[-1] not in ("bf16", "fp16"):
        assert found.rest < 1e-6
    assert found.as_dict()["equivalent"] is False


def test_a_resize_that_rounds_otherwise_is_told_from_arithmetic():
    """Pixels off by one level, except where there is nothing to resize."""

    def off_by_one(frames):
        noise = (
            np.random.default_rng(0).integers(-1, 2, frames.shape) if frames.shape[1:3] not in still else 0
        )
        return cpu(DATA)(np.clip(frames + noise, 0, 255).astype(np.uint8))

    still = {frames.shape[1:3] for frames in unresized(CARD)}
    assert still
    assert names(examined(off_by_one)) == ["resize"]


def test_an_engine_that_can_compute_precisely_is_asked_to():
    found = examined(BF16, precise=cpu(DATA))
    assert names(found) == ["precision"] and found.rest == 0
    both = line_model(CARD)
    aliased = with_attribute(with_attribute(both, "Resize", "exclude_outside", 0), "Resize", "antialias", 0)
    found = examined(cpu(rounded(aliased, to_bf16)), precise=cpu(aliased))
    assert names(found) == ["antialias", "precision"] and found.rest < 1e-6


def test_changed_decisions_are_counted():
    def timid(frames):
        severity, kinds, decision = cpu(DATA)(frames)
        return severity, kinds, np.where(decision == 0, 1, decision)

    severity, _, decision = (np.concatenate(word) for word in zip(*map(cpu(DATA), BATCHES), strict=True))
    assert 0 < (decision == 0).sum() < len(severity)
    found = examined(timid)
    assert found.flips == (decision == 0).sum() and found.difference == 0 and not found.equivalent


def test_a_fault_that_none_of_the_theories_explains():
    def odd(frames):
        severity, kinds, decision = cpu(DATA)(frames)
        return severity, np.roll(kinds, 1, axis=1), decision

    found = examined(odd)
    assert found.causes == () and not found.equivalent and found.rest == found.difference > 0.1


def test_probabilities_near_one_hide_nothing():
    """A model so sure of itself that no probability moves, though its logits do."""
    data = line_model(replace(CARD, temperature=0.03))
    aliased = with_attribute(with_attribute(data, "Resize", "exclude_outside", 0), "Resize", "antialias", 0)
    found = examined(cpu(aliased), data=data)
    assert found.difference < 1e-8 and found.flips == 0
    assert not found.equivalent and names(found) == ["antialias"]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (lambda n: (np.full(n, np.nan), np.zeros((n, 3)), np.zeros(n, int)), "NaN"),
        (lambda n: (np.zeros(n), np.zeros((n, 2)), np.zeros(n, int)), "shapes"),
    ],
)
def test_nonsense_is_a_failure(answers, said):
    found = examined(lambda frames: answers(len(frames)))
    assert found.difference is None and said in found.failure and not found.equivalent


def test_an_engine_that_breaks_down_is_a_failure():
    def broken(frames):
        raise RuntimeError("no such\nkernel")

    found = examined(broken)
    assert found.failure == "no such kernel" and not found.equivalent


def test_there_must_be_something_to_compare_with():
    """The reference has to answer as at export, the probes of odd sizes too."""
    golden = load_card(DATA).golden
    other = replace(golden, severity=tuple(value / 2 for value in golden.severity))
    for change in ({"golden": other}, {"probes": (golden, other)}):
        with pytest.raises(BadModel, match="self-test failed"):
            examined(cpu(DATA), data=resealed(DATA, replace(load_card(DATA), **change).to_json()))
    with pytest.raises(BadModel, match="sha256"):
        examined(cpu(DATA), data=DATA.replace(b"tiny", b"tony"))


@pytest.mark.parametrize("value", [1.0, 1.00390625, 1.001, -3.14159, 65504.0, 1e-30, 0.0])
def test_rounding_to_eight_bits(value):
    number = np.float32([value])
    (near,) = to_bf16(number)
    assert near.view(np.uint32) & 0xFFFF == 0
    assert abs(float(near) - value) <= abs(value) * 2**-8
