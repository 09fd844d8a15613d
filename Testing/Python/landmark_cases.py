"""Landmarks whose true error is known everywhere, to hold stated errors against: noisy, of two people, bent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.io.landmarks import read_landmarks
from MultimodalRegistrationLib.io.volumes import read_volume
from MultimodalRegistrationLib.landmarks.accuracy import leave_one_out
from MultimodalRegistrationLib.landmarks.error_bounds import Region, error_bounds, region_around, region_of_volume
from MultimodalRegistrationLib.landmarks.models import ModelName, fit_model, is_determined
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

__all__ = ["SHAPES", "Case", "Outcome", "bent", "judge", "noisy", "of_two_people"]

HALF_MM = 70.0
# Standard deviation across a line of 140 mm and a plane.
OFF_MM = 2.0
SHAPES = ("nearly collinear", "nearly coplanar", "well spread")
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """Landmarks, the region that the error is stated for, and places with their true partners."""

    fixed: Points
    moving: Points
    region: Region
    places_fixed: Points
    places_moving: Points

    @property
    def exchanged(self) -> Case:
        """The same with fixed and moving exchanged; the region is the box of the places."""
        return Case(self.moving, self.fixed, box_of(self.places_moving), self.places_moving, self.places_fixed)


@dataclass(frozen=True)
class Outcome:
    """Stated error at the worst place, and the true one: RMS and largest over the places, and the share below."""

    stated_mm: float
    rms_mm: float
    largest_mm: float
    share_below: float


def judge(case: Case, model: ModelName = "rigid") -> Outcome | None:
    """Fit a model and compare; None where the landmarks do not determine it."""
    if not is_determined(model, case.moving, case.fixed):
        return None
    fit = fit_model(model, case.moving, case.fixed)
    left_out = leave_one_out(model, case.moving, case.fixed)
    bounds = error_bounds(model, fit, case.moving, case.fixed, left_out)
    if bounds is None:
        return None
    stated = bounds.over(case.region).worst_mm
    errors = np.linalg.norm(fit.to_fixed(case.places_moving) - case.places_fixed, axis=1)
    below = float(np.mean(errors <= stated))
    return Outcome(stated, float(np.sqrt(np.mean(errors**2))), float(errors.max()), below)


def box_of(points: Points) -> Region:
    """A volume that holds the points: they and the corners of their box."""
    corners = np.array(list(product(*zip(points.min(axis=0), points.max(axis=0), strict=True))))
    return region_of_volume(np.concatenate([points, corners]))


@cache
def _region_of_file(path: Path) -> Region:
    return region_of_volume(read_volume(path).grid.places_lps(10), path.name)


def _shaped(rng: np.random.Generator, shape: str, count: int) -> Points:
    across = {"nearly collinear": (0, 0), "nearly coplanar": (1, 0), "well spread": (1, 1)}[shape]
    points = rng.uniform(-HALF_MM, HALF_MM, (count, 3)) * [1, *across]
    return points + OFF_MM * rng.normal(size=(count, 3)) * [0, 1 - across[0], 1 - across[1]]


def _pose(rng: np.random.Generator) -> Points:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(random_state=rng).as_matrix()
    pose[:3, 3] = rng.uniform(-100, 100, 3)
    return pose


def noisy(rng: np.random.Generator, shape: str, count: int, error_mm: float) -> Iterator[Case]:
    """One rigid body, points placed with a localisation error, RMS of both volumes together, in both directions.

    No volume is given, so the error is stated for the surroundings of the fixed landmarks.
    """
    points, pose = apply_matrix(_pose(rng), _shaped(rng, shape, count)), _pose(rng)
    noise = error_mm / np.sqrt(6.0) * rng.normal(size=(2, count, 3))
    one, other = points + noise[0], apply_matrix(pose, points) + noise[1]
    for fixed, moving, truth in ((one, other, pose), (other, one, np.linalg.inv(pose))):
        region = region_around(fixed)
        yield Case(fixed, moving, region, region.points_lps, apply_matrix(truth, region.points_lps))


def bent(rng: np.random.Generator, shape: str, count: int, bend_mm: float, error_mm: float = 0.5) -> Iterator[Case]:
    """Two bodies that differ by smooth waves of 80 to 250 mm, RMS ``bend_mm``; the volumes of both are given."""
    waves, strength = rng.normal(size=(8, 3)), rng.normal(size=(8, 3))
    waves *= 2 * np.pi / (rng.uniform(80, 250, 8) * np.linalg.norm(waves, axis=1))[:, None]
    phases, pose = rng.uniform(0, 2 * np.pi, 8), _pose(rng)
    strength *= bend_mm / np.sqrt(np.square(strength).sum() / 2)

    def partner(points: Points) -> Points:
        return apply_matrix(pose, points + np.sin(points @ waves.T + phases) @ strength)

    points, places = _shaped(rng, shape, count), rng.uniform(-HALF_MM, HALF_MM, (300, 3))
    noise = error_mm / np.sqrt(6.0) * rng.normal(size=(2, count, 3))
    case = Case(points + noise[0], partner(points) + noise[1], box_of(places), places, partner(places))
    yield from (case, case.exchanged)


def of_two_people(rng: np.random.Generator, folder: Path, count: int, *, volume: bool) -> Iterator[Case]:
    """Expert landmarks of two brains: ``count`` of 32 are fiducials and the others are targets, in both directions."""
    lists = [read_landmarks(folder / f"{name}.fcsv").points_lps for name in ("colin27", "mni")]
    chosen = rng.permutation(len(lists[0]))
    for one, other, file in ((*lists, "colin27_t1.nii.gz"), (*lists[::-1], "mni_t2_brain.nii.gz")):
        region = _region_of_file(folder / file) if volume else region_around(one[chosen[:count]])
        parts = (one[chosen[:count]], other[chosen[:count]], region, one[chosen[count:]], other[chosen[count:]])
        yield Case(*parts)
