"""Takes out of the prints what all pictures share - the product's drawing, the station's light - so that the part remains.

Parts of one product under one camera look alike: their pictures match each other well, whichever part they show. What
tells parts apart is what is left when the shared picture and its few commonest variations are subtracted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visiontune.data.audit.fingerprint import LEVELS, Float, spectrum, whitened, without_lines
from visiontune.data.audit.look import Looks

SAMPLE = 400  # pictures that the template is made of
ROUNDS = 3  # of aligning to the mean and taking the mean anew
SHARED = 0.4  # share of the texture that a template must explain to be one: .7 for parts in a fixture, .1 for loose tiles
COMPONENTS = 4  # commonest variations that are subtracted with the template
PICTURES_EACH = 40  # pictures there must be for each of them
BLOCK = 256
SIGMAS = 5.0  # deviations that the stored int8 reach


@dataclass(frozen=True, slots=True)
class Template:
    """The shared texture (c, c), unit vectors (k, c * c) of its variations, and the share of all texture it explains."""

    mean: Float
    components: Float
    share: float
    reach: int  # pixels by which a picture may be shifted against it


def reach(canvas: int) -> int:
    """Pixels by which two pictures of one part may be shifted against each other: a twelfth of the canvas."""
    return canvas // 12


def peculiar(looks: Looks) -> tuple[Template | None, NDArray[np.float32]]:
    """Replaces `looks.prints` by what is peculiar to each picture, whitened; gives the template, None where there is none.

    The second is float32 (n, k): for each picture a short unit vector by which candidates for a match are found, the shrunk
    print where a template aligns them all, else the spectrum, which no shift changes.
    """
    template = _template(looks)
    keys = []
    for start in range(0, len(looks.prints), BLOCK):
        rows = slice(start, start + BLOCK)
        texture = looks.prints[rows].astype(np.float32) / np.float32(LEVELS)
        rest = _unlined(texture, looks.extents[rows]) if template is None else _rest(texture, template)
        white, transform = whitened(rest)
        deviation = np.maximum(white.std((1, 2), keepdims=True), 1e-6)
        looks.prints[rows] = np.rint(white * (127 / SIGMAS) / deviation).clip(-127, 127)
        keys.append(spectrum(transform) if template is None else _shrunk(white))
    found = np.concatenate(keys) if keys else np.zeros((0, 1), np.float32)
    return template, _unit(found, known=looks.extents[:, 0] > 0)


def _template(looks: Looks) -> Template | None:
    known = np.flatnonzero(looks.extents[:, 0])
    if len(known) < 2:
        return None
    chosen = known[np.linspace(0, len(known) - 1, min(SAMPLE, len(known))).astype(int)]
    texture = looks.prints[chosen].astype(np.float32) / np.float32(LEVELS)
    most = reach(texture.shape[1])
    mean: Float = np.asarray(texture.mean(0), np.float32)
    aligned = texture
    for _ in range(ROUNDS):
        aligned = shifted(texture, shifts(texture, mean, most))
        mean = np.asarray(aligned.mean(0), np.float32)
    share = float((mean**2).sum() / max(1e-6, (aligned**2).sum((1, 2)).mean()))
    if share < SHARED:
        return None
    rest = (aligned - mean).reshape(len(aligned), -1)
    moved = _moved(mean)
    rest -= (rest @ moved.T) @ moved
    return Template(mean, np.concatenate((moved, _components(rest, len(known)))), share, most)


def _moved(mean: Float) -> Float:
    """How the template changes where a part lies a fraction of a pixel off, a little turned, nearer or out of focus.

    Unit vectors (k, c * c) at right angles: the template itself (its contrast), its first and second derivatives, and its change
    under rotation and scaling (tangent vectors: Simard, LeCun, Denker 1993).
    """
    down, right = np.gradient(mean)
    half = len(mean) / 2
    y, x = np.mgrid[: len(mean), : len(mean)].astype(np.float32) - np.float32(half)
    second = [part for first in (down, right) for part in np.gradient(first)]
    changes = [mean, down, right, x * down - y * right, y * down + x * right, *second[:2], second[3]]
    flat = np.stack([change.ravel() for change in changes]).astype(np.float64)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    return np.ascontiguousarray(np.linalg.qr(flat.T)[0].T, dtype=np.float32)


def _components(rest: Float, pictures: int) -> Float:
    """The strongest variations of (n, c * c), by the eigenvectors of their products with one another."""
    values, vectors = np.linalg.eigh(rest @ rest.T)
    count = min(COMPONENTS, pictures // PICTURES_EACH)
    strongest = vectors[:, ::-1][:, :count].T / np.sqrt(np.maximum(values[::-1][:count], 1e-6))[:, None]
    found: Float = (strongest @ rest).astype(np.float32)
    return found


def _rest(texture: Float, template: Template) -> Float:
    aligned = shifted(texture, shifts(texture, template.mean, template.reach)) - template.mean
    flat: Float = aligned.reshape(len(aligned), -1)
    flat -= (flat @ template.components.T) @ template.components
    flat[~texture.any((1, 2))] = 0
    rest: Float = flat.reshape(texture.shape)
    return rest


def _unlined(texture: Float, extents: NDArray[np.int16]) -> Float:
    """Without lines, shape by shape: the canvas around a texture is no part of it."""
    rest = np.zeros_like(texture)
    for height, width in np.unique(extents, axis=0):
        if height:
            where = np.flatnonzero((extents == (height, width)).all(1))
            rest[where, :height, :width] = without_lines(texture[where, :height, :width])
    return rest


def shifts(texture: Float, mean: Float, most: int) -> NDArray[np.intp]:
    """By how many pixels (down, right) each texture (n, c, c) lies off `mean` (c, c), at most `most`, intp (n, 2)."""
    found = []
    wanted = np.conj(np.fft.rfft2(mean))
    for start in range(0, len(texture), BLOCK):
        product = np.fft.rfft2(texture[start : start + BLOCK]) * wanted
        correlation = np.fft.irfft2(product, s=mean.shape).astype(np.float32)
        best = peaks(correlation, most).argmax(1)
        found.append(np.stack(np.divmod(best, 2 * most + 1), axis=1) - most)
    return np.concatenate(found)


def peaks(correlation: Float, most: int) -> Float:
    """Of circular correlations (n, c, c) the values at shifts of -most .. most, flat (n, (2 * most + 1) ** 2)."""
    places = np.arange(-most, most + 1)
    return correlation[:, places[:, None], places[None, :]].reshape(len(correlation), -1)


def shifted(texture: Float, by: NDArray[np.intp]) -> Float:
    """Each texture moved back by its shift; what leaves the canvas comes in on the other side, where nothing is."""
    moved = [np.roll(one, (-down, -right), (0, 1)) for one, (down, right) in zip(texture, by, strict=True)]
    return np.stack(moved)


def _shrunk(white: Float, by: int = 4) -> Float:
    n, side = white.shape[:2]
    kept = side // by
    cut = white[:, : kept * by, : kept * by]
    small: Float = cut.reshape(n, kept, by, kept, by).mean((2, 4)).reshape(n, -1)
    return small


def _unit(keys: Float, known: NDArray[np.bool_]) -> Float:
    """Rows less their mean, of length 1; 0 where nothing is known of the picture."""
    if known.any():
        keys = keys - keys[known].mean(0)
    keys[~known] = 0
    lengths = np.linalg.norm(keys, axis=1, keepdims=True)
    unit: Float = (keys / np.maximum(lengths, 1e-9)).astype(np.float32)
    return unit
