r"""Transform parameter files of elastix, which map fixed to moving points, LPS, mm.

A file may build on an initial transform :math:`T_0`: composed, :math:`T_1(T_0(p))`, or added, :math:`T_1(p) + T_0(p) -
p`. A sum with a linear part is exact as a composite: with :math:`T_0(p) = L p + b` and :math:`T_1(p) = p + u(p)`, it is
:math:`T_0(p + L^{-1} u(p))`, and the coefficients of a B-spline or the vectors of a field are those of :math:`L^{-1}
u`. Other sums, and splines through landmarks, become grids of displacements with a stated error.

Spline kernel transforms are :math:`f(p) = p + A p + b + \sum_i G(p - p_i)\,d_i`, with :math:`\sum_i d_i = 0` and
:math:`\sum_i d_i p_i^T = 0`, through the landmarks, or with the stiffness :math:`\lambda` added to the diagonal of the
kernel matrix near them. The kernels in three dimensions are :math:`|r| I` (thin plate), :math:`|r|^3 I` (volume
spline), :math:`\alpha |r|^3 I - 3 |r| r r^T` (elastic body) and :math:`\alpha |r| I - r r^T / |r|` (reciprocal elastic
body), see Davis et al. 1997, doi:10.1109/42.585767.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from ...core.grid import VolumeGrid
from ...core.linear import matrix_from_sitk, sitk_from_matrix
from ...core.spatial import Mapping, SpatialTransform
from .common import AGAIN, Context, gridded
from .elastix_file import ElastixFile, beside, read_chain
from .itk import read_field, read_itk

_AS_FIELD = "Let transformix write its deformation field (transformix -def all -tp FILE), and give that."
_BSPLINES = ("BSplineTransform", "RecursiveBSplineTransform")
_FIELD = "DisplacementFieldTransform"
_LINEAR = {
    "TranslationTransform": 3,
    "EulerTransform": 6,
    "SimilarityTransform": 7,
    "AffineTransform": 12,
    "AffineLogTransform": 12,
}
# Of the kernels that are a power of the distance.
_POWERS = {"ThinPlateSpline": 1, "VolumeSpline": 3}


@dataclass(frozen=True)
class _Mapped:
    """A mapping, and the transform that does it, if SimpleITK has one."""

    to_moving: Mapping
    transform: sitk.Transform | None


def read_elastix(path: Path, context: Context) -> SpatialTransform:
    """Read a transform parameter file with all that it builds on.

    Parameters
    ----------
    path : Path
        The last file of the chain.
    context : Context
        With the moving volume, if elastix was told not to use direction cosines.

    Returns
    -------
    SpatialTransform
        ``fixed_to_moving_lps``; ``error_mm`` is 0 when it is exact.

    Raises
    ------
    InputError
        A file is missing, cut off or wrong, or of a kind that cannot be read.
    """
    chain = read_chain(path)
    whole: _Mapped | None = None
    for file in chain:
        stage = _stage(file)
        whole = stage if whole is None else _combined(file, whole, stage)
    assert whole is not None
    last = chain[-1]
    if last.text("UseDirectionCosines", "true") == "false":
        whole = _with_directions(last, whole, context)
    if whole.transform is not None:
        return SpatialTransform(path.name, whole.transform)
    return gridded(path.name, whole.to_moving, _fixed_grid(last))


def _of_sitk(transform: sitk.Transform) -> _Mapped:
    return _Mapped(SpatialTransform("", transform).to_moving, transform)


def _stage(file: ElastixFile) -> _Mapped:
    """The transform of one file alone."""
    for key in ("FixedImageDimension", "MovingImageDimension"):
        if file.text(key, "3") != "3":
            raise file.error(key, f"this is a {file.text(key)}D transform", "Give a three-dimensional one.")
    kind = file.text("Transform")
    if kind == "SplineKernelTransform":
        return _kernel(file)
    if kind in _BSPLINES:
        return _of_sitk(_bspline(file))
    if kind == "DeformationFieldTransform":
        return _of_sitk(_field(file))
    if kind == "File":
        name = file.text("TransformFileName")
        return _of_sitk(read_itk(beside(file, "TransformFileName", name)))
    if kind not in _LINEAR:
        known = ", ".join((*_LINEAR, *_BSPLINES, "SplineKernelTransform", "DeformationFieldTransform"))
        raise file.error("Transform", f"a {kind} cannot be read, only {known}", _AS_FIELD)
    return _of_sitk(_linear(file, kind))


def _parameters(file: ElastixFile, count: int) -> list[float]:
    said = file.numbers("NumberOfParameters", 1, default=(count,))[0]
    if said != count:
        raise file.error("NumberOfParameters", f"{said:g} parameters, but this transform has {count}", AGAIN)
    return file.numbers("TransformParameters", count)


def _linear(file: ElastixFile, kind: str) -> sitk.Transform:
    parameters = _parameters(file, _LINEAR[kind])
    if kind == "TranslationTransform":
        return sitk.TranslationTransform(3, parameters)
    center = file.numbers("CenterOfRotationPoint", 3)
    if kind == "EulerTransform":
        euler = sitk.Euler3DTransform()
        euler.SetCenter(center)
        euler.SetComputeZYX(file.text("ComputeZYX", "false") == "true")
        euler.SetParameters(parameters)
        return euler
    if kind == "SimilarityTransform":
        similarity = sitk.Similarity3DTransform()
        similarity.SetCenter(center)
        similarity.SetParameters(parameters)
        return similarity
    affine = sitk.AffineTransform(3)
    affine.SetCenter(center)
    linear = np.reshape(parameters[:9], (3, 3))
    if kind == "AffineLogTransform":
        # Few files need it, and the import would slow the start of every command.
        from scipy.linalg import expm

        linear = expm(linear)
    affine.SetMatrix(linear.ravel().tolist())
    affine.SetTranslation(parameters[9:])
    return affine


def _bspline(file: ElastixFile) -> sitk.BSplineTransform:
    order = file.text("BSplineTransformSplineOrder", "3")
    if order not in ("1", "2", "3"):
        raise file.error("BSplineTransformSplineOrder", f"B-splines of order {order}", _AS_FIELD)
    if file.text("UseCyclicTransform", "false") == "true":
        raise file.error("UseCyclicTransform", "a cyclic B-spline", _AS_FIELD)
    size = [int(number) for number in file.numbers("GridSize", 3)]
    if min(size) <= int(order):
        raise file.error("GridSize", f"a grid of {size[0]} x {size[1]} x {size[2]} is too small", AGAIN)
    spacing = np.array(file.numbers("GridSpacing", 3))
    direction = file.numbers("GridDirection", 9, default=tuple(np.eye(3).ravel()))
    if not np.all(spacing > 0) or abs(np.linalg.det(np.reshape(direction, (3, 3)))) < 1e-6:
        raise file.error("GridSpacing", "the grid of the B-spline is flat", AGAIN)
    return elastix_bspline(
        int(order),
        size=size,
        spacing_mm=spacing,
        origin_lps=file.numbers("GridOrigin", 3),
        direction_columns=direction,
        # Checked before memory is taken for the grid.
        coefficients=_parameters(file, 3 * math.prod(size)),
        index=file.numbers("GridIndex", 3, default=(0, 0, 0)),
    )


def _field(file: ElastixFile) -> sitk.DisplacementFieldTransform:
    order = file.text("DeformationFieldInterpolationOrder", "0")
    if order != "1":
        raise file.error(
            "DeformationFieldInterpolationOrder", "a field without interpolation between voxels", _AS_FIELD
        )
    return read_field(beside(file, "DeformationFieldFileName", file.text("DeformationFieldFileName")))


def _kernel(file: ElastixFile) -> _Mapped:
    kind = file.text("SplineKernelType")
    if kind not in KERNELS:
        raise file.error("SplineKernelType", f"{kind} cannot be read, only {', '.join(KERNELS)}", _AS_FIELD)
    fixed = np.array(file.numbers("FixedImageLandmarks"))
    moving = np.array(_parameters(file, len(fixed)))
    try:
        spline = KernelSpline(
            kind,
            fixed.reshape(-1, 3),
            moving.reshape(-1, 3),
            file.numbers("SplineRelaxationFactor", 1, default=(0,))[0],
            file.numbers("SplinePoissonRatio", 1, default=(0.3,))[0],
        )
    except (np.linalg.LinAlgError, ValueError) as error:
        raise file.error(
            "FixedImageLandmarks", f"no spline through these landmarks ({error})", "Give four or more, not in a plane."
        ) from error
    return _Mapped(spline.to_moving, None)


def _combined(file: ElastixFile, initial: _Mapped, current: _Mapped) -> _Mapped:
    """The initial transform and the one that builds on it."""
    how = file.text("HowToCombineTransforms", "Compose")
    if how not in ("Compose", "Add"):
        raise file.error("HowToCombineTransforms", f"{how} is neither Compose nor Add", AGAIN)
    first, second = initial.to_moving, current.to_moving
    if how == "Compose":
        composed = None
        if initial.transform is not None and current.transform is not None:
            composed = sitk.CompositeTransform([current.transform, initial.transform])
        return _Mapped(lambda points: second(first(points)), composed)
    added = None
    if initial.transform is not None and current.transform is not None:
        added = _sum(initial.transform, current.transform)
    return _Mapped(lambda points: first(points) + second(points) - points, added)


def _sum(one: sitk.Transform, other: sitk.Transform) -> sitk.Transform | None:
    """A transform that adds the displacements of two, if there is an exact one."""
    if one.IsLinear() and other.IsLinear():
        return sitk_from_matrix(matrix_from_sitk(one) + matrix_from_sitk(other) - np.eye(4))
    if one.IsLinear() or other.IsLinear():
        linear, bent = (one, other) if one.IsLinear() else (other, one)
        backward = np.asarray(np.linalg.inv(matrix_from_sitk(linear)[:3, :3]))
        scaled = _turned(bent, backward)
        return None if scaled is None else sitk.CompositeTransform([linear, scaled])
    same_grid = one.GetName() == other.GetName() and one.GetFixedParameters() == other.GetFixedParameters()
    if same_grid and one.GetName() == "BSplineTransform":
        total = sitk.BSplineTransform(one)
        if total.GetOrder() != sitk.BSplineTransform(other).GetOrder():
            return None
        total.SetParameters(np.add(one.GetParameters(), other.GetParameters()).tolist())
        return total
    return None


def _turned(bent: sitk.Transform, matrix: NDArray[np.float64]) -> sitk.Transform | None:
    """A transform whose displacements are those of another, multiplied by a matrix, shape (3, 3)."""
    if bent.GetName() == "BSplineTransform":
        turned = sitk.BSplineTransform(bent)
        # All coefficients of x come first, then those of y and z.
        turned.SetParameters((matrix @ np.reshape(bent.GetParameters(), (3, -1))).ravel().tolist())
        return turned
    if bent.GetName() == _FIELD:
        image = sitk.DisplacementFieldTransform(bent).GetDisplacementField()
        vectors = sitk.GetImageFromArray(sitk.GetArrayViewFromImage(image) @ matrix.T, isVector=True)
        vectors.CopyInformation(image)
        return sitk.DisplacementFieldTransform(vectors)
    return None


def _fixed_grid(file: ElastixFile) -> VolumeGrid:
    size, spacing, origin = (file.numbers(key, 3) for key in ("Size", "Spacing", "Origin"))
    direction = np.reshape(file.numbers("Direction", 9, default=tuple(np.eye(3).ravel())), (3, 3)).T
    return VolumeGrid(
        (int(size[0]), int(size[1]), int(size[2])),
        (spacing[0], spacing[1], spacing[2]),
        (origin[0], origin[1], origin[2]),
        tuple(direction.ravel().tolist()),
    )


def _with_directions(file: ElastixFile, whole: _Mapped, context: Context) -> _Mapped:
    """Between the world and the axes of the volumes, which elastix took for the world."""
    if context.moving is None:
        raise file.error(
            "UseDirectionCosines",
            "elastix was told to take the axes of the volumes for those of the world",
            "Give `transform convert` the moving volume with --moving.",
        )
    to_axes = np.linalg.inv(_about_origin(_fixed_grid(file)))
    from_axes = _about_origin(context.moving.grid)
    before, after = _of_sitk(sitk_from_matrix(to_axes)), _of_sitk(sitk_from_matrix(from_axes))
    inner = whole.to_moving
    transform = None
    if whole.transform is not None:
        transform = sitk.CompositeTransform([after.transform, whole.transform, before.transform])
    return _Mapped(lambda points: after.to_moving(inner(before.to_moving(points))), transform)


def _about_origin(grid: VolumeGrid) -> NDArray[np.float64]:
    """The rotation about its origin that puts a volume without direction cosines where it lies."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(grid.direction, (3, 3))
    matrix[:3, 3] = np.asarray(grid.origin_lps) - matrix[:3, :3] @ np.asarray(grid.origin_lps)
    return matrix


