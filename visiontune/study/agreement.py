"""What an attribute study says: how well each appraiser finds the defects, agrees with himself, with the others, with the truth.

Follows AIAG, Measurement Systems Analysis, 4th edition, with what its table leaves out: bounds, because kappa alone hides how few
parts it rests on and mixes the two errors, of which one costs a customer and the other a part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.rate import Rate, exact_rate
from visiontune.study import clustered, grades
from visiontune.study.kappa import Kappa, Ratings, cohen, fleiss
from visiontune.study.reimaged import Flips

MODEL = "model"  # its name beside the people
PASSED, HELD = 0, 1  # how verdicts are counted here


@dataclass(frozen=True)
class Appraiser:
    """One appraiser, or the model, against the reference and himself.

    effectiveness  parts judged rightly in every trial, of all parts; Clopper-Pearson bounds
    misses         trials on defective parts that were passed; bounds count parts, not trials (see `clustered`)
    false_alarms   trials on good parts that were held
    within         parts judged alike in every trial; None with one trial
    repeats        Fleiss' kappa over his trials; None with one trial
    against        Cohen's kappa with the reference
    kinds          trials that rightly held a defective part and named a kind: those that named the right one; None without
    grades         by AIAG's table: effectiveness, misses, false_alarms, and overall the worst of them
    """

    name: str
    trials: int
    effectiveness: Rate
    misses: Rate
    false_alarms: Rate
    within: Rate | None
    repeats: Kappa | None
    against: Kappa
    kinds: Rate | None
    grades: Mapping[str, str | None]


@dataclass(frozen=True)
class Agreement:
    """A whole study. Rates hold for parts like these, of which a third were chosen because they are hard.

    between    parts on which all people agree in all trials; None with one person
    all_right  parts that all people judged rightly in all trials
    everyone   Fleiss' kappa over all trials of all people; None with one rating
    naming     the same over what was named too: pass, each kind, and held without a name; None where no kinds are asked for
    pairs      (first, second, Cohen's kappa), the model among them
    model      the model as one more appraiser with one trial; review counts as held, `reviews` says how often
    flips      the model's verdicts over pictures of one part; None where no part has two
    """

    parts: int
    good: int
    defective: int
    trials: int
    confidence: float
    appraisers: tuple[Appraiser, ...]
    between: Rate | None
    all_right: Rate
    everyone: Kappa | None
    naming: Kappa | None
    pairs: tuple[tuple[str, str, Kappa], ...]
    model: Appraiser | None = None
    reviews: int = 0
    flips: Flips | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


@dataclass(frozen=True)
class Ruling:
    """What one appraiser said: `held` int64 (parts, trials) of PASSED or HELD, and the kinds named, "" where none was."""

    held: Ratings
    kinds: NDArray[np.str_] | None = None


def analyse(
    truth: Sequence[bool],
    people: Mapping[str, Ruling],
    *,
    model: Ruling | None = None,
    reviews: int = 0,
    kinds: Sequence[str] | None = None,
    flips: Flips | None = None,
    confidence: float = 0.95,
) -> Agreement:
    """Analyses a study.

    truth   whether each part is defective, by the reference
    people  by name; all with the same parts and trials
    model   its ruling, one trial, on one picture of each part
    kinds   the reference's kind of each part, to see whether the right defect was named; None where there is but one

    Raises ValueError where shapes do not fit, where nobody is there, or where the parts are all good or all defective.
    """
    bad = np.asarray(truth, bool)
    _check(bad, people, model)
    named = None if kinds is None else np.asarray(kinds, np.str_)
    stacked = np.concatenate([ruling.held for ruling in people.values()], axis=1)
    right = stacked == bad[:, np.newaxis]
    trials = next(iter(people.values())).held.shape[1]
    return Agreement(
        parts=len(bad),
        good=int((~bad).sum()),
        defective=int(bad.sum()),
        trials=trials,
        confidence=confidence,
        appraisers=tuple(_appraiser(name, ruling, bad, named, confidence) for name, ruling in people.items()),
        between=_share((stacked == stacked[:, :1]).all(axis=1), confidence) if len(people) > 1 else None,
        all_right=_share(right.all(axis=1), confidence),
        everyone=fleiss(stacked, 2, confidence=confidence) if stacked.shape[1] > 1 else None,
        naming=_naming(people, stacked, confidence),
        pairs=_pairs(people, model, trials, confidence),
        model=None if model is None else _appraiser(MODEL, model, bad, named, confidence),
        reviews=reviews,
        flips=flips,
    )


def _appraiser(
    name: str, ruling: Ruling, bad: NDArray[np.bool_], kinds: NDArray[np.str_] | None, confidence: float
) -> Appraiser:
    held, trials = ruling.held, ruling.held.shape[1]
    truth = np.repeat(bad.astype(np.int64)[:, np.newaxis], trials, axis=1)
    effectiveness = _share((held == truth).all(axis=1), confidence)
    misses = clustered.rate((held[bad] == PASSED).sum(axis=1), trials, confidence)
    alarms = clustered.rate((held[~bad] == HELD).sum(axis=1), trials, confidence)
    graded = {
        "effectiveness": grades.effectiveness(effectiveness.rate),
        "misses": grades.misses(misses.rate),
        "false_alarms": grades.false_alarms(alarms.rate),
    }
    several = trials > 1
    return Appraiser(
        name=name,
        trials=trials,
        effectiveness=effectiveness,
        misses=misses,
        false_alarms=alarms,
        within=_share((held == held[:, :1]).all(axis=1), confidence) if several else None,
        repeats=fleiss(held, 2, confidence=confidence) if several else None,
        against=cohen(held, truth, 2, confidence=confidence),
        kinds=_kinds(ruling, bad, kinds, confidence),
        grades={**graded, "overall": grades.worst(list(graded.values()))},
    )


def _kinds(
    ruling: Ruling, bad: NDArray[np.bool_], kinds: NDArray[np.str_] | None, confidence: float
) -> Rate | None:
    """Of the parts that were rightly held and named in some trial, those named rightly whenever they were named."""
    if kinds is None or ruling.kinds is None:
        return None
    said = np.asarray(ruling.kinds, np.str_)
    told = np.asarray(np.not_equal(said, ""), np.bool_)
    named: NDArray[np.bool_] = (ruling.held == HELD) & told & bad[:, np.newaxis]
    if not named.any():
        return None
    right = np.asarray(np.where(named, np.equal(said, kinds[:, np.newaxis]), True).all(axis=1), np.bool_)
    return _share(right[named.any(axis=1)], confidence)


def _naming(people: Mapping[str, Ruling], stacked: Ratings, confidence: float) -> Kappa | None:
    """Fleiss' kappa where pass, every kind and held without a name are categories of their own."""
    named = [ruling.kinds for ruling in people.values() if ruling.kinds is not None]
    if len(named) < len(people) or stacked.shape[1] < 2:
        return None
    said = np.where(stacked == HELD, np.char.add("held ", np.concatenate(named, axis=1)), "pass")
    categories, codes = np.unique(said, return_inverse=True)
    return fleiss(codes.reshape(said.shape).astype(np.int64), len(categories), confidence=confidence)


def _pairs(
    people: Mapping[str, Ruling], model: Ruling | None, trials: int, confidence: float
) -> tuple[tuple[str, str, Kappa], ...]:
    rulings = {name: ruling.held for name, ruling in people.items()}
    if model is not None:
        rulings[MODEL] = np.repeat(model.held, trials, axis=1)
    return tuple(
        (one, other, cohen(rulings[one], rulings[other], 2, confidence=confidence))
        for one, other in combinations(rulings, 2)
    )


def _share(hits: NDArray[np.bool_], confidence: float) -> Rate:
    return exact_rate(int(hits.sum()), len(hits), confidence)


def _check(bad: NDArray[np.bool_], people: Mapping[str, Ruling], model: Ruling | None) -> None:
    shapes = {ruling.held.shape for ruling in people.values()}
    if len(shapes) != 1 or next(iter(shapes))[0] != len(bad):
        raise ValueError(f"expected rulings on {len(bad)} parts, found shapes {sorted(shapes)}")
    if model is not None and model.held.shape != (len(bad), 1):
        raise ValueError(f"expected the model's ruling as ({len(bad)}, 1), found {model.held.shape}")
    if bad.all() or not bad.any():
        raise ValueError("expected good and defective parts, found only one of them")
