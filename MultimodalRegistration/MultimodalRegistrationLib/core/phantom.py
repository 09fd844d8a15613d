"""A head phantom in several modalities with an exactly known pose, made on any grid: for the demo and the tests.

The head is a list of ellipsoids, each painted over those before it. It is not symmetric in any axis, so that a
flipped result cannot pass for a right one. Surfaces are blurred over one voxel, as the partial volume effect does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from .grid import VolumeGrid
from .linear import apply_matrix
from .volume import Volume


@dataclass(frozen=True)
class HeadPart:
    """One ellipsoid, in LPS with the origin in the middle of the head.

    Parameters
    ----------
    tissue : str
        Key of :data:`MODALITIES`.
    center_mm, radii_mm : tuple of 3 float
        Position and half axes.
    tilt_deg : float
        Rotation about the S axis.
    """

    tissue: str
    center_mm: tuple[float, float, float]
    radii_mm: tuple[float, float, float]
    tilt_deg: float = 0.0


_HEAD = (
    HeadPart("skin", (0, 0, 0), (76, 95, 105)),
    HeadPart("skin", (0, -98, -32), (11, 16, 15)),  # nose
    HeadPart("skin", (78, 8, -25), (7, 17, 24), 15),  # ears, one lower than the other
    HeadPart("skin", (-77, 12, -31), (7, 15, 21), -15),
    HeadPart("bone", (0, 3, 6), (71, 87, 95)),
    HeadPart("fluid", (0, 3, 6), (64, 80, 88)),
    HeadPart("grey", (0, 2, 8), (61, 76, 83)),
    HeadPart("white", (27, 2, 14), (27, 60, 58), 6),
    HeadPart("white", (-29, 0, 16), (25, 62, 55), -9),
    HeadPart("fluid", (10, -8, 17), (6, 30, 12), 14),  # ventricles
    HeadPart("fluid", (-13, -4, 19), (5, 24, 10), -18),
    HeadPart("grey", (16, 8, 2), (11, 17, 12), 20),
    HeadPart("grey", (-16, 10, 3), (11, 16, 12), -20),
    HeadPart("lesion", (-38, 34, 30), (11, 8, 10), 30),
    HeadPart("grey", (6, 46, -46), (40, 25, 24)),  # cerebellum
    HeadPart("air", (8, -66, -38), (13, 15, 14), 10),  # sinuses
    HeadPart("air", (-18, -62, -41), (8, 14, 11), -10),
    HeadPart("bone", (34, 20, -56), (17, 12, 10), 25),  # skull base
    HeadPart("bone", (-33, 23, -58), (15, 12, 11), -25),
    HeadPart("air", (44, 27, -54), (4, 5, 5)),
)

MODALITIES: Mapping[str, Mapping[str, float]] = {
    "CT": {"air": -1000, "skin": 30, "bone": 1100, "fluid": 8, "grey": 40, "white": 29, "lesion": 62},
    "T1": {"air": 5, "skin": 480, "bone": 60, "fluid": 90, "grey": 300, "white": 400, "lesion": 210},
    "T2": {"air": 5, "skin": 260, "bone": 40, "fluid": 620, "grey": 340, "white": 250, "lesion": 520},
    "PET": {"air": 0.0, "skin": 0.6, "bone": 0.4, "fluid": 0.8, "grey": 9.0, "white": 3.5, "lesion": 14.0},
}
# Points that can be seen in the head, in its own LPS frame, mm.
HEAD_POINTS_LPS: Mapping[str, tuple[float, float, float]] = {
    "nose": (0, -114, -32),
    "left ear": (78, 8, -25),
    "right ear": (-77, 12, -31),
    "vertex": (0, 0, 105),
    "occiput": (0, 95, 0),
    "left ventricle": (10, -8, 17),
    "right ventricle": (-13, -4, 19),
    "left basal ganglia": (16, 8, 2),
    "right basal ganglia": (-16, 10, 3),
    "lesion": (-38, 34, 30),
    "cerebellum": (6, 46, -46),
    "left sinus": (8, -66, -38),
    "right sinus": (-18, -62, -41),
    "left skull base": (34, 20, -56),
    "right skull base": (-33, 23, -58),
}
_NOISE = {"CT": 25.0, "T1": 12.0, "T2": 12.0, "PET": 0.4}


def make_head(
    modality: str, grid: VolumeGrid, head_to_world_lps: ArrayLike, *, noise: float = 1.0, seed: int = 0
) -> Volume:
    """Scan the head.

    Parameters
    ----------
    modality : str
        Key of :data:`MODALITIES`.
    grid : VolumeGrid
        Voxels of the scan.
    head_to_world_lps : array, shape (4, 4)
        Pose: from the phantom's own LPS frame to the world's, mm.
    noise : float
        Standard deviation of the noise, as a factor of what the modality usually has.
    seed : int
        Of the noise.

    Returns
    -------
    Volume
        32-bit floating point. Of two scans A and B of the head, the transform from points of A to points of B is
        ``pose_b @ inv(pose_a)``.
    """
    intensities = MODALITIES[modality]
    world_to_head = np.linalg.inv(np.asarray(head_to_world_lps, dtype=np.float64))
    index_to_head = world_to_head @ grid.ijk_to_lps
    i, j, k = (np.arange(n, dtype=np.float32) for n in grid.size)
    points = [
        (
            index_to_head[axis, 0] * i[None, None, :]
            + index_to_head[axis, 1] * j[None, :, None]
            + index_to_head[axis, 2] * k[:, None, None]
            + index_to_head[axis, 3]
        ).astype(np.float32)
        for axis in range(3)
    ]
    voxels = np.full(grid.size[::-1], intensities["air"], dtype=np.float32)
    blur_mm = float(np.mean(grid.spacing_mm))
    for part in _HEAD:
        share = _share_inside(part, points, blur_mm)
        voxels += share * (np.float32(intensities[part.tissue]) - voxels)
    voxels += np.random.default_rng(seed).standard_normal(voxels.shape, np.float32) * np.float32(
        noise * _NOISE[modality]
    )
    image = sitk.GetImageFromArray(voxels)
    grid.place(image)
    return Volume(image, f"head phantom {modality}")


def target_points_lps(head_to_world_lps: ArrayLike) -> NDArray[np.float64]:
    """Points spread over the head, for target registration errors; shape (N, 3), LPS, mm, in the world."""
    axes = (np.linspace(-60, 60, 5), np.linspace(-75, 75, 5), np.linspace(-80, 80, 5))
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = np.sum((points / np.array([76, 95, 105])) ** 2, axis=1) < 1
    return apply_matrix(head_to_world_lps, points[inside])


def _share_inside(part: HeadPart, points: list[NDArray[np.float32]], blur_mm: float) -> NDArray[np.float32]:
    """Share of each voxel that the ellipsoid fills, from the distance to its surface along the radius."""
    angle = np.radians(part.tilt_deg)
    x, y, z = (points[axis] - np.float32(part.center_mm[axis]) for axis in range(3))
    a = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y
    b = np.float32(np.cos(angle)) * y - np.float32(np.sin(angle)) * x
    radius = np.sqrt((a / part.radii_mm[0]) ** 2 + (b / part.radii_mm[1]) ** 2 + (z / part.radii_mm[2]) ** 2)
    distance_mm = (1 - radius) * min(part.radii_mm)
    return np.clip(distance_mm / blur_mm + 0.5, 0, 1).astype(np.float32)
