"""Findings on labels that the pictures themselves contradict: confident learning on frozen features, out of fold by part.

Northcutt, Jiang, Chuang, "Confident Learning" (2021): a picture labelled i is suspect where some other class j gets at least
the probability that pictures labelled j get on average. Where a classifier errs it often does so with confidence, so a second
opinion is asked for: the nearest pictures of other parts must say j too. Needs scikit-learn, of the train extra.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from visiontune.data.audit.evidence import Evidence
from visiontune.data.audit.finding import Finding, LeftOut
from visiontune.data.audit.nearest import ranked_neighbours

FOLDS = 5
FEWEST_PARTS = 10  # of a class: with fewer, out of fold means untaught
MOST = 20_000  # pictures; of more, the first by a seeded draw
COMPONENTS = 64  # that the features are brought down to
GAIN = 0.5  # of the way from chance to certainty that the features must go before they may doubt a label
BELIEVED = 0.3  # share of its class's usual probability above which a label is not doubted
BACKED = 0.1  # share of its neighbours with the same label, above which neither
AGREED = 0.5  # share of the neighbours that must bear the other label
NEIGHBOURS, LOOKED = 10, 60  # of other parts; of all parts, among which those are sought
WHAT = "labels that the pictures contradict"

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


def findings(evidence: Evidence) -> Iterator[Finding | LeftOut]:
    """One finding with the suspects, the most suspicious first; a LeftOut where the features cannot judge."""
    try:
        import sklearn  # noqa: F401
    except ImportError:
        yield LeftOut(WHAT, 'needs scikit-learn; pip install "visiontune[train]"')
        return
    features = evidence.looks.descriptions if evidence.embedding is None else evidence.embedding
    kept, y, names = _chosen(evidence)
    if features is None or len(names) < 2:
        yield LeftOut(WHAT, f"needs two classes with {FEWEST_PARTS} parts each")
        return
    x = features[kept].astype(np.float64)
    parts = np.array([evidence.parts[i] for i in kept], np.intp)
    believed = out_of_fold(x, y, parts)
    accuracy = float(np.mean([(believed[y == c].argmax(1) == c).mean() for c in range(len(names))]))
    gain = (accuracy - 1 / len(names)) / (1 - 1 / len(names))
    kind = "plain features" if evidence.embedding is None else "the embedding"
    if gain < GAIN:
        yield LeftOut(
            WHAT,
            f"too few classes are told apart by {kind} to doubt a label (balanced accuracy {accuracy:.0%} of "
            f"{len(names)} classes); name a {'' if evidence.embedding is None else 'stronger '}network with --embed",
        )
        return
    votes = neighbours_say(x, y, parts)
    rows, other = suspects(believed, votes, y)
    if not len(rows):
        return
    pairs = Counter(f"{names[y[r]]} looks like {names[o]}" for r, o in zip(rows, other, strict=True))
    places = [kept[r] for r in rows]
    yield Finding(
        code="label-suspects",
        harm="check",
        title=f"labels that the picture contradicts: {len(rows)} of {len(kept)} ({_few(pairs)})",
        count=len(rows),
        files=evidence.ids(places),
        numbers={
            "features": kind,
            "balanced_accuracy": accuracy,
            "pictures": len(kept),
            "pairs": dict(pairs.most_common()),
        },
        details={
            evidence.samples[kept[r]].id: f"labelled {names[y[r]]} ({believed[r, y[r]]:.3f}), "
            f"looks like {names[o]} ({believed[r, o]:.3f})"
            for r, o in zip(rows, other, strict=True)
        },
        advice="look at them from the top: wrong labels, or defects that are hard to see; correct, do not delete",
    )


def _chosen(evidence: Evidence) -> tuple[list[int], Ints, list[str]]:
    """The pictures judged, their classes as numbers, and the names: classes with enough parts."""
    parts: dict[str, set[int]] = {}
    for i in evidence.readable:
        label = evidence.samples[i].label
        if label is not None:
            parts.setdefault(label, set()).add(evidence.parts[i])
    names = [name for name in evidence.dataset.classes if len(parts.get(name, ())) >= FEWEST_PARTS]
    kept = [i for i in evidence.readable if evidence.samples[i].label in names]
    if len(kept) > MOST:
        kept = sorted(np.random.default_rng(0).choice(kept, MOST, replace=False).tolist())
    number = {name: c for c, name in enumerate(names)}
    return kept, np.array([number[str(evidence.samples[i].label)] for i in kept], np.intp), names


def out_of_fold(x: Floats, y: Ints, parts: Ints) -> Floats:
    """Probabilities float64 (n, classes) of each picture by a model that saw no picture of its part."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    believed = np.zeros((len(y), int(y.max()) + 1))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for learned, judged in folds.split(x, y, parts):
        size = min(COMPONENTS, x.shape[1], len(learned) // 4)
        model = make_pipeline(
            StandardScaler(),
            PCA(size, random_state=0),
            StandardScaler(),
            LogisticRegression(C=0.3, class_weight="balanced", max_iter=500),
        )
        model.fit(x[learned], y[learned])
        believed[np.ix_(judged, model[-1].classes_)] = model.predict_proba(x[judged])
    return believed


def neighbours_say(x: Floats, y: Ints, parts: Ints) -> Floats:
    """The share of each label among the nearest pictures of other parts, float64 (n, classes)."""
    scaled = (x - x.mean(0)) / np.maximum(x.std(0), 1e-9)
    _, axes = np.linalg.eigh(scaled.T @ scaled)
    keys = (scaled @ axes[:, ::-1][:, :COMPONENTS]).astype(np.float32)
    keys /= np.maximum(np.linalg.norm(keys, axis=1, keepdims=True), 1e-9)
    near = ranked_neighbours(keys, np.arange(min(LOOKED, len(y) - 2)))
    other = parts[near] != parts[:, None]
    counted = other & (other.cumsum(1) <= NEIGHBOURS)
    classes = int(y.max()) + 1
    says = np.stack([(counted & (y[near] == c)).sum(1) for c in range(classes)], axis=1)
    shares: Floats = says / np.maximum(counted.sum(1, keepdims=True), 1)
    return shares


def suspects(believed: Floats, votes: Floats, y: Ints) -> tuple[Ints, Ints]:
    """The rows whose label is contradicted, the most suspicious first, and the class each looks like."""
    rows = np.arange(len(y))
    usual = np.array([believed[y == c, c].mean() for c in range(believed.shape[1])])  # the thresholds t_j
    own = believed[rows, y]
    other = np.where(believed >= usual, believed, -1)
    other[rows, y] = -1
    best = other.argmax(1)
    doubted = (other.max(1) >= 0) & (own <= BELIEVED * usual[y])
    doubted &= (votes[rows, y] <= BACKED) & (votes[rows, best] >= AGREED)
    found = np.flatnonzero(doubted)
    found = found[np.argsort(own[found] - other.max(1)[found], kind="stable")]
    return found, best[found]


def _few(pairs: Counter[str]) -> str:
    said = ", ".join(f"{pair} {n}" for pair, n in pairs.most_common(3))
    return said + (", ..." if len(pairs) > 3 else "")
