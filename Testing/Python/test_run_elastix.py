"""What elastix found is what we give: its B-spline against its own mapping of points."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from conftest import centered_grid, rotation
from itk import itkPointPython as itk_point
from MultimodalRegistrationLib.engines import run_elastix
from MultimodalRegistrationLib.engines.handover import EngineJob, EngineVolume
from MultimodalRegistrationLib.geometry.linear import apply_matrix
from MultimodalRegistrationLib.presets.store import find_preset
from scipy.ndimage import gaussian_filter

OBLIQUE = rotation([1, -2, 0.5], 35)


def noise(spacing, direction, center):
    voxels = gaussian_filter(np.random.default_rng(1).normal(size=(30, 44, 40)), 3)
    return EngineVolume((1000 * voxels).astype(np.float32), centered_grid([40, 44, 30], spacing, direction, center))


@pytest.mark.parametrize("direction", [OBLIQUE, OBLIQUE @ np.diag([-1, 1, 1])], ids=["oblique", "oblique and flipped"])
@pytest.mark.parametrize("stages", [1, 2])
def test_the_spline_is_that_of_elastix(direction, stages, monkeypatch, tmp_path):
    fixed, moving = noise([2, 1.5, 3], direction, [10, -20, 5]), noise([2, 1.5, 3.2], direction, [12, -21, 5])
    stage = {**find_preset("warp").engines["elastix"][0], "MaximumNumberOfIterations": 30 // stages}
    new, made = run_elastix.elx_registration.itkElastixRegistrationMethodIF3IF3_New, []

    def kept():
        made.append(new())
        return made[-1]

    methods = SimpleNamespace(itkElastixRegistrationMethodIF3IF3_New=kept)
    monkeypatch.setattr(run_elastix, "elx_registration", methods)
    transform = run_elastix.run(EngineJob(fixed, moving, [stage] * stages, 3), tmp_path)
    own = made[0].GetCombinationTransform()
    shares = np.random.default_rng(0).uniform(0, 1, (300, 3))
    points_lps = apply_matrix(fixed.grid.ijk_to_lps, shares * (np.asarray(fixed.grid.size) - 1))
    expected = []
    for coordinates in points_lps.tolist():
        point = itk_point.itkPointD3()
        for axis, coordinate in enumerate(coordinates):
            point.SetElement(axis, coordinate)
        moved = own.TransformPoint(point)
        expected.append([moved.GetElement(axis) for axis in range(3)])
    assert np.abs(np.subtract(expected, points_lps)).max() > 1, "it bends"
    found = [transform.TransformPoint(point) for point in points_lps.tolist()]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_thick_slices_are_sampled_at_their_voxels_and_not_smoothed_across():
    thin, thick = noise([2, 2, 3], np.eye(3), [0, 0, 0]), noise([9, 2, 2], np.eye(3), [0, 0, 0])
    (rigid,), (bending,) = (find_preset(name).engines["elastix"] for name in ("rigid", "warp"))
    found = run_elastix._for_thick_slices(rigid, EngineJob(thick, thin, [rigid], 1))
    assert found == {
        "ImageSampler": "Random",
        "FixedImagePyramidSchedule": [1, 4, 4, 0, 2, 2, 0, 1, 1],
        "MovingImagePyramidSchedule": [4, 4, 4, 2, 2, 2, 1, 1, 1],
    }
    own = {**rigid, "ImageSampler": "Grid"}
    assert "ImageSampler" not in run_elastix._for_thick_slices(own, EngineJob(thick, thin, [own], 1))
    without = {key: value for key, value in rigid.items() if key != "ImagePyramidSchedule"}
    for fixed, moving, stage in (
        (thin, thick, rigid),
        (thick, thick, rigid),
        (thick, thin, bending),
        (thick, thin, without),
    ):
        assert run_elastix._for_thick_slices(stage, EngineJob(fixed, moving, [stage], 1)) == {}
