"""Run by itself: a short ANTs registration, and where ants.apply_transforms_to_points takes points by its files.

In a process of its own, because the ITK of ANTs must not be loaded beside SimpleITK's. Usage: ants_reference.py FOLDER,
or ants_reference.py FILE POINTS.npy MAPPED.npy
"""

from __future__ import annotations

import sys
from pathlib import Path

import ants
import numpy as np
import pandas
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

AXES = Rotation.from_rotvec([0.3, -0.2, 0.4]).as_matrix() @ np.diag([1.0, 1.0, -1.0])


def mapped(points, files, inverted):
    table = pandas.DataFrame(points, columns=["x", "y", "z"])
    return ants.apply_transforms_to_points(3, table, files, whichtoinvert=inverted)[["x", "y", "z"]].to_numpy()


def main(folder: Path) -> None:
    random = np.random.default_rng(5)
    voxels = gaussian_filter(random.normal(size=(30, 26, 22)), 2).astype(np.float32) * 1000
    grid = {"spacing": (1.5, 2.0, 3.0), "origin": (10.0, -20.0, 30.0), "direction": AXES}
    fixed = ants.from_numpy(voxels, **grid)
    moved = {**grid, "origin": (12.0, -19.0, 31.0), "direction": Rotation.from_rotvec([0, 0, 0.06]).as_matrix() @ AXES}
    moving = ants.from_numpy(np.roll(voxels, 1, axis=0), **moved)
    ants.registration(
        fixed,
        moving,
        type_of_transform="SyN",
        outprefix=str(folder / "r"),
        reg_iterations=(5, 3),
        aff_iterations=(5, 3),
        aff_shrink_factors=(2, 1),
        aff_smoothing_sigmas=(1, 0),
        random_seed=1,
    )
    index = random.uniform(1, np.array(voxels.shape) - 2, (50, 3))
    points = np.array(grid["origin"]) + (index * grid["spacing"]) @ AXES.T
    names = ("1Warp.nii.gz", "0GenericAffine.mat", "1InverseWarp.nii.gz")
    warp, affine, inverse = (str(folder / f"r{name}") for name in names)

    np.savez(
        folder / "mapped.npz",
        points=points,
        affine=mapped(points, [affine], [False]),
        back=mapped(points, [affine], [True]),
        warp=mapped(points, [warp], [False]),
        forward=mapped(points, [warp, affine], [False, False]),
        inverse=mapped(points, [affine, inverse], [True, False]),
    )


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(Path(sys.argv[1]))
    else:
        np.save(sys.argv[3], mapped(np.load(sys.argv[2]), [sys.argv[1]], [False]))
