"""The volumes of a capture-range run: the start in the header of the moving volume, and what else is done to them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm, translation_matrix
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.volumes import read_volume
from MultimodalRegistrationLib.register.prepare import orthogonal_volume
from MultimodalRegistrationLib.register.start import center_start
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from capture_plan import BINS, PlannedRun
from conftest import REAL_DATA, rotation

__all__ = ["Problem", "make_problem"]

CROP_TO = 0.6
SLICE_MM = 10.0
BIAS_RATIO = 6.0
NOISE_SHARE = 0.1
OBLIQUE_DEG = 25.0
SMOOTH_NOISE_MM = 6.0
COMMON = (0.4, 0.6)
_AXES = "IJK"
Pair = tuple[Volume, Volume]


@dataclass(frozen=True)
class Problem:
    """Two volumes, and what is known about how they belong together.

    Parameters
    ----------
    fixed, moving : Volume
        To be registered from their headers.
    truth : array, shape (4, 4), or None
        ``fixed_to_moving_lps``; None where no answer is right.
    points : array, shape (N, 3)
        Where errors are measured, fixed frame, LPS, mm.
    limit_mm : float
        Largest mean error of a success.
    start : dict
        Rotation (degrees), translation and, with a truth, the mean error of the identity (mm).
    detail : dict
        What was drawn at random for the variant.
    """

    fixed: Volume
    moving: Volume
    truth: NDArray[np.float64] | None
    points: NDArray[np.float64]
    limit_mm: float
    start: dict[str, float | None]
    detail: dict[str, Any]


def make_problem(run: PlannedRun, cases: dict[str, dict[str, Any]]) -> Problem:
    """Make the volumes of a run.

    Parameters
    ----------
    run : PlannedRun
        Swapped runs get their volumes unswapped.
    cases : dict
        As of ``real_cases()``.

    Returns
    -------
    Problem
        The same one for the same run, whatever ran before.
    """
    case = cases[run.case]
    random = np.random.default_rng(run.seed)
    points = np.loadtxt(REAL_DATA / case["points"], delimiter=",", skiprows=1)
    fixed = _read(case["fixed"])
    moving = _read(cases[run.moving_case or run.case]["moving"])
    known = run.moving_case is None
    truth = np.asarray(case["truth_matrix_lps"]) if known else center_start(fixed.grid, moving.grid)
    offset, start = _draw_offset(run, points.mean(axis=0), random)
    # First into register with the fixed volume, where the variants know left from right, then off by the start.
    moving = orthogonal_volume(moving, np.linalg.inv(truth))
    detail: dict[str, Any] = {}
    if run.variant and known:
        (fixed, moving), detail = _change(run.variant, (fixed, moving), case, random)
    moving = orthogonal_volume(moving, np.linalg.inv(offset))
    answered = known and run.variant not in _WITHOUT_ANSWER
    new_truth = np.asarray(np.linalg.inv(offset), dtype=np.float64) if answered else None
    if new_truth is not None:
        start["mean_error_mm"] = float(displacement_mm(np.eye(4), new_truth, points).mean())
        points = _shown(points, fixed, moving, new_truth) if run.variant.startswith(_CUT) else points
    return Problem(fixed, moving, new_truth, points, float(case["limit_mean_tre_mm"]), start, detail)


def _shown(
    points_lps: NDArray[np.float64], fixed: Volume, moving: Volume, truth: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The evaluation points that both cut volumes still show: elsewhere there is nothing to overlay."""
    inside = fixed.grid.contains(points_lps) & moving.grid.contains(apply_matrix(truth, points_lps))
    assert inside.sum() >= 10, "a cut leaves points to evaluate"
    return np.asarray(points_lps[inside])


@lru_cache(maxsize=24)
def _read(path: str) -> Volume:
    return read_volume(REAL_DATA / path)


def _draw_offset(
    run: PlannedRun, center: NDArray[np.float64], random: np.random.Generator
) -> tuple[NDArray[np.float64], dict[str, float | None]]:
    limits = BINS[run.bin]
    angle, length = random.uniform(*limits.rotation_deg), random.uniform(*limits.translation_mm)
    turn = np.eye(4)
    turn[:3, :3] = rotation(_unit_vector(random).tolist(), angle)
    shift = translation_matrix(center + length * _unit_vector(random))
    start: dict[str, float | None] = {"rotation_deg": angle, "translation_mm": length, "mean_error_mm": None}
    return shift @ turn @ translation_matrix(-center), start


def _unit_vector(random: np.random.Generator) -> NDArray[np.float64]:
    vector = random.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector))


