"""One least-squares step of a linear transform towards planes."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ...core.linear import apply_matrix

__all__ = ["FEWEST_POINTS", "SURFACE_MODELS", "Model", "step_to_planes"]

Model = Literal["rigid", "similarity", "affine"]
SURFACE_MODELS: tuple[Model, ...] = get_args(Model)
# A point on a surface fixes one number of the transform.
FEWEST_POINTS: dict[Model, int] = {"rigid": 6, "similarity": 7, "affine": 12}


def step_to_planes(
    matrix: NDArray[np.float64],
    source: NDArray[np.float64],
    target: NDArray[np.float64],
    normals: NDArray[np.float64],
    model: Model,
) -> NDArray[np.float64]:
    r"""One Gauss-Newton step of ``matrix``, shape (4, 4), towards planes.

    Minimises the sum of :math:`(n \cdot (W x - y))^2` over source points x, target points y and normals n, each of
    shape (N, 3), with W linearised about ``matrix``.
    """
    moved = apply_matrix(matrix, source)
    center = moved.mean(axis=0)
    x = moved - center
    residual = np.einsum("ij,ij->i", normals, target - moved)
    # In units of the shape's radius all unknowns are of one size, which the damping needs.
    radius = float(np.sqrt(np.mean(np.sum(x * x, axis=1)))) or 1.0
    x = x / radius
    if model == "affine":
        linear = np.einsum("ij,ik->ijk", normals, x).reshape(-1, 9)
    else:
        linear = np.cross(x, normals)
        if model == "similarity":
            linear = np.column_stack([linear, np.einsum("ij,ij->i", normals, x)])
    design = np.column_stack([linear, normals])
    squared = design.T @ design
    # Enough to keep what the shape leaves open, such as the turn of a sphere, where it is.
    squared += 1e-6 * np.trace(squared) / len(squared) * np.eye(len(squared))
    solved = np.linalg.solve(squared, design.T @ residual)
    update = np.eye(4)
    if model == "affine":
        update[:3, :3] += solved[:9].reshape(3, 3) / radius
    else:
        rotation = Rotation.from_rotvec(solved[:3] / radius).as_matrix()
        scale = float(np.exp(solved[3] / radius)) if model == "similarity" else 1.0
        update[:3, :3] = scale * rotation
    update[:3, 3] = solved[-3:] + center - update[:3, :3] @ center
    return update @ matrix
