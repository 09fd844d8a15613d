"""Bones of real legs that moved on their own against the muscle, with the truth: problems for the benchmark.

The bones are contours from the CT: threshold, opening, closing, and the marrow filled in slice by slice. The moving
volume is the T1 MR of the same leg, as it is or with a bone cut out and pasted at its new place, or a T1 that is
simulated from the CT on the grid of the MR, where the truth is exact.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.segmentations import Segmentation
from MultimodalRegistrationLib.io.volumes import read_volume
from MultimodalRegistrationLib.polyrigid.structure import Structure, structures_of
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from conftest import REAL_DATA, real_cases

__all__ = ["KINDS", "LEGS", "BoneProblem", "bones_of", "leg_of", "make_problem"]

# Those of cases.json have a known header; the limbs lie in one frame.
LEGS = (
    *("sarcoma-010", "sarcoma-035", "sarcoma-047", "sarcoma-048"),
    *("limb-004", "limb-009", "limb-013", "limb-018", "limb-027", "limb-039"),
)
KINDS = ("simulated moved", "T1 as given", "simulated as given", "T1 moved")
BONE_HU = 200.0
SMALLEST_BONE_ML = 20.0
# T1 signal by CT number: air, fat, muscle, marrow with trabeculae, cortex.
_HU = (-400.0, -150.0, -80.0, 0.0, 50.0, 130.0, 350.0, 700.0)
_T1 = (0.0, 850.0, 900.0, 520.0, 330.0, 380.0, 180.0, 30.0)
_NOISE, _BIAS = 25.0, 0.2
# How far the common start of a whole leg is off, about the middle of the fixed volume.
_START_DEG, _START_MM = 2.5, 3.0


@dataclass(frozen=True, eq=False)
class BoneProblem:
    """One leg, one bone of which moved.

    Parameters
    ----------
    fixed, moving : Volume
        CT and T1.
    bones : tuple of Structure
        All of the leg.
    truth : array, shape (4, 4)
        ``fixed_to_moving_lps`` of the bone that moved.
    common_start : array, shape (4, 4)
        Where all begin.
    """

    fixed: Volume
    moving: Volume
    bones: tuple[Structure, ...]
    truth: NDArray[np.float64]
    common_start: NDArray[np.float64]


def _random_vector(rng: np.random.Generator) -> NDArray[np.float64]:
    vector = rng.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector))


def _rigid_about(
    middle_lps: NDArray[np.float64], rng: np.random.Generator, deg: tuple[float, float], mm: tuple[float, float]
) -> NDArray[np.float64]:
    """A random turn about a point and a random shift, each between two limits."""
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(np.radians(rng.uniform(*deg)) * _random_vector(rng)).as_matrix()
    motion[:3, 3] = middle_lps - motion[:3, :3] @ middle_lps + rng.uniform(*mm) * _random_vector(rng)
    return motion


@lru_cache(maxsize=16)
def leg_of(name: str) -> tuple[Volume, Volume, NDArray[np.float64]]:
    """CT, T1 and the reference from one to the other."""
    if name.startswith("limb"):
        folder = REAL_DATA / "limbs" / name
        return read_volume(folder / "ct.nrrd"), read_volume(folder / "mr_t1.nrrd"), np.eye(4)
    case = real_cases()[name]
    fixed, moving = (read_volume(REAL_DATA / case[role]) for role in ("fixed", "moving"))
    return fixed, moving, np.asarray(case["truth_matrix_lps"])


@lru_cache(maxsize=16)
def bones_of(name: str) -> tuple[Structure, ...]:
    """The bones of a leg, the largest first."""
    fixed = leg_of(name)[0]
    bright = ndimage.gaussian_filter(fixed.voxels.astype(float), (0.3, 1, 1)) > BONE_HU
    parts, count = ndimage.label(ndimage.binary_opening(bright))
    millilitres = float(np.prod(fixed.grid.spacing_mm)) / 1000
    labels = np.zeros(parts.shape, dtype=np.uint8)
    number = 0
    for part in np.argsort(-np.bincount(parts.ravel(), minlength=count + 1)[1:]) + 1:
        marked = parts == part
        closed = ndimage.binary_closing(np.pad(marked, 4), iterations=4)[4:-4, 4:-4, 4:-4] | marked
        filled = np.stack([ndimage.binary_fill_holes(one) for one in closed]) & (labels == 0)
        if filled.sum() * millilitres >= SMALLEST_BONE_ML and number < 3:
            number += 1
            labels[filled] = number
    return structures_of(Segmentation.of_labels(_volume(labels, fixed.grid, "bones")))


def _volume(values: NDArray[np.generic], grid: VolumeGrid, name: str) -> Volume:
    image = sitk.GetImageFromArray(values.reshape(grid.size[::-1]))
    grid.place(image)
    return Volume(image, name)


def make_problem(
    name: str, bone: int, kind: str, seed: int, bone_lies: NDArray[np.float64] | None = None
) -> BoneProblem:
    """Make one problem.

    Parameters
    ----------
    name : str
        One of :data:`LEGS`.
    bone : int
        Number of its bone.
    kind : str
        One of :data:`KINDS`.
    seed : int
        Of the motions and the noise.
    bone_lies : array, shape (4, 4), optional
        ``fixed_to_moving_lps`` of the bone in the real T1, where it is cut out; by default that of the leg. Cut out
        some mm beside itself, a bone would leave a rim behind and take muscle along.
    """
    fixed, moving, reference = leg_of(name)
    bones = bones_of(name)
    rng = np.random.default_rng([LEGS.index(name), bone, seed, len(kind)])
    start = reference @ _rigid_about(fixed.grid.center_lps, rng, (0.5, _START_DEG), (0.5, _START_MM))
    middle = bones[bone].points_lps.mean(axis=0)
    motion = _rigid_about(middle, rng, (3.0, 15.0), (3.0, 20.0)) if kind.endswith("moved") else np.eye(4)
    if kind == "T1 as given":
        return BoneProblem(fixed, moving, bones, reference, start)
    if bone_lies is not None:
        reference = bone_lies
    mask = bones[bone].mask
    grown = ndimage.binary_dilation(np.pad(mask.voxels > 0, 3), iterations=2).astype(np.float32)
    soft = ndimage.gaussian_filter(grown, (0.3, 0.7, 0.7))
    soft_to_index = np.linalg.inv(mask.grid.ijk_to_lps)
    k, j, i = np.indices(moving.grid.size[::-1])
    places = apply_matrix(moving.grid.ijk_to_lps, np.stack([i, j, k], axis=-1).reshape(-1, 3).astype(float))
    in_fixed = apply_matrix(np.linalg.inv(reference), places)
    before = apply_matrix(np.linalg.inv(motion), in_fixed)
    muscle = 40 + 150 * ndimage.gaussian_filter(rng.normal(size=moving.grid.size[::-1]), (1, 3, 3)).ravel()

    def share(points: NDArray[np.float64]) -> NDArray[np.float64]:
        index = apply_matrix(soft_to_index, points).T[::-1] + 3
        return np.asarray(ndimage.map_coordinates(soft, index, order=1))

    if kind.startswith("simulated"):
        source, at = fixed, (in_fixed, before)
        fill = muscle
    else:
        source, at = moving, (places, apply_matrix(reference, before))
        fill = _muscle_signal(moving, places, share(in_fixed)) * (1 + (muscle - 40) / 300)
    to_index = np.linalg.inv(source.grid.ijk_to_lps)

    smooth = source.voxels.astype(np.float32)
    if kind.startswith("simulated"):
        # The noise of the CT is not that of the T1.
        smooth = ndimage.gaussian_filter(smooth, (0.4, 1.0, 1.0))

    def values(points: NDArray[np.float64]) -> NDArray[np.float64]:
        index = apply_matrix(to_index, points).T[::-1]
        return np.asarray(ndimage.map_coordinates(smooth, index, order=1, mode="nearest"))

    old, new = share(in_fixed), share(before) * source.grid.contains(at[1])
    found = values(at[0])
    if kind.endswith("moved"):
        found = (1 - old) * found + old * fill
        found = (1 - new) * found + new * values(at[1])
    if kind.startswith("simulated"):
        found = np.interp(found, _HU, _T1)
        bias = ndimage.gaussian_filter(rng.normal(size=moving.grid.size[::-1]), (8, 25, 25), mode="wrap").ravel()
        found = found * (1 + _BIAS * bias / max(float(np.abs(bias).max()), 1e-9))
        found = np.hypot(found, rng.normal(0, _NOISE, found.shape))
    made = _volume(found.astype(np.float32), moving.grid, f"{kind} ({name})")
    return BoneProblem(fixed, made, bones, reference @ motion, start)


def _muscle_signal(moving: Volume, places: NDArray[np.float64], bone: NDArray[np.float64]) -> float:
    """The signal around the bone that is most common, which is that of muscle."""
    marked = (bone > 0).reshape(moving.voxels.shape)
    ring = ndimage.binary_dilation(marked, iterations=8) & ~marked
    return float(np.median(moving.voxels[ring])) if ring.any() else float(np.median(moving.voxels))
