r"""Mutual information of two class images for all translations at once, for one rotation after the other.

For classes :math:`i, j` the joint histogram at translation :math:`t` is a cross-correlation of two indicator images,
:math:`n_{ij}(t) = \sum_x [A(x + t) = i]\,[B(x) = j]`, so that Fourier transforms give it for all translations
(Ofverstedt, Lindblad and Sladoje 2022, doi:10.1016/j.patrec.2022.05.022). The mutual information follows from the
counts over the overlap alone, whatever its shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ...core.linear import apply_matrix
from .bounds import Bounds
from .lattice import Lattice, classes_of

__all__ = ["Peak", "best_translations"]

_CLASSES = 5
_PEAKS = 3
_PEAK_RADIUS = 2


@dataclass(frozen=True)
class Peak:
    """A translation at which mutual information peaks for one rotation.

    Parameters
    ----------
    score : float
        Mutual information times the square root of the overlap.
    sampled_to_other_lps : array, shape (4, 4)
        The pose, LPS, mm.
    """

    score: float
    sampled_to_other_lps: NDArray[np.float64]


def best_translations(
    sampled: Lattice,
    other: Lattice,
    rotations: NDArray[np.float64],
    *,
    smallest_overlap: float,
    overlap_power: float,
    threads: int,
    bounds: Bounds,
    on_fraction: Callable[[float], None],
) -> list[Peak]:
    """The best translations for each rotation.

    Parameters
    ----------
    sampled, other : Lattice
        With the same spacing; ``sampled``, the smaller one, is rotated.
    rotations : array, shape (N, 3, 3)
        Directions of the sampled volume to directions of the other, LPS.
    smallest_overlap : float
        Share of the smaller volume that must lie inside the other, 0 to 1.
    overlap_power : float
        Mutual information is weighted with this power of the overlap.
    threads : int
        Rotations done at a time; the result does not depend on it.
    bounds : Bounds
        Translations beyond are left out.
    on_fraction : callable
        Called with the share done; what it raises ends the search.

    Returns
    -------
    list of Peak
        In the order of the rotations.
    """
    table = _RotationTable(sampled, other, smallest_overlap, overlap_power, bounds)
    found: list[Peak] = []
    with ThreadPoolExecutor(threads) as pool:
        for number, peaks in enumerate(pool.map(table.peaks, rotations)):
            found.extend(peaks)
            on_fraction((number + 1) / len(rotations))
    return found


class _RotationTable:
    """What does not change from one rotation to the next."""

    def __init__(
        self, sampled: Lattice, other: Lattice, smallest_overlap: float, overlap_power: float, bounds: Bounds
    ) -> None:
        self.sampled, self.other, self.bounds = sampled, other, bounds
        self.overlap_power = overlap_power
        self.labels = classes_of(sampled, _CLASSES)
        other_labels = classes_of(other, _CLASSES)
        occupied = np.argwhere(self.labels >= 0)
        self.center = (occupied.min(axis=0) + occupied.max(axis=0)) / 2
        # The ball that holds the rotated volume for every rotation.
        self.radius = int(np.ceil(np.sqrt(((occupied - self.center) ** 2).sum(axis=1).max())))
        steps = np.arange(-self.radius, self.radius + 1)
        offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
        self.offsets = offsets[(offsets**2).sum(axis=1) <= (self.radius + 1) ** 2]
        # The centre of the rotated volume may lie up to half a radius outside; this padding keeps the wrap of the
        # transform away from all of those translations.
        self.margin = self.radius // 2
        reach = self.radius + self.margin + 1
        self.size = tuple(scipy.fft.next_fast_len(n + reach, real=True) for n in other_labels.shape)
        self.spectra = self._spectra(np.stack([other_labels == i for i in range(_CLASSES)]).astype(np.float32))
        self.smaller = min(len(occupied), int((other_labels >= 0).sum()))
        self.fewest = max(smallest_overlap * self.smaller, 1.0)
        # The nearest place may be taken by more of the rotated volume than there is of it, but by no more than all.
        counts = np.arange(len(self.offsets) + 1, dtype=np.float64)
        self.n_log_n = (counts * np.log(np.maximum(counts, 1))).astype(np.float32)
        self.allowed = self._allowed(other_labels.shape)
        self.allowed_index = np.flatnonzero(self.allowed)

    def _spectra(self, indicators: NDArray[np.float32]) -> NDArray[np.complex64]:
        return np.asarray(scipy.fft.rfftn(indicators, s=self.size, axes=(1, 2, 3)), dtype=np.complex64)

    def _allowed(self, other_shape: Sequence[int]) -> NDArray[np.bool_]:
        allowed = np.ones(self.size, dtype=bool)
        for axis, (n, padded) in enumerate(zip(other_shape, self.size, strict=True)):
            index = np.arange(padded)
            near = (index < n + self.margin) | (index >= padded - self.margin)
            shape = [1, 1, 1]
            shape[axis] = padded
            allowed &= near.reshape(shape)
        return allowed

    def peaks(self, rotation: NDArray[np.float64]) -> list[Peak]:
        rotated = np.conj(self._rotated(rotation))
        # One row of the joint histogram after the other: it stays in the cache, which halves the time.
        counts = np.empty((_CLASSES, _CLASSES, len(self.allowed_index)), dtype=np.float32)
        for row, spectrum in zip(counts, self.spectra, strict=True):
            everywhere = scipy.fft.irfftn(spectrum * rotated, s=self.size, axes=(1, 2, 3))
            everywhere.reshape(_CLASSES, -1).take(self.allowed_index, axis=1, out=row)
        overlap = counts.sum(axis=(0, 1))
        good = overlap >= self.fewest
        if np.isfinite(self.bounds.translation_mm):
            good &= self._within_bounds(rotation)
        scores = np.full(len(overlap), -np.inf, dtype=np.float32)
        scores[good] = self._score(counts[:, :, good])
        score = np.full(self.size, -np.inf, dtype=np.float32)
        score[self.allowed] = scores
        found = []
        for _ in range(_PEAKS):
            best = np.unravel_index(int(score.argmax()), self.size)
            if not np.isfinite(score[best]):
                break
            found.append(Peak(float(score[best]), self._pose(rotation, np.asarray(best))))
            around = np.ix_(
                *(np.arange(i - _PEAK_RADIUS, i + _PEAK_RADIUS + 1) % n for i, n in zip(best, self.size, strict=True))
            )
            score[around] = -np.inf
        return found

    def _within_bounds(self, rotation: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each allowed translation keeps the centre of the bounds within reach, to half a lattice step."""
        index = np.argwhere(self.allowed)
        shift = np.where(index >= np.asarray(self.size) - self.margin, index - np.asarray(self.size), index)
        center_sampled = apply_matrix(self.sampled.ijk_to_lps, self.center[::-1])
        moved = apply_matrix(self.other.ijk_to_lps, shift[:, ::-1]) + rotation @ (
            self.bounds.center_lps - center_sampled
        )
        distance_mm = np.linalg.norm(moved - self.bounds.center_lps, axis=1)
        return distance_mm <= self.bounds.translation_mm + self.sampled.spacing_mm * np.sqrt(3) / 2

    def _rotated(self, rotation: NDArray[np.float64]) -> NDArray[np.complex64]:
        """Spectra of the classes of the sampled volume, rotated into the lattice of the other about its centre."""
        turn = self.sampled.axes.T @ rotation.T @ self.other.axes
        index = np.rint(self.offsets[:, ::-1] @ turn.T + self.center[::-1]).astype(int)
        inside = np.all((index >= 0) & (index < self.labels.shape[::-1]), axis=1)
        index, offsets = index[inside], self.offsets[inside]
        labels = self.labels[index[:, 2], index[:, 1], index[:, 0]]
        used = labels >= 0
        indicators = np.zeros((_CLASSES, *self.size), dtype=np.float32)
        wrapped = offsets[used] % np.asarray(self.size)
        indicators[labels[used], wrapped[:, 0], wrapped[:, 1], wrapped[:, 2]] = 1
        return self._spectra(indicators)

    def _score(self, counts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Weighted mutual information from joint counts, shape (classes, classes, N)."""
        # Counts are whole; the transforms are wrong by far less than a half.
        whole = (counts + 0.5).astype(np.int32)
        rows, columns = whole.sum(axis=1), whole.sum(axis=0)
        total = rows.sum(axis=0)
        joint = self._summed_n_log_n(whole.reshape(_CLASSES**2, whole.shape[-1]))
        marginal = self._summed_n_log_n(rows) + self._summed_n_log_n(columns)
        n = np.maximum(total, 1).astype(np.float32)
        information = (joint - marginal) / n + np.log(n)
        return information * np.minimum(n / self.smaller, 1) ** self.overlap_power

    def _summed_n_log_n(self, numbers: NDArray[np.int32]) -> NDArray[np.float32]:
        """One row after the other, which stays in the cache."""
        total = np.zeros(numbers.shape[-1], dtype=np.float32)
        for row in numbers:
            total += self.n_log_n.take(row)
        return total

    def _pose(self, rotation: NDArray[np.float64], index: NDArray[np.intp]) -> NDArray[np.float64]:
        size = np.asarray(self.size)
        shift = np.where(index >= size - self.margin, index - size, index)
        center_sampled = apply_matrix(self.sampled.ijk_to_lps, self.center[::-1])
        center_other = apply_matrix(self.other.ijk_to_lps, shift[::-1])
        pose = np.eye(4)
        pose[:3, :3] = rotation
        pose[:3, 3] = center_other - rotation @ center_sampled
        return pose
