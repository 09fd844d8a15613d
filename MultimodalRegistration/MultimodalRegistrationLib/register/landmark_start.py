"""Landmarks as the start of a registration, and its errors at them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtri

from ..core.grid import VolumeGrid
from ..core.points import Pairs
from ..core.spatial import SpatialTransform
from ..landmarks.accuracy import PointErrors
from ..landmarks.models import LinearFit
from ..landmarks.prealign import Prealignment, prealign
from .verdict.rule import Verdict, with_doubts

__all__ = ["LandmarkErrors", "LandmarkStart", "landmark_start"]

# Landmarks are trusted within this many times the error to expect of them, and never more narrowly than this: a few
# badly placed ones can agree by chance.
_EXPECTED_ERRORS = 4.0
_LEAST_TRANSLATION_MM = 20.0
_LEAST_ROTATION_DEG = 15.0
# What is called beyond the expected error where no landmark can be left out happens by chance in 5 % of cases.
_SHARE_OF_CASES = 0.95


@dataclass(frozen=True)
class LandmarkErrors:
    """Errors at the landmarks in the course of a registration.

    The start was fitted to them, so its error is small by construction. What an independent registration can be held
    against is the error to expect at a landmark that was not used.

    Parameters
    ----------
    pairs : Pairs
        The landmarks.
    as_placed, at_start, at_end : PointErrors
        As the files or nodes place the volumes, of the rigid fit that the run started from, and of the result.
    unseen_rms_mm : float
        RMS at landmarks that the fit did not use: leave-one-out, or, with three landmarks, of which none can be left
        out, what the RMS at the right pose stays below in 95 % of cases, from their misfit.
    """

    pairs: Pairs
    as_placed: PointErrors
    at_start: PointErrors
    at_end: PointErrors
    unseen_rms_mm: float

    def expected_mm(self, estimated_error_mm: float | None) -> float:
        """RMS at the landmarks that their own error and that of the result explain.

        Parameters
        ----------
        estimated_error_mm : float or None
            Of the result, from the verdict, where there is one.
        """
        return float(np.hypot(self.unseen_rms_mm, estimated_error_mm or 0.0))

    def is_explained(self, estimated_error_mm: float | None) -> bool:
        """Whether the result is no worse at the landmarks than expected."""
        return self.at_end.rms_mm <= self.expected_mm(estimated_error_mm)

    def words(self, estimated_error_mm: float | None) -> str:
        """A sentence on what the run did to the error at the landmarks, and whether that was to be expected."""
        fit_mm, end_mm, expected_mm = self.at_start.rms_mm, self.at_end.rms_mm, self.expected_mm(estimated_error_mm)
        explained = self.is_explained(estimated_error_mm)
        # One more digit where numbers that are told apart would read alike.
        digits = 1 if explained or f"{end_mm:.1f}" != f"{expected_mm:.1f}" else 2
        fit, end, expected = (f"{mm:.{digits}f} mm" for mm in (fit_mm, end_mm, expected_mm))
        change = f"stayed at {fit}, that of their own fit"
        if fit != end:
            change = f"{'rose' if end_mm > fit_mm else 'fell'} from {fit} (their own fit) to {end}"
        if explained:
            return f"At the landmarks the error {change}: within their expected error of {expected}."
        worst = int(np.argmax(self.at_end.per_point_mm))
        return (
            f"At the landmarks the error {change}, beyond their expected error of {expected}; it is largest at "
            f"{self.pairs.labels[worst]}, {self.at_end.max_mm:.{digits}f} mm. Look at the overlay before you "
            "trust the result or the landmarks."
        )

    def weighed(self, verdict: Verdict | None) -> tuple[Verdict | None, str | None]:
        """The verdict with the landmarks among its facts, or against the result, and what speaks against it.

        Parameters
        ----------
        verdict : Verdict or None
            On the result, where there is one.
        """
        estimated_error_mm = None if verdict is None else verdict.estimated_error_mm
        words = self.words(estimated_error_mm)
        against = None if self.is_explained(estimated_error_mm) else words
        if verdict is None:
            return None, against
        if against is None:
            return replace(verdict, facts=(*verdict.facts, words)), None
        return with_doubts(verdict, [against]), against

    def after(self, transform: SpatialTransform) -> LandmarkErrors:
        """The same where the result is another one."""
        return replace(self, at_end=_errors_of(transform, self.pairs))


@dataclass(frozen=True)
class LandmarkStart:
    """A start from landmarks.

    Parameters
    ----------
    prealignment : Prealignment
        The rigid fit.
    max_translation_mm, max_rotation_deg : float
        How far from it the right pose may be: four times the expected error, at least 20 mm and 15 degrees.
    """

    prealignment: Prealignment
    max_translation_mm: float
    max_rotation_deg: float

    @property
    def fixed_to_moving_lps(self) -> NDArray[np.float64]:
        """The start, shape (4, 4), resampling direction."""
        assert isinstance(self.prealignment.fit, LinearFit)
        return self.prealignment.fit.fixed_to_moving_lps

    @property
    def name(self) -> str:
        """What messages call it."""
        pairs = self.prealignment.pairs
        return f"of the landmarks {pairs.fixed.name} and {pairs.moving.name}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against the landmarks."""
        pairs, findings = self.prealignment.pairs, self.prealignment.findings
        return (*pairs.notes, *(f"{finding.message} {finding.remedy}" for finding in findings))

    def errors_of(self, transform: SpatialTransform) -> LandmarkErrors:
        """Errors at the landmarks of a result."""
        left_out = self.prealignment.left_out_of_model
        unseen = left_out.rms_mm if left_out is not None else self._largest_rms_mm()
        return LandmarkErrors(
            pairs=self.prealignment.pairs,
            as_placed=self.prealignment.before,
            at_start=self.prealignment.fiducial,
            at_end=_errors_of(transform, self.prealignment.pairs),
            unseen_rms_mm=unseen,
        )

    def _largest_rms_mm(self) -> float:
        """What the RMS at the right pose stays below in 95 % of cases, from the misfit of a rigid fit.

        Of the 3 N coordinates of the misfit at the right pose, the fit takes six for itself and leaves v; those that it
        took are to those that it left as F(6, v) says. The localisation error alone would be exceeded in half of all
        cases where N is three.
        """
        localisation_error_mm = self.prealignment.localisation_error_mm
        if not localisation_error_mm:
            return 0.0
        coordinates = 3 * len(self.prealignment.pairs.fixed_lps)
        left = coordinates - 6
        ratio = (left + 6 * fdtri(6, left, _SHARE_OF_CASES)) / coordinates
        return localisation_error_mm * float(np.sqrt(ratio))