def _change(variant: str, pair: Pair, case: dict[str, Any], random: np.random.Generator) -> tuple[Pair, dict[str, Any]]:
    """Apply a variant to volumes that are in register."""
    fixed, moving = pair
    name, *where = variant.split("-")
    if name in ("crop", "thick"):
        volume = fixed if where[0] == "fixed" else moving
        if name == "crop":
            changed, detail = _cropped(volume, _AXES.index(where[1]), random)
        else:
            changed, detail = _thick_slices(volume)
        return ((changed, moving) if where[0] == "fixed" else (fixed, changed)), detail
    if variant in _ONE_VOLUME:
        changer, only_ct = _ONE_VOLUME[variant]
        volumes = [
            changer(volume, random) if only_ct is None or (Path(case[role]).stem == "ct") is only_ct else volume
            for role, volume in zip(("fixed", "moving"), pair, strict=True)
        ]
        return (volumes[0], volumes[1]), {}
    return _TWO_VOLUMES[variant](fixed, moving, random)


def _cropped(volume: Volume, axis: int, random: np.random.Generator) -> tuple[Volume, dict[str, Any]]:
    count = volume.grid.size[axis]
    kept = round(CROP_TO * count)
    first = int(random.choice([0, count - kept]))
    return _slab(volume, axis, first, kept), {"kept": "low side" if first == 0 else "high side"}


def _slab(volume: Volume, axis: int, first: int, count: int) -> Volume:
    size, index = list(volume.grid.size), [0, 0, 0]
    size[axis], index[axis] = count, first
    return Volume(sitk.RegionOfInterest(volume.image, size, index), volume.name)


def _thick_slices(volume: Volume) -> tuple[Volume, dict[str, Any]]:
    """Average along the coarsest axis, K where several are."""
    spacing = np.asarray(volume.grid.spacing_mm)
    axis = 2 - int(np.argmax(np.round(spacing[::-1], 3)))
    together = max(1, round(SLICE_MM / spacing[axis]))
    count = volume.grid.size[axis] // together
    voxels = np.moveaxis(volume.voxels.astype(np.float32), 2 - axis, 0)[: count * together]
    thick = voxels.reshape(count, together, *voxels.shape[1:]).mean(axis=1)
    scale = np.eye(4)
    scale[axis, axis], scale[axis, 3] = together, (together - 1) / 2
    made = _volume(np.moveaxis(thick, 0, 2 - axis), volume.grid.ijk_to_lps @ scale, volume.name)
    return made, {"axis": _AXES[axis], "slice_mm": float(spacing[axis] * together)}


def _volume(voxels: NDArray[Any], ijk_to_lps: NDArray[np.float64], name: str) -> Volume:
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels))
    VolumeGrid.of_matrix(tuple(image.GetSize()), ijk_to_lps).place(image)
    return Volume(image, name)


def _with_voxels(volume: Volume, voxels: NDArray[Any]) -> Volume:
    return _volume(voxels, volume.grid.ijk_to_lps, volume.name)