def elastix_bspline(
    order: int,
    *,
    size: Sequence[int],
    spacing_mm: ArrayLike,
    origin_lps: ArrayLike,
    direction_columns: ArrayLike,
    coefficients: ArrayLike,
    index: ArrayLike = (0, 0, 0),
) -> sitk.BSplineTransform:
    """Make the transform that elastix' parameters describe.

    Parameters
    ----------
    order : int
        Of the spline, 1 to 3.
    size : sequence of 3 int
        Nodes of the grid along each axis.
    spacing_mm, origin_lps : array_like, shape (3,)
        Of the grid; the origin belongs to the index zero.
    direction_columns : array_like, shape (9,)
        As elastix tells matrices: column by column.
    coefficients : array_like, shape (3 * nodes,)
        All of x, then those of y and z.
    index : array_like, shape (3,)
        Of the first node.
    """
    direction = np.reshape(direction_columns, (3, 3)).T
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    first_lps = np.asarray(origin_lps) + direction @ (spacing * np.asarray(index))
    transform = sitk.BSplineTransform(3, order)
    transform.SetFixedParameters([*size, *first_lps.tolist(), *spacing.tolist(), *direction.ravel().tolist()])
    transform.SetParameters(np.asarray(coefficients, dtype=np.float64).tolist())
    return transform


