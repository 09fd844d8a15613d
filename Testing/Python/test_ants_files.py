"""Transforms of ANTs: real ones of a short run, against where ANTs itself takes the points."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_GRID, MR_GRID, rigid
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.linear import sitk_from_matrix
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.io.outputs import OutputFiles
from MultimodalRegistrationLib.io.tools.common import Context, Scan
from MultimodalRegistrationLib.io.tools.itk import ants_items
from MultimodalRegistrationLib.io.transforms import files_of, read_transform, write_as

SCRIPT = Path(__file__).with_name("ants_reference.py")
EXACT_MM = 1e-4
FILES = {"affine": "0GenericAffine.mat", "warp": "1Warp.nii.gz", "inverse": "1InverseWarp.nii.gz"}
LISTS = {
    "affine": "{affine}",
    "back": "[{affine},1]",
    "warp": "{warp}",
    "forward": "{warp} {affine}",
    "inverse": "[{affine}, 1] [{inverse},0]",
}


def run_ants_script(*arguments):
    environment = {**os.environ, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def ants_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ants")
    run_ants_script(folder)
    return folder


@pytest.mark.parametrize("name", LISTS)
def test_points_go_where_ants_takes_them(ants_run, name):
    mapped = np.load(ants_run / "mapped.npz")
    listed = LISTS[name].format(**{key: ants_run / f"r{file}" for key, file in FILES.items()})
    assert np.linalg.norm(mapped[name] - mapped["points"], axis=1).max() > 0.5
    np.testing.assert_allclose(read_transform(listed).to_moving(mapped["points"]), mapped[name], atol=EXACT_MM)


def test_the_order_of_a_list_matters(ants_run):
    mapped = np.load(ants_run / "mapped.npz")
    wrong = read_transform(f"{ants_run / 'r0GenericAffine.mat'} {ants_run / 'r1Warp.nii.gz'}")
    assert np.abs(wrong.to_moving(mapped["points"]) - mapped["forward"]).max() > 0.01


def bent(points):
    return 3 * np.sin(points / 40 + [0.3, 1.0, 2.0])[:, [1, 2, 0]]


@pytest.mark.story("U28")
@pytest.mark.parametrize(("kind", "suffix"), [("linear", ".mat"), ("linear", ".nii.gz"), ("composite", ".nii.gz")])
def test_files_that_we_write_mean_the_same_to_ants(tmp_path, kind, suffix):
    transform = sitk_from_matrix(rigid([0.3, -0.8, 0.5], 17, [12, -25, 8]) @ np.diag([1.1, 0.9, 1.05, 1]))
    if kind == "composite":
        nodes = CT_GRID.moved(rigid([1, 1, 1], 10, [0, 0, 0]))
        size = nodes.size[::-1]
        index = np.stack(np.meshgrid(*map(np.arange, nodes.size), indexing="ij"), axis=-1).transpose(2, 1, 0, 3)
        points = index.reshape(-1, 3) @ nodes.ijk_to_lps[:3, :3].T + nodes.ijk_to_lps[:3, 3]
        image = sitk.GetImageFromArray(bent(points).reshape(*size, 3), isVector=True)
        nodes.place(image)
        transform = sitk.CompositeTransform([transform, sitk.DisplacementFieldTransform(image)])
    spatial = SpatialTransform("T", transform)
    with OutputFiles() as outputs:
        context = Context(fixed=Scan(Path("f"), CT_GRID))
        error_mm = write_as(outputs, tmp_path / f"T{suffix}", "ants", spatial, context)
        outputs.commit()
    assert (error_mm > 0) == (kind == "composite")
    # At voxel centres, well within the grid.
    index = np.random.default_rng(1).integers(4, np.array(CT_GRID.size) - 4, (40, 3))
    points = index @ CT_GRID.ijk_to_lps[:3, :3].T + CT_GRID.ijk_to_lps[:3, 3]
    np.save(tmp_path / "points.npy", points)
    run_ants_script(tmp_path / f"T{suffix}", tmp_path / "points.npy", tmp_path / "mapped.npy")
    np.testing.assert_allclose(np.load(tmp_path / "mapped.npy"), spatial.to_moving(points), atol=EXACT_MM)
    again = read_transform(tmp_path / f"T{suffix}")
    np.testing.assert_allclose(again.to_moving(points), spatial.to_moving(points), atol=1e-5)


def test_the_stated_error_of_a_warp_holds_between_its_nodes(tmp_path):
    axes = rigid([0.2, 1, -0.3], 33, [0, 0, 0])[:3, :3]
    spline = sitk.BSplineTransform(3, 3)
    # Its domain holds all of the grid.
    origin = MR_GRID.center_lps - axes @ [335.5, 324.5, 346.5]
    spline.SetFixedParameters([12, 12, 12, *origin.tolist(), 61, 59, 63, *axes.ravel().tolist()])
    spline.SetParameters(np.random.default_rng(1).normal(0, 3, spline.GetNumberOfParameters()).tolist())
    with OutputFiles() as outputs:
        stated = write_as(
            outputs,
            tmp_path / "W.nii.gz",
            "field",
            SpatialTransform("T", spline),
            Context(fixed=Scan(Path("f"), MR_GRID)),
        )
        outputs.commit()
    assert 0 < stated < 0.5
    points = MR_GRID.sample_points_lps(13)
    error = read_transform(tmp_path / "W.nii.gz").to_moving(points) - SpatialTransform("T", spline).to_moving(points)
    assert np.linalg.norm(error, axis=1).max() < 1.5 * stated


def test_lists_in_the_notation_of_ants(tmp_path):
    (tmp_path / "with space.mat").touch()
    for text, expected in {
        "a.mat": [("a.mat", False)],
        "[a.mat,1]": [("a.mat", True)],
        " [ a.mat , 1 ]  b.nii.gz ": [("a.mat", True), ("b.nii.gz", False)],
        '["with space.mat",1] "x y.nii.gz" [c.mat,0]': [
            ("with space.mat", True),
            ("x y.nii.gz", False),
            ("c.mat", False),
        ],
        str(tmp_path / "with space.mat"): [(str(tmp_path / "with space.mat"), False)],
    }.items():
        assert [(str(item.path), item.inverted) for item in ants_items(text)] == expected
    for text in ("[a.mat,2]", "[a.mat,1", '"a.mat', "[a.mat,1] ]"):
        with pytest.raises(InputError, match="the list cannot be understood"):
            ants_items(text)


def test_refused_lists(ants_run):
    warp, affine = ants_run / "r1Warp.nii.gz", ants_run / "r0GenericAffine.mat"
    with pytest.raises(InputError, match=r"r1Warp\.nii\.gz: a warp cannot be inverted by a flag.*1InverseWarp"):
        read_transform(f"[{warp},1] {affine}")
    with pytest.raises(InputError, match=r"absent\.mat: no such file"):
        read_transform(f"{warp} [{ants_run / 'absent.mat'},1]")
    assert files_of(f"{warp} [{affine},1]") == [warp, affine]
