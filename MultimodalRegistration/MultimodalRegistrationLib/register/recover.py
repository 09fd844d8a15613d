"""The transform that a volume was resampled with, from the original and the result, when it was not kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from ..core.errors import InputError
from ..core.linear import closest_rotation
from ..core.spatial import SpatialTransform
from ..core.volume import Volume
from ..transforms.intensity_fit import MOTIONS, IntensityFit, Motion, Samples, Source, fit_motion
from .pair import make_pair
from .search.bounds import Bounds
from .search.candidates import find_candidates, search_step_mm
from .search.lattices import Lattices

__all__ = ["Recovered", "recover"]

_CLIPPED_PERCENTILES = (0.5, 99.5)
# Smoothing of the levels, in steps of the search, and how many points.
_LEVELS = ((1 / 2, 10_000), (1 / 4, 30_000), (1 / 10, 60_000))
_LAST_POINTS = 80_000
_FEW_STEPS, _MANY_STEPS = 15, 60
_FEWEST_POINTS = 500
# A value at so many of the outermost voxels is that of what the volume does not show.
_FILL_SHARE = 0.05
# A motion with fewer parameters explains as much if its residual is hardly larger.
_AS_GOOD = 1.02
_NOTHING = 1e-4
_INLIERS = 0.95
# RMS of what is lost where fractions of integers are cut off, as ITK does: a motion that leaves less says nothing.
_CUT_OFF = 0.58
_EXPLAINED = 0.2


@dataclass(frozen=True)
class Recovered:
    """A transform that was found again.

    Parameters
    ----------
    transform : SpatialTransform
        From the resampled volume to the original, LPS, mm: ``fixed_to_moving_lps`` of the resampling.
    motion : str
        The one of :data:`~MultimodalRegistrationLib.transforms.intensity_fit.MOTIONS` with the fewest parameters that
        explains the voxels.
    rms_residual : float
        Root of the mean square of what it leaves unexplained, without the 5 % of the voxels that fit worst; in units of
        intensity.
    rms_by_motion : mapping
        The same for each kind of motion.
    spread : float
        Standard deviation of the intensities that are to be explained.
    inside : float
        Share of the voxels used that lie in the original, 0 to 1.
    used_share : float
        Share of all voxels of the resampled volume that are not fill.
    """

    transform: SpatialTransform
    motion: Motion
    rms_residual: float
    rms_by_motion: Mapping[str, float]
    spread: float
    inside: float
    used_share: float

    @property
    def explained(self) -> bool:
        """Whether the original, resampled, is what is there: else something else was done to the intensities."""
        return self.rms_residual <= _EXPLAINED * self.spread


def recover(
    original: Volume,
    resampled: Volume,
    *,
    seed: int = 0,
    threads: int | None = None,
    on_progress: Callable[[str, float], None] | None = None,
) -> Recovered:
    """Find the rigid, similarity or affine transform that one volume was resampled with.

    All rotations and translations are searched; scale and shear may be moderate, up to about a tenth. Both volumes must
    show the same intensities, whatever was cut off or filled.

    Parameters
    ----------
    original : Volume
        Before.
    resampled : Volume
        After, on any grid.
    seed : int
        Of the search and of the voxels that are looked at.
    threads : int, optional
        Of the search; by default all usable cores.
    on_progress : callable, optional
        Called with words and the share done.

    Raises
    ------
    InputError
        A volume without contrast, or one that shows nothing but its fill.
    """
    tell = on_progress or (lambda words, share: None)
    tell("looking for what was filled", 0.0)
    shown = _shown(resampled)
    mask = sitk.GetImageFromArray(shown.astype(np.uint8))
    resampled.grid.place(mask)
    pair = make_pair(
        resampled,
        original,
        np.eye(4),
        fixed_mask=Volume(mask, resampled.name),
        moving_mask=None,
        winsorize_percentiles=_CLIPPED_PERCENTILES,
    )
    bounds = Bounds(pair.sampled.grid.center_lps)
    candidates = find_candidates(
        Lattices(pair.sampled, pair.other),
        bounds,
        seed=seed,
        threads=threads,
        on_fraction=lambda share: tell("searching all poses", 0.05 + 0.6 * share),
    )
    poses = [pair.fixed_to_moving_lps(candidate.sampled_to_other_lps) for candidate in candidates]
    step_mm = search_step_mm(pair.sampled, pair.other)
    del pair
    random = np.random.default_rng(seed)
    matrix = poses[0]
    for number, (smoothing, count) in enumerate(_LEVELS):
        tell("fitting intensities", 0.7 + 0.05 * number)
        source = _source(_smoothed(original.image, smoothing * step_mm), original)
        samples = _samples(_smoothed_inside(resampled, shown, smoothing * step_mm), resampled, shown, count, random)
        fits = [fit_motion(source, samples, pose, motion="rigid", most_steps=_FEW_STEPS) for pose in poses]
        fits = [
            fit_motion(source, samples, fit.matrix_lps, motion="affine", most_steps=_FEW_STEPS)
            for fit in sorted(fits, key=lambda fit: fit.cost)[: max(1, len(poses) // 2)]
        ]
        # The best ones go on, each level with fewer.
        fits.sort(key=lambda fit: fit.cost)
        poses = [fit.matrix_lps for fit in fits[: max(1, len(fits) // 2)]]
        matrix = poses[0]
    tell("fitting intensities", 0.85)
    source = _source(sitk.Cast(original.image, sitk.sitkFloat32), original)
    samples = _samples(resampled.voxels, resampled, shown, _LAST_POINTS, random)
    fits_by_motion = {
        motion: fit_motion(source, samples, _nearest(matrix, motion, samples), motion=motion, most_steps=_MANY_STEPS)
        for motion in MOTIONS
    }
    rms = {motion: _rms(fit) for motion, fit in fits_by_motion.items()}
    spread = float(samples.values.std())
    good_enough = _AS_GOOD * min(rms.values()) + _NOTHING * spread
    if np.issubdtype(resampled.voxels.dtype, np.integer) and _EXPLAINED * spread > _CUT_OFF:
        good_enough = max(good_enough, _CUT_OFF)
    chosen = next(motion for motion in MOTIONS if rms[motion] <= good_enough)
    return Recovered(
        SpatialTransform.of_matrix(f"{resampled.name} to {original.name}", fits_by_motion[chosen].matrix_lps),
        chosen,
        rms[chosen],
        {motion: rms[motion] for motion in MOTIONS},
        spread,
        fits_by_motion[chosen].inside,
        float(shown.mean()),
    )


def _shown(volume: Volume) -> NDArray[np.bool_]:
    """Voxels that show the original: not those of the value that fills the outermost voxels, nor their neighbours."""
    voxels = np.asarray(volume.voxels)
    border = np.concatenate([np.moveaxis(voxels, axis, 0)[[0, -1]].ravel() for axis in range(3)])
    values, counts = np.unique(border[np.isfinite(border)], return_counts=True)
    shown = np.asarray(np.isfinite(voxels))
    if len(values) and counts.max() >= _FILL_SHARE * border.size:
        filled = voxels == values[counts.argmax()]
        labels, count = _labelled(filled)
        touching = np.unique(np.concatenate([np.moveaxis(labels, axis, 0)[[0, -1]].ravel() for axis in range(3)]))
        is_outside = np.zeros(count + 1, dtype=bool)
        is_outside[touching[touching > 0]] = True
        shown &= ~ndimage.binary_dilation(is_outside[labels])
    if np.count_nonzero(shown) < _FEWEST_POINTS:
        raise InputError(volume.name, "it shows next to nothing but one value", "Check that this is the right volume.")
    return shown


def _labelled(marked: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    labels = np.empty(marked.shape, dtype=np.int32)
    # With an output of the caller's own, only the count is returned.
    count: Any = ndimage.label(marked, output=labels)
    return labels, int(count)


def _smoothed(image: sitk.Image, sigma_mm: float) -> sitk.Image:
    return sitk.SmoothingRecursiveGaussian(sitk.Cast(image, sitk.sitkFloat32), sigma_mm)


def _smoothed_inside(volume: Volume, shown: NDArray[np.bool_], sigma_mm: float) -> NDArray[np.float64]:
    """The volume smoothed over what it shows only, shape (K, J, I)."""
    parts = []
    for values in (np.where(shown, volume.voxels, 0).astype(np.float32), shown.astype(np.float32)):
        image = sitk.GetImageFromArray(values)
        volume.grid.place(image)
        parts.append(sitk.GetArrayFromImage(_smoothed(image, sigma_mm)))
    return np.asarray(parts[0] / np.maximum(parts[1], 1e-3))


def _source(image: sitk.Image, original: Volume) -> Source:
    return Source(sitk.GetArrayFromImage(image), np.asarray(np.linalg.inv(original.grid.ijk_to_lps)))


def _samples(
    values: NDArray[np.floating], volume: Volume, shown: NDArray[np.bool_], count: int, random: np.random.Generator
) -> Samples:
    marked = np.flatnonzero(shown)
    chosen = marked if len(marked) <= count else random.choice(marked, count, replace=False)
    points = volume.grid.points_at(chosen)
    return Samples(points, np.asarray(values).ravel()[chosen].astype(np.float64))


def _nearest(matrix: NDArray[np.float64], motion: Motion, samples: Samples) -> NDArray[np.float64]:
    """The motion of a kind that is about nearest to an affine one: the same at the middle of the samples."""
    if motion == "affine":
        return matrix
    scale = 1.0 if motion == "rigid" else float(np.cbrt(abs(np.linalg.det(matrix[:3, :3]))))
    center = samples.points_lps.mean(axis=0)
    nearest = np.eye(4)
    nearest[:3, :3] = scale * closest_rotation(matrix)
    nearest[:3, 3] = matrix[:3, :3] @ center + matrix[:3, 3] - nearest[:3, :3] @ center
    return nearest


def _rms(fit: IntensityFit) -> float:
    """Without the worst residuals: single voxels may have been changed."""
    size = np.sort(np.abs(fit.residuals))
    kept = size[: max(1, int(_INLIERS * len(size)))]
    return float(np.sqrt(np.mean(kept**2))) if len(size) else float("inf")
