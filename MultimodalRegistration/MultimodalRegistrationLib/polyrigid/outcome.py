"""What becomes of a structure: registered, kept at the common start, or failed; and which are not begun with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..core.linear import apply_matrix
from ..core.volume import Volume
from ..preprocess.intensities import padded_voxels
from ..register.verdict.rule import SHARP, Verdict
from .structure import Structure

__all__ = ["SMALLEST_SHARE", "Outcome", "SkippedStructure", "in_view", "is_trusted", "kept_verdict"]

Outcome = Literal["registered", "kept", "failed"]

# Less in view is too little for any verdict but failed.
SMALLEST_SHARE = 0.25
# By which share a pose must agree better than the common start to show that a structure has left it; volumes that
# share nothing differ by some hundredths of a nat as well.
_CLEARLY, _CHANCE_NATS = 0.09, 0.04


@dataclass(frozen=True, eq=False)
class SkippedStructure:
    """A structure that the moving volume does not show.

    Parameters
    ----------
    structure : Structure
        Which one.
    share : float
        Of its voxels that lie in the moving volume, but not in its padding, under the common start.
    moving_name : str
        Of the volume.
    """

    structure: Structure
    share: float
    moving_name: str

    @property
    def words(self) -> str:
        """A sentence for the user."""
        inside = "nothing" if self.share == 0 else f"only {max(self.share, 0.01):.0%}"
        return (
            f"'{self.structure.name}' was skipped: at the common start {inside} of it lies in {self.moving_name}. Give "
            "a better start, or a moving volume that shows it."
        )


def in_view(
    structures: Sequence[Structure], moving: Volume, fixed_to_moving_lps: NDArray[np.float64]
) -> tuple[tuple[Structure, ...], tuple[SkippedStructure, ...]]:
    """Tell structures that the moving volume shows from those of which it shows too little.

    Parameters
    ----------
    structures : sequence of Structure
        In the frame of the fixed volume.
    moving : Volume
        World coordinates.
    fixed_to_moving_lps : array, shape (4, 4)
        The common start.

    Returns
    -------
    shown : tuple of Structure
        To be registered.
    skipped : tuple of SkippedStructure
        The others; less than :data:`SMALLEST_SHARE` of each is in view.
    """
    shown, skipped = [], []
    data = ~padded_voxels(moving.voxels)[0]
    to_index = np.linalg.inv(moving.grid.ijk_to_lps) @ fixed_to_moving_lps
    for one in structures:
        index = np.rint(apply_matrix(to_index, one.points_lps)).astype(int)
        i, j, k = index[np.all((index >= 0) & (index < moving.grid.size), axis=1)].T
        share = np.count_nonzero(data[k, j, i]) / len(index)
        if share < SMALLEST_SHARE:
            skipped.append(SkippedStructure(one, share, moving.name))
        else:
            shown.append(one)
    return tuple(shown), tuple(skipped)


def is_trusted(verdict: Verdict, at_start: float, agreement: float, moved_mm: float) -> bool:
    """Whether a pose is taken for the common start.

    Parameters
    ----------
    verdict : Verdict
        On the pose.
    at_start, agreement : float
        Of the structure and its surroundings, in nats, at the start and at the pose.
    moved_mm : float
        Between the two.
    """
    if verdict.word != "uncertain":
        return verdict.word == "verified"
    # What is in doubt must show at least: an optimum, which agrees clearly better if it is another one.
    is_near = moved_mm <= verdict.evidence.step_mm / 2
    return verdict.evidence.sharpness >= SHARP and (is_near or _agrees_clearly_better(agreement, at_start))


def kept_verdict(found: Verdict, at_start: float, agreement: float) -> Verdict:
    """The verdict on the common start, where the best pose near it cannot be trusted.

    Parameters
    ----------
    found : Verdict
        On that pose.
    at_start, agreement : float
        As for :func:`is_trusted`.

    Returns
    -------
    Verdict
        Failed where that pose is a clear optimum, so that the structure is not where the start puts it, and where it is
        instead is not known; otherwise uncertain.
    """
    gone = _agrees_clearly_better(agreement, at_start) and found.evidence.sharpness >= SHARP
    compared = f"{agreement:.2f} nat near it, {at_start:.2f} at the start"
    if gone:
        words = f"It is not where the common start puts it ({compared}), but no pose near it can be trusted."
    elif agreement > at_start:
        words = f"Kept at the common start: nothing near it agrees clearly better ({compared})."
    else:
        words = f"Kept at the common start, which agrees best ({at_start:.2f} nat) but shows too little to go by."
    against = (words, *(f"Of the best pose near it: {sentence}" for sentence in found.against))
    return replace(found, word="failed" if gone else "uncertain", against=against, facts=(), estimated_error_mm=None)


def _agrees_clearly_better(agreement: float, at_start: float) -> bool:
    return agreement > max((1 + _CLEARLY) * at_start, at_start + _CHANCE_NATS)
