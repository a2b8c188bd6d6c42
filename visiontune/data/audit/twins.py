"""Finds the pictures that show the same part: links between two pictures, each beyond what chance would bring about."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from visiontune.data.audit.fingerprint import Float
from visiontune.data.audit.hashes import hamming, pairs_within
from visiontune.data.audit.look import Looks
from visiontune.data.audit.match import Matcher
from visiontune.data.audit.nearest import ranked_neighbours
from visiontune.data.audit.template import peculiar

FEWEST = 24  # pictures below which chance cannot be measured
CANDIDATES = 12  # nearest pictures that are compared
EMBEDDED = 8  # the same by the embedding
STRANGERS = 12  # pictures that look alike and are taken for other parts
NEAREST_STRANGER, FARTHEST_STRANGER = (
    30,
    90,
)  # their ranks: a part with more pictures than 30 hides among its own
FALSE_LINKS = 0.05  # expected in the whole set
LEAST = 0.1  # correlation below which nothing is a link
HASH_BITS = 5  # in which the hashes of near copies may differ
HOPELESS = 0.6  # correlation needed, from which exposures of one part would hardly be found
CROWD = 20  # hash pairs per picture beyond which the hash tells nothing
Q16 = 0.93  # the 16 % quantile of a Gumbel variable lies this many scales below the median of twelve
ALIKE = (
    20.0  # scales that a link needs at least where a template was subtracted: what is left of it is no chance
)
# Exposures of one part lie far above chance and little lies between. Where the loose parts of several products or kinds are
# mixed, their likeness fills that valley: a link would then mean no more than the same kind.
VALLEY, FILLED = (0.75, 1.33), 0.25  # its bounds in units of what a link needs; its pairs for one pair above
BEYOND_DOUBT = 0.9  # correlation of a link all the same
COPY_BITS, COPY_MATCH, COPY_LEVELS = 4, 0.7, 4.0  # of a near copy: hash, correlation, brightness and contrast


@dataclass(frozen=True, slots=True)
class Links:
    """Pairs of pictures that show the same part.

    pairs     intp (m, 2), i < j, sorted.
    strength  float32 (m,), their correlation.
    copies    bool (m,), whether they are practically the same picture.
    needed    the correlation that a link needed, median over the pictures; None where nothing was compared.
    blind     why exposures of one part could not be told from parts that look alike, None where they could.
    shared    share of texture that all pictures have in common; 0 where they have no common template.
    """

    pairs: NDArray[np.intp]
    strength: Float
    copies: NDArray[np.bool_]
    needed: float | None
    shared: float
    blind: str | None = None


def link(looks: Looks, embedding: Float | None = None) -> Links:
    """All links among the pictures. Spends `looks.prints`: they are replaced by what is peculiar to each picture.

    Candidates come from the prints' spectra, from the difference hashes and, where there is one, from the embedding
    float32 (n, k); what decides is always the correlation of the prints. It is measured against strangers: pictures that look
    alike and show other parts, whose correlation follows a Gumbel law (the largest over many shifts). Location by picture,
    scale over all. A link lies so far out that in the whole set FALSE_LINKS are expected by chance.
    """
    n = len(looks.facts)
    if n < FEWEST:
        why = f"fewer than {FEWEST} pictures: likeness by chance cannot be measured"
        return Links(np.zeros((0, 2), np.intp), np.zeros(0, np.float32), np.zeros(0, bool), None, 0.0, why)
    template, keys = peculiar(looks)
    match = Matcher(looks.prints)
    near, strangers = _neighbours(keys)
    needed = _needed(match(_each(strangers)).reshape(strangers.shape), 0.0 if template is None else ALIKE)
    found = [_paired(near)]
    hashed = pairs_within(looks.hashes, HASH_BITS)
    if len(hashed) <= CROWD * n:
        found.append(hashed)
    if embedding is not None:
        found.append(_paired(ranked_neighbours(_centred(embedding), np.arange(min(EMBEDDED, n - 2)))))
    pairs = np.unique(np.concatenate(found), axis=0)
    pairs = pairs[(looks.extents[pairs, 0] > 0).all(1)]
    strength = match(pairs)
    wanted = np.maximum(needed[pairs].max(1), LEAST)
    blind = _blind(strength / wanted, float(np.median(wanted)) if len(wanted) else 0.0, template is not None)
    if blind:
        wanted = np.maximum(wanted, BEYOND_DOUBT)
    linked = strength >= wanted
    pairs, strength = pairs[linked], strength[linked]
    shared = template.share if template else 0.0
    return Links(pairs, strength, _copies(looks, pairs, strength), float(np.median(needed)), shared, blind)


def _blind(ratio: Float, wanted: float, templated: bool) -> str | None:
    """Why links would not mean exposures of one part. `ratio`: the correlation of each candidate to what a link wants."""
    if wanted > HOPELESS:
        return "pictures of different parts look too much alike here; only copies were looked for"
    low, high = VALLEY
    between, above = int(((ratio >= low) & (ratio < high)).sum()), int((ratio >= high).sum())
    if not templated and between >= FEWEST / 2 and between > FILLED * above:
        return "parts of one kind look alike to every degree (several products in one set?); only copies were looked for"
    return None


def _neighbours(keys: Float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The candidates of each picture and its strangers, intp (n, CANDIDATES) and (n, STRANGERS)."""
    n = len(keys)
    low, high = min(NEAREST_STRANGER, n // 4), min(FARTHEST_STRANGER, 3 * n // 4)
    ranks = np.concatenate((np.arange(min(CANDIDATES, n - 2)), np.linspace(low, high, STRANGERS).astype(int)))
    found = ranked_neighbours(keys, ranks)
    return found[:, :-STRANGERS], found[:, -STRANGERS:]


def _needed(chance: Float, least: float) -> Float:
    """The correlation that each picture needs for a link, float32 (n,), by those with its strangers (n, STRANGERS).

    `least` is the smallest number of scales above their median. The scale is that of the lower side, where no part can be
    that is no stranger, or of the upper tail where that is heavier.
    """
    n = len(chance)
    median = np.median(chance, axis=1)
    off = chance - median[:, None]
    low, high, far = np.quantile(off, (0.16, 0.9, 0.99))
    scale = max(-low / Q16, (far - high) / log(10))
    found: Float = (median + scale * max(least, log(n * n / (2 * FALSE_LINKS)) - 0.37)).astype(np.float32)
    return found


def _each(neighbours: NDArray[np.intp]) -> NDArray[np.intp]:
    """Pairs of each row's number with its entries."""
    n, each = neighbours.shape
    return np.stack((np.repeat(np.arange(n), each), neighbours.ravel()), axis=1)


def _paired(neighbours: NDArray[np.intp]) -> NDArray[np.intp]:
    """The same with i < j."""
    return np.sort(_each(neighbours), axis=1)


def _centred(embedding: Float) -> Float:
    unit = embedding - embedding.mean(0)
    found: Float = unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-9)
    return found


def _copies(looks: Looks, pairs: NDArray[np.intp], strength: Float) -> NDArray[np.bool_]:
    """Whether linked pictures are practically one: hash, fine texture, brightness and contrast agree."""
    if not len(pairs):
        return np.zeros(0, bool)
    light = np.array([(facts.brightness, facts.contrast) for facts in looks.facts])
    first, second = pairs.T
    same_light = (np.abs(light[first] - light[second]) <= COPY_LEVELS).all(1)
    same_shape = hamming(looks.hashes[first], looks.hashes[second]) <= COPY_BITS
    found: NDArray[np.bool_] = (strength >= COPY_MATCH) & same_light & same_shape
    return found
