"""Transforms of any kind: mapping points both ways, fields on grids, and the files they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import sitk_from_matrix
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.io.transforms import read_transform
from scipy.spatial.transform import Rotation

OBLIQUE = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()
GRID = VolumeGrid((9, 7, 5), (2.0, 3.0, 4.5), (10.0, -20.0, 30.0), tuple(OBLIQUE.ravel()))


def rigid() -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("zyx", [40, 10, -70], degrees=True).as_matrix()
    matrix[:3, 3] = [5.0, -60.0, 12.0]
    return matrix


def waves() -> sitk.Image:
    """A smooth field of up to 3 mm on a grid wide enough for the points of these tests."""
    index = np.stack(np.meshgrid(*[np.arange(40)] * 3, indexing="ij"), axis=-1)[..., ::-1]
    field = sitk.GetImageFromArray(3.0 * np.sin(index / 6.0 + [0.0, 1.0, 2.0]), isVector=True)
    field.SetSpacing((4.0, 4.0, 4.0))
    field.SetOrigin((-60.0, -90.0, -40.0))
    return field


def composite() -> sitk.Transform:
    return sitk.CompositeTransform([sitk_from_matrix(rigid()), sitk.DisplacementFieldTransform(waves())])


@pytest.mark.parametrize("count", [40, 300])
@pytest.mark.parametrize("make", [lambda: sitk_from_matrix(rigid()), composite], ids=["linear", "composite"])
def test_points_come_back(make, count) -> None:
    transform = SpatialTransform("t", make())
    points = np.random.default_rng(3).uniform(-15, 15, (count, 3))
    mapped = transform.to_moving(points)
    expected = [transform.transform.TransformPoint(p.tolist()) for p in points]
    np.testing.assert_allclose(mapped, expected, atol=1e-9)
    np.testing.assert_allclose(transform.to_fixed(mapped, points + 2.0), points, atol=1e-5)


def test_only_linear_transforms_have_a_matrix() -> None:
    np.testing.assert_allclose(SpatialTransform.of_matrix("t", rigid()).matrix, rigid(), atol=1e-12)
    assert SpatialTransform("t", composite()).matrix is None


def test_displacements_lie_at_the_voxels_of_an_oblique_grid() -> None:
    transform = SpatialTransform("t", composite())
    field = transform.displacements_mm(GRID)
    assert field.shape == (5, 7, 9, 3)
    point = GRID.ijk_to_lps @ [6, 2, 3, 1]
    np.testing.assert_allclose(field[3, 2, 6], transform.to_moving(point[:3])[0] - point[:3], atol=1e-9)


def test_a_fold_has_no_way_back() -> None:
    field = sitk.Image([30, 30, 30], sitk.sitkVectorFloat64, 3)
    flat = sitk.GetArrayFromImage(field)
    # Everything is sent to the plane x = 5: nothing reaches x = 9.
    flat[..., 0] = 5.0 - np.arange(30)
    folded = sitk.GetImageFromArray(flat, isVector=True)
    transform = SpatialTransform("t", sitk.DisplacementFieldTransform(folded))
    assert np.all(np.isnan(transform.to_fixed([[9.0, 12.0, 12.0]], [[9.0, 12.0, 12.0]])))


@pytest.mark.parametrize("name", ["c.h5", "c.tfm"])
def test_files_of_composites(tmp_path: Path, name: str) -> None:
    sitk.WriteTransform(composite(), str(tmp_path / name))
    points = np.random.default_rng(4).uniform(-15, 15, (10, 3))
    read = read_transform(tmp_path / name)
    assert read.name == name
    np.testing.assert_allclose(read.to_moving(points), SpatialTransform("t", composite()).to_moving(points), atol=1e-5)


@pytest.mark.parametrize("name", ["field.nrrd", "field.nii.gz", "field.mha"])
def test_displacement_fields(tmp_path: Path, name: str) -> None:
    sitk.WriteImage(waves(), str(tmp_path / name))
    points = np.random.default_rng(5).uniform(-15, 15, (10, 3))
    expected = SpatialTransform("t", sitk.DisplacementFieldTransform(waves())).to_moving(points)
    np.testing.assert_allclose(read_transform(tmp_path / name).to_moving(points), expected, atol=1e-5)


def test_bad_files(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.Image([4, 4, 4], sitk.sitkInt16), str(tmp_path / "scalar.nrrd"))
    (tmp_path / "inverse.tfm").write_text(
        "#Insight Transform File V1.0\nTransform: InverseDisplacementFieldTransform\n"
    )
    flat = sitk.AffineTransform(3)
    flat.SetMatrix([1, 0, 0, 0, 1, 0, 0, 0, 0])
    sitk.WriteTransform(flat, str(tmp_path / "flat.tfm"))
    sitk.WriteTransform(sitk.Euler2DTransform(), str(tmp_path / "two.tfm"))
    for name, words in {
        "scalar.nrrd": "1 components",
        "inverse.tfm": "only Slicer can read",
        "flat.tfm": "cannot be inverted",
        "two.tfm": "2D",
        "none.h5": "no such file",
    }.items():
        with pytest.raises(InputError, match=words):
            read_transform(tmp_path / name)