def _errors_of(transform: SpatialTransform, pairs: Pairs) -> PointErrors:
    """At the fixed points; at the moving ones where a fold has no way back."""
    back = np.linalg.norm(transform.to_fixed(pairs.moving_lps, pairs.fixed_lps) - pairs.fixed_lps, axis=1)
    there = np.linalg.norm(transform.to_moving(pairs.fixed_lps) - pairs.moving_lps, axis=1)
    return PointErrors(tuple(np.where(np.isnan(back), there, back).tolist()))


def landmark_start(pairs: Pairs, fixed: VolumeGrid, moving: VolumeGrid) -> LandmarkStart:
    """Fit the start to landmarks, and bound the run by how well they determine it.

    Parameters
    ----------
    pairs : Pairs
        Landmarks in world coordinates.
    fixed, moving : VolumeGrid
        Of the volumes.

    Returns
    -------
    LandmarkStart
        The start and its bounds.

    Raises
    ------
    InputError
        The landmarks do not determine a rigid transform.
    """
    found = prealign(pairs, model="rigid")
    centers = np.stack([fixed.center_lps, found.fit.to_fixed(moving.center_lps[None])[0]])
    translation_mm, rotation_deg = 0.0, 0.0
    if found.expected is not None and found.expected.weakest_rotation is not None:
        translation_mm = float(found.expected.target_rms_mm(centers).max())
        rotation_deg = found.expected.weakest_rotation[0]
    return LandmarkStart(
        found,
        max(_LEAST_TRANSLATION_MM, _EXPECTED_ERRORS * translation_mm),
        min(180.0, max(_LEAST_ROTATION_DEG, _EXPECTED_ERRORS * rotation_deg)),
    )
