"""Volumes, labels, segments, points, markups and models carried both ways: all end at the same known place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import centered_grid, rigid, rotation, run_command
from MultimodalRegistrationLib.core.frames import flip_ijk_to_space, flip_matrix_lps_ras, flip_points_lps_ras
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.points import LandmarkList
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.landmarks import read_landmarks, write_landmarks
from MultimodalRegistrationLib.io.models import Model, read_whole_model, write_model
from MultimodalRegistrationLib.io.segmentations import read_segmentation
from MultimodalRegistrationLib.io.tools.itk import write_transform
from MultimodalRegistrationLib.transforms.propagate import resample
from scipy.spatial import cKDTree
from transform_cases import AFFINE, POSE, field

vtk = pytest.importorskip("vtk")

FIXED = centered_grid([64, 60, 30], [1.6, 1.7, 3.4], rotation([1, 0.3, -0.2], 33), [12, -31, 40])
MIDDLE = FIXED.center_lps
MARKS = MIDDLE + np.array([[12.0, -9.0, 8.0], [-14.0, 6.0, -11.0], [3.0, 17.0, 2.0]])
TRANSFORMS = {
    "rigid": SpatialTransform.of_matrix("rigid", POSE),
    "affine": SpatialTransform.of_matrix("affine", AFFINE),
    "non-linear": SpatialTransform("composite", sitk.CompositeTransform([
        SpatialTransform.of_matrix("pose", POSE).transform, field(FIXED, 9.0).transform,
    ])),
}  # fmt: skip


def moving_grid(transform: SpatialTransform) -> VolumeGrid:
    axes = rotation([-0.2, 1, 0.5], 71) @ np.diag([1.0, -1.0, 1.0])
    return centered_grid([70, 50, 66], [1.5, 2.6, 1.7], axes, list(transform.to_moving(MIDDLE)[0]))


def drawn(grid: VolumeGrid, marks: np.ndarray, labels: bool) -> sitk.Image:
    """A ball or a bright spot at each mark."""
    voxels = np.full(int(np.prod(grid.size)), 0.0 if labels else -1000.0)
    for number, mark in enumerate(marks, start=1):
        distance = np.linalg.norm(grid.points_lps - mark, axis=1)
        if labels:
            voxels[distance < 7] = number
        else:
            voxels += 3000 * np.exp(-(distance**2) / (2 * 4.0**2))
    image = sitk.GetImageFromArray(np.rint(voxels).reshape(grid.size[::-1]).astype(np.uint8 if labels else np.int16))
    grid.place(image)
    return image


def center_of(image: sitk.Image, weights: np.ndarray) -> np.ndarray:
    points = VolumeGrid.of_image(image).points_lps
    return (points * weights.ravel()[:, None]).sum(axis=0) / weights.sum()


def spot(image: sitk.Image, near: np.ndarray) -> np.ndarray:
    distance = np.linalg.norm(VolumeGrid.of_image(image).points_lps - near, axis=1)
    weights = np.clip(sitk.GetArrayFromImage(image).astype(float) + 1000, 0, None)
    return center_of(image, weights * (distance < 9).reshape(weights.shape))


def write_segments(path: Path, image: sitk.Image) -> None:
    """Two layers that overlap: all marks by number in the first, the first mark again in the second."""
    second = sitk.Cast(image == 1, image.GetPixelID()) * 7
    both = sitk.Compose([image, second])
    names = [("tumour", 0, 1), ("cyst", 0, 2), ("vessel", 0, 3), ("margin", 1, 7)]
    extent = " ".join(f"0 {n - 1}" for n in image.GetSize())
    for number, (name, layer, label) in enumerate(names):
        entries = {"ID": f"S_{number}", "Name": name, "Layer": layer, "LabelValue": label, "Extent": extent}
        for key, value in (entries | {"Color": "0.5 0.2 0.1"}).items():
            both.SetMetaData(f"Segment{number}_{key}", str(value))
    both.SetMetaData("Segmentation_ReferenceImageExtentOffset", "3 4 5")
    sitk.WriteImage(both, str(path))


def write_balls(path: Path, marks: np.ndarray) -> None:
    joined = vtk.vtkAppendPolyData()
    for mark in marks:
        ball = vtk.vtkSphereSource()
        ball.SetCenter(*flip_points_lps_ras(mark))
        ball.SetRadius(5)
        ball.SetThetaResolution(24)
        ball.SetPhiResolution(24)
        joined.AddInputConnection(ball.GetOutputPort())
    joined.Update()
    write_model(path, Model(path.name, joined.GetOutput(), "RAS"))


def write_curve(path: Path, marks: np.ndarray) -> None:
    """A curve in RAS and an angle in LPS, in one file."""
    markups = [
        {
            "type": kind,
            "coordinateSystem": space,
            "coordinateUnits": "mm",
            "controlPoints": [
                {
                    "id": str(n),
                    "label": f"P{n}",
                    "position": list(map(float, p)),
                    "description": "kept",
                    "selected": n != 1,
                }
                for n, p in enumerate(flip_points_lps_ras(marks) if space == "RAS" else marks)
            ],
            "measurements": [{"name": "length", "value": 1.0}],
        }
        for kind, space in (("Curve", "RAS"), ("Angle", "LPS"))
    ]
    path.write_text(json.dumps({"markups": markups}))


MODELS = ("model.vtk", "model.vtp", "model.ply", "model.stl", "model.obj")


@pytest.fixture(params=TRANSFORMS)
def transform(request) -> SpatialTransform:
    return TRANSFORMS[request.param]


@pytest.mark.story("U29")
@pytest.mark.parametrize("to_fixed", [True, False], ids=["moving to fixed", "fixed to moving"])
def test_everything_ends_at_the_same_place(tmp_path, transform, to_fixed):
    moving = moving_grid(transform)
    moving_marks = transform.to_moving(MARKS)
    source, start, target, expected = (
        (moving, moving_marks, FIXED, MARKS) if to_fixed else (FIXED, MARKS, moving, moving_marks)
    )
    given, out = tmp_path / "given", tmp_path / "out"
    given.mkdir()
    write_transform(given / "t.h5", transform)
    reference = sitk.Image(list(target.size), sitk.sitkInt16)
    target.place(reference)
    sitk.WriteImage(reference, str(given / "reference.nrrd"))
    labels = drawn(source, start, labels=True)
    sitk.WriteImage(drawn(source, start, labels=False), str(given / "scan.nii.gz"))
    sitk.WriteImage(labels, str(given / "labels.nrrd"))
    write_segments(given / "marks.seg.nrrd", labels)
    for name in ("points.fcsv", "points.csv", "points.mrk.json"):
        write_landmarks(given / name, LandmarkList.of_points("marks", start, ["A", "B", "C"]))
    write_curve(given / "curves.mrk.json", start)
    for name in MODELS:
        write_balls(given / name, start)
    names = ["scan.nii.gz", "labels.nrrd", "marks.seg.nrrd", "points.fcsv", "points.csv", "points.mrk.json"]
    names += ["curves.mrk.json", *MODELS]
    done = run_command(
        *("transform", "apply", given / "t.h5", "--moving-to-fixed" if to_fixed else "--fixed-to-moving"),
        *(given / name for name in names),
        *("--reference", given / "reference.nrrd", "--output-dir", out, "--json", tmp_path / "r.json"),
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    half_mm = max(target.spacing_mm) / 2

    scan = sitk.ReadImage(str(out / "scan.nii.gz"))
    assert scan.GetPixelID() == sitk.sitkInt16
    for mark in expected:
        assert np.linalg.norm(spot(scan, mark) - mark) < half_mm
    moved_labels = sitk.ReadImage(str(out / "labels.nrrd"))
    assert moved_labels.GetPixelID() == sitk.sitkUInt8
    for number, mark in enumerate(expected, start=1):
        found = center_of(moved_labels, sitk.GetArrayFromImage(moved_labels) == number)
        assert np.linalg.norm(found - mark) < half_mm
    segments = read_segmentation(out / "marks.seg.nrrd")
    assert [one.name for one in segments.segments] == ["tumour", "cyst", "vessel", "margin"]
    for name, mark in zip(("tumour", "cyst", "vessel", "margin"), [*expected, expected[0]], strict=True):
        center = segments.grid.points_at(np.flatnonzero(segments.find(name).mask)).mean(axis=0)
        assert np.linalg.norm(center - mark) < half_mm
    header = sitk.ReadImage(str(out / "marks.seg.nrrd"))
    assert header.GetMetaData("Segmentation_ReferenceImageExtentOffset") == "0 0 0"
    assert header.GetMetaData("Segment3_Extent") == " ".join(f"0 {n - 1}" for n in target.size)
    assert header.GetMetaData("Segment3_Color") == "0.5 0.2 0.1"

    for name in ("points.fcsv", "points.csv", "points.mrk.json"):
        assert np.abs(read_landmarks(out / name).points_lps - expected).max() < 1e-3
    curve, angle = json.loads((out / "curves.mrk.json").read_text())["markups"]
    for markup in (curve, angle):
        positions = np.array([point["position"] for point in markup["controlPoints"]])
        positions = flip_points_lps_ras(positions) if markup is curve else positions
        assert np.abs(positions - expected).max() < 1e-3
        assert [point["description"] for point in markup["controlPoints"]] == ["kept"] * 3
        assert [point["selected"] for point in markup["controlPoints"]] == [True, False, True]
        assert "measurements" not in markup
    for name in MODELS:
        model = read_whole_model(out / name)
        assert model.space == "RAS"
        points = model.points_lps
        for number, mark in enumerate(expected):
            near = points[np.linalg.norm(points - mark, axis=1) < 9]
            assert np.linalg.norm((near.min(axis=0) + near.max(axis=0)) / 2 - mark) < 0.3, (name, number)
        # Files differ in the order of points, and in whether equal ones are kept apart.
        there = read_whole_model(given / name).points_lps
        pairs = (transform.to_moving(points), there) if to_fixed else (transform.to_moving(there), points)
        assert cKDTree(pairs[0]).query(pairs[1])[0].max() < 2e-3
    kinds = [one["kind"] for one in json.loads((tmp_path / "r.json").read_text())["files"]]
    assert kinds == ["volume", "label map", "segmentation", *["points"] * 2, *["markups"] * 2, *["model"] * 5]


def test_headers_only(tmp_path):
    source = moving_grid(TRANSFORMS["rigid"])
    image = drawn(source, TRANSFORMS["rigid"].to_moving(MARKS), labels=True)
    sitk.WriteImage(image, str(tmp_path / "labels.nii.gz"))
    write_segments(tmp_path / "marks.seg.nrrd", image)
    reference = sitk.ReadImage(str(tmp_path / "marks.seg.nrrd"))
    # As Slicer writes it: where it edits and converts the segments.
    geometry = flip_ijk_to_space(rigid([1, 0.2, -0.3], 15, [4, 5, 6]) @ np.diag([2, 2.5, 3, 1]))
    numbers = "".join(f"{number!r};" for number in geometry.ravel().tolist())
    parameters = f"Reference image geometry|{numbers}0;19;0;29;0;39;|How.&Smoothing factor|0.5|How."
    reference.SetMetaData("Segmentation_ConversionParameters", parameters)
    sitk.WriteImage(reference, str(tmp_path / "marks.seg.nrrd"))
    write_transform(tmp_path / "t.tfm", TRANSFORMS["rigid"])
    write_transform(tmp_path / "affine.tfm", TRANSFORMS["affine"])
    write_transform(tmp_path / "bent.h5", TRANSFORMS["non-linear"])
    names = ("labels.nii.gz", "marks.seg.nrrd")
    command = ("--moving-to-fixed", *(tmp_path / name for name in names), "--header-only", "--output-dir")
    done = run_command("transform", "apply", tmp_path / "t.tfm", *command, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for name in names:
        before, after = (sitk.ReadImage(str(folder / name)) for folder in (tmp_path, tmp_path / "out"))
        assert np.array_equal(sitk.GetArrayFromImage(before), sitk.GetArrayFromImage(after))
        corners = apply_matrix(np.linalg.inv(POSE), VolumeGrid.of_image(before).corners_lps)
        assert np.abs(VolumeGrid.of_image(after).corners_lps - corners).max() < 1e-3
    assert read_segmentation(tmp_path / "out" / "marks.seg.nrrd").find("margin") is not None
    carried = sitk.ReadImage(str(tmp_path / "out" / "marks.seg.nrrd")).GetMetaData("Segmentation_ConversionParameters")
    head, placed, tail = carried.split("|", 2)
    numbers = placed.rstrip(";").split(";")
    expected = flip_matrix_lps_ras(np.linalg.inv(POSE)) @ geometry
    np.testing.assert_allclose(np.array(numbers[:16], dtype=float).reshape(4, 4), expected, atol=1e-9)
    assert (head, numbers[16:]) == ("Reference image geometry", ["0", "19", "0", "29", "0", "39"])
    assert tail == "How.&Smoothing factor|0.5|How."
    for name, words in {"affine.tfm": "shears", "bent.h5": "not linear"}.items():
        refused = run_command("transform", "apply", tmp_path / name, *command, tmp_path / "none")
        assert refused.returncode == 2
        assert words in refused.stderr
        assert not list((tmp_path / "none").iterdir())


def test_planes_and_boxes_turn_with_a_rigid_transform(tmp_path):
    """In both conventions of the file: matrices and orientations have their first two rows negated in LPS."""
    axes = rotation([0.2, 0.5, -1], 50)
    base = np.eye(4)
    base[:3, :3], base[:3, 3] = axes, MARKS[0]
    moved = np.linalg.inv(POSE) @ base
    for space, flip in (("LPS", np.eye(4)), ("RAS", np.diag([-1.0, -1.0, 1.0, 1.0]))):
        own, expected = flip @ base, flip @ moved
        point = [{"label": "P", "position": own[:3, 3].tolist(), "orientation": own[:3, :3].ravel().tolist()}]
        common = {"coordinateSystem": space, "center": own[:3, 3].tolist(), "controlPoints": point}
        common["orientation"] = own[:3, :3].ravel().tolist()
        plane = {"type": "Plane", **common, "normal": own[:3, 2].tolist(), "baseToNode": own.ravel().tolist()}
        box = {"type": "ROI", **common, "size": [10, 20, 30]}
        path = tmp_path / f"{space}.mrk.json"
        path.write_text(json.dumps({"markups": [plane, box]}))
        write_transform(tmp_path / "t.tfm", TRANSFORMS["rigid"])
        out = tmp_path / f"out-{space}"
        done = run_command("transform", "apply", tmp_path / "t.tfm", "--moving-to-fixed", path, "--output-dir", out)
        assert done.returncode == 0, done.stderr
        plane, box = json.loads((out / path.name).read_text())["markups"]
        for markup in (plane, box):
            np.testing.assert_allclose(markup["center"], expected[:3, 3], atol=1e-9)
            np.testing.assert_allclose(np.reshape(markup["orientation"], (3, 3)), expected[:3, :3], atol=1e-9)
            np.testing.assert_allclose(markup["controlPoints"][0]["position"], expected[:3, 3], atol=1e-9)
        np.testing.assert_allclose(plane["normal"], expected[:3, 2], atol=1e-9)
        np.testing.assert_allclose(np.reshape(plane["baseToNode"], (4, 4)), expected, atol=1e-9)
        assert box["size"] == [10, 20, 30]
    write_transform(tmp_path / "affine.tfm", TRANSFORMS["affine"])
    refused = run_command(
        *("transform", "apply", tmp_path / "affine.tfm", "--moving-to-fixed", path, "--output-dir", tmp_path / "none")
    )
    assert refused.returncode == 2
    assert "not rigid" in refused.stderr


def test_what_cannot_be_carried(tmp_path):
    write_transform(tmp_path / "t.tfm", TRANSFORMS["rigid"])
    sitk.WriteImage(drawn(FIXED, MARKS, labels=True), str(tmp_path / "v.nrrd"))
    (tmp_path / "p.csv").write_text("label,x,y,z\nA,1,2,3\n")
    (tmp_path / "words.docx").write_text("no")
    for name, words in {"v.nrrd": "--reference", "p.csv": "LPS or RAS", "words.docx": "file type"}.items():
        out = tmp_path / f"out-{name}"
        done = run_command(
            *("transform", "apply", tmp_path / "t.tfm", "--fixed-to-moving", tmp_path / name, "--output-dir", out)
        )
        assert done.returncode == 2
        assert words in done.stderr
        assert not out.exists() or not list(out.iterdir())


def test_a_mirroring_transform_leaves_models_with_their_outside_outside(tmp_path):
    mirror = SpatialTransform.of_matrix("mirror", POSE @ np.diag([-1.0, 1.0, 1.0, 1.0]))
    write_transform(tmp_path / "t.tfm", mirror)
    write_balls(tmp_path / "model.vtk", MARKS[:1])
    done = run_command(
        *("transform", "apply", tmp_path / "t.tfm", "--fixed-to-moving", tmp_path / "model.vtk"),
        *("--output-dir", tmp_path / "out"),
    )
    assert done.returncode == 0, done.stderr
    for path in (tmp_path / "model.vtk", tmp_path / "out" / "model.vtk"):
        normals = vtk.vtkPolyDataNormals()
        normals.SetInputData(read_whole_model(path).data)
        normals.ComputeCellNormalsOn()
        normals.SplittingOff()
        normals.ConsistencyOff()
        normals.Update()
        data = normals.GetOutput()
        outward = np.array(data.GetCell(0).GetPoints().GetPoint(0)) - np.array(data.GetCenter())
        assert np.dot(data.GetCellData().GetNormals().GetTuple(0), outward) > 0


def ramp(dtype: type) -> Volume:
    """Values 10 i + 40 along the first axis, with a step at its end."""
    voxels = np.broadcast_to(10.0 * np.arange(12) + 40, (6, 6, 12)).copy()
    voxels[..., -2:] = 250
    return Volume(sitk.GetImageFromArray(voxels.astype(dtype)), "ramp")


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32])
def test_pixel_types_are_kept_and_integers_rounded(dtype):
    volume = ramp(dtype)
    shift = sitk.TranslationTransform(3, (1.37, 0.0, 0.0))
    moved = resample(volume, volume.grid, shift)
    assert moved.image.GetPixelID() == volume.image.GetPixelID()
    exact = 10 * np.arange(8) + 53.7
    expected = exact if dtype is np.float32 else np.rint(exact)
    np.testing.assert_allclose(moved.voxels[3, 3, :8], expected, atol=1e-4)
    # Beyond the end lies the lowest value, or what was asked for.
    assert moved.voxels[3, 3, 11] == 40
    assert resample(volume, volume.grid, shift, outside=7).voxels[3, 3, 11] == 7


def test_splines_that_overshoot_stay_within_the_type():
    volume = ramp(np.uint8)
    volume = Volume(sitk.Cast(volume.image > 100, sitk.sitkUInt8) * 255, "step")
    shift = sitk.TranslationTransform(3, (0.4, 0.0, 0.0))
    splines = resample(volume, volume.grid, shift, interpolation="bspline").voxels[3, 3]
    # Without a bound, -10 would have become 246.
    assert splines[:5].max() < 20
    assert splines[7:11].min() > 235