def _biased(volume: Volume, random: np.random.Generator) -> Volume:
    """Multiply by exp of a random polynomial of the third order."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in volume.voxels.shape), indexing="ij")
    field = np.zeros(volume.voxels.shape, dtype=np.float32)
    for powers in np.ndindex(4, 4, 4):
        if 0 < sum(powers) <= 3:
            field += np.float32(random.normal()) * axes[0] ** powers[0] * axes[1] ** powers[1] * axes[2] ** powers[2]
    field *= np.float32(np.log(BIAS_RATIO)) / np.ptp(field)
    return _with_voxels(volume, volume.voxels * np.exp(field - field.mean()))


def _noisy(volume: Volume, random: np.random.Generator) -> Volume:
    low, high = np.percentile(volume.voxels, (1, 99))
    noise = random.normal(scale=NOISE_SHARE * (high - low), size=volume.voxels.shape)
    return _with_voxels(volume, (volume.voxels + noise).astype(np.float32))


def _shifted(volume: Volume, random: np.random.Generator) -> Volume:
    """Store Hounsfield units in 12 bits as scanners do; a CT that has no negative values goes the other way."""
    voxels = volume.voxels.astype(np.float32)
    if voxels.min() >= 0:
        return _with_voxels(volume, (voxels - 1024).astype(np.int16))
    return _with_voxels(volume, np.clip(voxels + 1024, 0, 4095).astype(np.uint16))


def _flipped(fixed: Volume, moving: Volume, random: np.random.Generator) -> tuple[Pair, dict[str, Any]]:
    """Store the moving volume in another order of voxels, each where it was in space."""
    orders = [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    order = orders[random.integers(len(orders))]
    unflipped = int(random.integers(3))
    flip = np.eye(4)
    for axis in range(3):
        if axis != unflipped:
            flip[axis, axis], flip[axis, 3] = -1, moving.grid.size[axis] - 1
    permute = np.eye(4)
    permute[:3, :3] = np.eye(3)[:, order]
    voxels = np.flip(moving.voxels, [2 - axis for axis in range(3) if axis != unflipped])
    # In terms of I, J, K, the reverse of the array's axes, new axis n is the old axis order[n].
    voxels = voxels.transpose([2 - order[2 - axis] for axis in range(3)])
    made = _volume(voxels, moving.grid.ijk_to_lps @ flip @ permute, moving.name)
    return (fixed, made), {"order": "".join(_AXES[axis] for axis in order), "not reversed": _AXES[unflipped]}


def _oblique(fixed: Volume, moving: Volume, random: np.random.Generator) -> tuple[Pair, dict[str, Any]]:
    grid = fixed.grid
    axes = rotation(_unit_vector(random).tolist(), OBLIQUE_DEG) @ np.reshape(grid.direction, (3, 3))
    spacing = np.asarray(grid.spacing_mm)
    corners = grid.corners_lps @ axes
    low = corners.min(axis=0)
    size = np.ceil(np.ptp(corners, axis=0) / spacing).astype(int).tolist()
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes * spacing, axes @ (low + spacing / 2)
    turned = VolumeGrid.of_matrix((size[0], size[1], size[2]), matrix)
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(turned.size)
    resampler.SetOutputSpacing(turned.spacing_mm)
    resampler.SetOutputOrigin(turned.origin_lps)
    resampler.SetOutputDirection(turned.direction)
    resampler.SetDefaultPixelValue(float(fixed.voxels.min()))
    return (Volume(resampler.Execute(fixed.image), fixed.name), moving), {}


def _mirrored(fixed: Volume, moving: Volume, random: np.random.Generator) -> tuple[Pair, dict[str, Any]]:
    axis = int(np.argmax(np.abs(np.reshape(moving.grid.direction, (3, 3))[0])))
    return (fixed, _with_voxels(moving, np.flip(moving.voxels, 2 - axis))), {"axis": _AXES[axis]}


def _white_noise(fixed: Volume, moving: Volume, random: np.random.Generator) -> tuple[Pair, dict[str, Any]]:
    noise = random.normal(1000, 100, size=moving.voxels.shape).astype(np.float32)
    return (fixed, _with_voxels(moving, noise)), {}


def _smooth_noise(fixed: Volume, moving: Volume, random: np.random.Generator) -> tuple[Pair, dict[str, Any]]:
    (_, white), _ = _white_noise(fixed, moving, random)
    sigma = SMOOTH_NOISE_MM / np.sqrt(8 * np.log(2))
    return (fixed, Volume(sitk.SmoothingRecursiveGaussian(white.image, sigma), moving.name)), {}


def _small_overlap(fixed: Volume, moving: Volume, random: np.random.Generator) -> tuple[Pair, dict[str, Any]]:
    """Cut both along one axis of the fixed volume so that the middle fifth of its extent is common."""
    low, high = COMMON
    options = []
    for axis in range(3):
        slab_axis, position = _slab_positions(fixed.grid, moving.grid, axis)
        for side in ("low", "high"):
            kept = np.flatnonzero(position >= low if side == "low" else position <= high)
            reach = position[kept] if len(kept) else np.array([np.nan])
            common = min(high, reach.max()) - max(low, reach.min())
            beyond = np.ptp(reach) - (high - low)
            options.append((common > 0.9 * (high - low) and beyond > 0.1, axis, side, slab_axis, kept, common))
    good = [option for option in options if option[0]] or [max(options, key=lambda o: np.nan_to_num(o[5], nan=-1))]
    _, axis, side, slab_axis, kept, common = good[random.integers(len(good))]
    count = fixed.grid.size[axis]
    size = round(high * count)
    cut = _slab(fixed, axis, 0 if side == "low" else count - size, size)
    part = _slab(moving, slab_axis, int(kept[0]), len(kept))
    return (cut, part), {"axis": _AXES[axis], "fixed kept": f"{side} side", "common": float(common)}


def _slab_positions(fixed: VolumeGrid, moving: VolumeGrid, axis: int) -> tuple[int, NDArray[np.float64]]:
    """The array axis of the moving volume along an axis of the fixed one, and its slabs' places in that, 0 to 1."""
    to_fixed = np.linalg.inv(fixed.ijk_to_lps) @ moving.ijk_to_lps
    along = to_fixed[axis, :3] / np.asarray(moving.spacing_mm)
    slab_axis = int(np.argmax(np.abs(along)))
    centers = np.tile((np.asarray(moving.size) - 1) / 2, (moving.size[slab_axis], 1))
    centers[:, slab_axis] = np.arange(moving.size[slab_axis])
    return slab_axis, (apply_matrix(to_fixed, centers)[:, axis] + 0.5) / fixed.size[axis]


_CUT = ("crop-", "overlap-20")
_WITHOUT_ANSWER = ("mirrored", "noise-white", "noise-smooth")
# With whether only a CT is changed (True), only another volume (False), or both (None).
_ONE_VOLUME: dict[str, tuple[Callable[[Volume, np.random.Generator], Volume], bool | None]] = {
    "bias": (_biased, False),
    "noise": (_noisy, None),
    "shift": (_shifted, True),
}
_TWO_VOLUMES: dict[str, Callable[[Volume, Volume, np.random.Generator], tuple[Pair, dict[str, Any]]]] = {
    "flipped": _flipped,
    "oblique": _oblique,
    "mirrored": _mirrored,
    "noise-white": _white_noise,
    "noise-smooth": _smooth_noise,
    "overlap-20": _small_overlap,
}
