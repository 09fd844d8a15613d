"""Random landmark sets with known partners, in a ball of 150 mm, under any rotation, with normal noise on each axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from MultimodalRegistrationLib.core.points import LandmarkList, Pairs
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

RADIUS_MM = 75.0


@dataclass(frozen=True)
class Puzzle:
    """Two lists in different orders, and the partners in them."""

    fixed: LandmarkList
    moving: LandmarkList
    truth: set[tuple[int, int]]
    lost_fixed: int
    lost_moving: int


def body_points(rng: np.random.Generator, count: int, *, apart_mm: float = 0.0) -> NDArray[np.float64]:
    """Points drawn uniformly from a ball, at least ``apart_mm`` from each other."""
    points: list[NDArray[np.float64]] = []
    while len(points) < count:
        point = rng.uniform(-RADIUS_MM, RADIUS_MM, 3)
        if point @ point < RADIUS_MM**2 and all(np.linalg.norm(point - other) >= apart_mm for other in points):
            points.append(point)
    return np.array(points)


def moved(rng: np.random.Generator, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points under a random rotation and translation."""
    return points @ Rotation.random(random_state=rng).as_matrix().T + rng.uniform(-100, 100, 3)


def puzzle(
    seed: int, *, both_noisy: bool = True, apart_mm: float = 0.0, mirrored: bool = False, noise_mm: float = 1.0
) -> Puzzle:
    """Two lists, the longer one of 4 to 30 points; up to 5 lost in each, at least 4 in common."""
    rng = np.random.default_rng(seed)
    common = 0
    while common < 4:
        length, lost_fixed, lost_moving = int(rng.integers(4, 31)), int(rng.integers(6)), int(rng.integers(6))
        common = length - max(lost_fixed, lost_moving)
    # What the moving list lost is in the fixed list alone, and the other way round.
    points = body_points(rng, common + lost_fixed + lost_moving, apart_mm=apart_mm)
    in_fixed = rng.permutation(common + lost_moving)
    in_moving = rng.permutation(np.r_[:common, common + lost_moving : len(points)])
    fixed = points[in_fixed] + rng.normal(0, noise_mm if both_noisy else 0.0, (len(in_fixed), 3))
    moving = moved(rng, points[in_moving] * ([-1, 1, 1] if mirrored else 1))
    moving += rng.normal(0, noise_mm, moving.shape)
    where = {int(point): j for j, point in enumerate(in_moving)}
    truth = {(i, where[int(point)]) for i, point in enumerate(in_fixed) if int(point) in where}
    lists = LandmarkList.of_points("fixed", fixed), LandmarkList.of_points("moving", moving)
    return Puzzle(*lists, truth, lost_fixed, lost_moving)


def pairs_of(fixed_lps: NDArray[np.float64], moving_lps: NDArray[np.float64]) -> Pairs:
    """Pairs by order, with the labels 1, 2, 3."""
    index = tuple(range(len(fixed_lps)))
    lists = LandmarkList.of_points("fixed", fixed_lps), LandmarkList.of_points("moving", moving_lps)
    return Pairs(*lists, index, index, "order")


def spoiled(seed: int, count: int, *, fault: str = "", shift: float = 0.0) -> tuple[Pairs, tuple[str, ...]]:
    """Pairs with 1 mm of noise and one fault, and the names of the faulty pairs; ``shift`` of an outlier in mm."""
    rng = np.random.default_rng([seed, count])
    fixed = body_points(rng, count)
    chosen = rng.choice(count, 2, replace=False)
    moving = moved(rng, fixed * ([-1, 1, 1] if fault == "mirrored" else 1)) + rng.normal(0, 1, (count, 3))
    named: tuple[str, ...] = ()
    if fault == "swapped":
        moving[chosen] = moving[chosen[::-1]]
        named = tuple(f"'{i + 1}'" for i in sorted(chosen))
    elif fault == "outlier":
        direction = rng.normal(size=3)
        moving[chosen[0]] += shift * direction / np.linalg.norm(direction)
        named = (f"'{chosen[0] + 1}'",)
    elif fault == "mirrored":
        named = tuple(f"'{i + 1}'" for i in range(count))
    return pairs_of(fixed, moving), named