def moved_bspline(transform: sitk.BSplineTransform, matrix: ArrayLike) -> sitk.BSplineTransform:
    """The same bending in another frame: what ``matrix @ transform @ inv(matrix)`` would be.

    Parameters
    ----------
    transform : SimpleITK.BSplineTransform
        Three-dimensional; not changed.
    matrix : array_like, shape (4, 4)
        Rigid, from the frame of the transform to the new one, mm.

    Returns
    -------
    SimpleITK.BSplineTransform
        With the grid moved and the coefficients, which are displacements, turned.
    """
    to_new = np.asarray(matrix, dtype=np.float64)
    rotation = to_new[:3, :3]
    size, origin, spacing, direction = np.split(np.asarray(transform.GetFixedParameters()), [3, 6, 9])
    origin = rotation @ origin + to_new[:3, 3]
    direction = rotation @ direction.reshape(3, 3)
    moved = sitk.BSplineTransform(3, transform.GetOrder())
    moved.SetFixedParameters(np.concatenate([size, origin, spacing, direction.ravel()]).tolist())
    moved.SetParameters((rotation @ np.reshape(transform.GetParameters(), (3, -1))).ravel().tolist())
    return moved


def _radial(power: int) -> Callable[[NDArray[np.float64], float], NDArray[np.float64]]:
    def kernel(offsets: NDArray[np.float64], poisson_ratio: float) -> NDArray[np.float64]:
        radius = np.linalg.norm(offsets, axis=-1)
        return np.asarray((radius**power)[..., None, None] * np.eye(3))

    return kernel


def _elastic(offsets: NDArray[np.float64], poisson_ratio: float) -> NDArray[np.float64]:
    alpha = 12.0 * (1.0 - poisson_ratio) - 1.0
    radius = np.linalg.norm(offsets, axis=-1)[..., None, None]
    return np.asarray(alpha * radius**3 * np.eye(3) - 3.0 * radius * offsets[..., :, None] * offsets[..., None, :])


def _reciprocal(offsets: NDArray[np.float64], poisson_ratio: float) -> NDArray[np.float64]:
    alpha = 8.0 * (1.0 - poisson_ratio) - 1.0
    radius = np.linalg.norm(offsets, axis=-1)[..., None, None]
    with np.errstate(divide="ignore"):
        share = np.where(radius > 1e-8, 1.0 / radius, 0.0)
    return np.asarray(alpha * radius * np.eye(3) - share * offsets[..., :, None] * offsets[..., None, :])


KERNELS = {
    **{kind: _radial(power) for kind, power in _POWERS.items()},
    "ElasticBodySpline": _elastic,
    "ElasticBodyReciprocalSpline": _reciprocal,
}


@dataclass(frozen=True)
class KernelSpline:
    """A spline through pairs of landmarks.

    Parameters
    ----------
    kernel : str
        One of :data:`KERNELS`.
    fixed_lps, moving_lps : array, shape (N, 3)
        Landmarks, LPS, mm; at least four that are not in a plane.
    stiffness : float
        0 passes through the landmarks.
    poisson_ratio : float
        Of the elastic bodies.

    Raises
    ------
    numpy.linalg.LinAlgError
        The landmarks lie in a plane, or one is given twice.
    """

    kernel: str
    fixed_lps: NDArray[np.float64]
    moving_lps: NDArray[np.float64]
    stiffness: float
    poisson_ratio: float
    _weights: NDArray[np.float64] = field(init=False, repr=False)
    _affine: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        count = len(self.fixed_lps)
        blocks = KERNELS[self.kernel](self.fixed_lps[:, None] - self.fixed_lps[None], self.poisson_ratio)
        blocks[np.arange(count), np.arange(count)] = self.stiffness * np.eye(3)
        kernel = blocks.swapaxes(1, 2).reshape(3 * count, 3 * count)
        homogeneous = np.column_stack([self.fixed_lps, np.ones(count)])
        polynomial = np.kron(homogeneous, np.eye(3))
        system = np.block([[kernel, polynomial], [polynomial.T, np.zeros((12, 12))]])
        displacements = np.concatenate([(self.moving_lps - self.fixed_lps).ravel(), np.zeros(12)])
        found = np.linalg.solve(system, displacements)
        object.__setattr__(self, "_weights", found[: 3 * count].reshape(count, 3))
        object.__setattr__(self, "_affine", found[3 * count :].reshape(4, 3))

    def to_moving(self, fixed_lps: ArrayLike) -> NDArray[np.float64]:
        """Map fixed points, shape (N, 3), LPS, mm, to moving ones."""
        points = np.asarray(fixed_lps, dtype=np.float64)
        if self.kernel in _POWERS:
            # Few files need it, and the import would slow the start of every command.
            from scipy.spatial.distance import cdist

            bent = cdist(points, self.fixed_lps) ** _POWERS[self.kernel] @ self._weights
        else:
            blocks = KERNELS[self.kernel](points[:, None] - self.fixed_lps[None], self.poisson_ratio)
            bent = np.einsum("nmij,mj->ni", blocks, self._weights)
        return np.asarray(points + np.column_stack([points, np.ones(len(points))]) @ self._affine + bent)
