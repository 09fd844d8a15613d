"""What the input check notices, what it leaves alone, and how the command tells it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_GRID, MR_GRID, centered_grid, rotation, run_command
from hypothesis import given
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.downsample import read_downsampled
from MultimodalRegistrationLib.preprocess import check as check_module
from MultimodalRegistrationLib.preprocess.check import check_file, check_volume
from MultimodalRegistrationLib.preprocess.findings import describe_orientation, placement_findings, shear_angle_deg
from MultimodalRegistrationLib.register.check_two import check_two
from test_volume_files import bad_files, noise, write, write_dicom_series


def volume_of(voxels, grid=None, name="scan"):
    image = sitk.GetImageFromArray(voxels)
    if grid is None:
        grid = centered_grid(list(image.GetSize()), [0.9, 1.1, 2.5], rotation([1, 0.3, -0.2], 12), [12, -31, 40])
    grid.place(image)
    return Volume(image, name)


def scan(shape=(30, 34, 38), seed=0):
    """Tissue with noise on a noisy background; slightly positive throughout."""
    random = np.random.default_rng(seed)
    voxels = random.normal(20, 4, shape)
    voxels[4:-4, 5:-5, 6:-6] = random.normal(400, 60, np.asarray(shape) - [8, 10, 12])
    return np.clip(voxels, 0, None).astype(np.int16)


def codes(findings, severity=None):
    return {finding.code for finding in findings if severity in (None, finding.severity)}


def finding(findings, code):
    return next(f for f in findings if f.code == code)


def test_a_sound_volume_gives_no_findings():
    assert check_volume(volume_of(scan())) == ()


@pytest.mark.parametrize("modality", ["head_ct", "head_mr"])
def test_phantoms_on_oblique_and_flipped_grids_give_notes_only(modality, request):
    findings = check_volume(request.getfixturevalue(modality))
    assert {f.severity for f in findings} <= {"note"}, findings


# --- kind and file ---------------------------------------------------------------------------------------------------

EXPECTED = {
    "absent.nrrd": ("not-found", "unknown"),
    "text.nrrd": ("not-an-image", "unknown"),
    "notes.docx": ("file-type", "unknown"),
    "flat.nrrd": ("not-three-dimensional", "image of one slice"),
    "slice.nrrd": ("few-voxels", "scalar volume"),
    "vector.nrrd": ("vector", "vector or colour volume"),
    "rgb.mha": ("vector", "vector or colour volume"),
    "series.nii.gz": ("sequence", "time series or sequence"),
    "constant.nrrd": ("constant", "scalar volume"),
    "nan.nrrd": ("not-finite", "scalar volume"),
    "inf.nrrd": ("not-finite", "scalar volume"),
    "labels.nrrd": ("label-map", "label map"),
    "many-labels.nrrd": ("label-map", "label map"),
    "bones.seg.nrrd": ("segmentation", "segmentation"),
    "huge.nrrd": ("extent", "scalar volume"),
    "truncated.nii": ("truncated", "scalar volume"),
    "truncated.nii.gz": ("truncated", "scalar volume"),
    "negative.nii": ("spacing", "scalar volume"),
    "zero.mha": ("spacing", None),
    "negative.mha": ("spacing", None),
}


def test_every_refusal_is_a_finding_with_a_stable_code_and_a_remedy(tmp_path):
    for name in bad_files(tmp_path):
        report = check_file(tmp_path / name)
        errors = [f for f in report.findings if f.severity == "error"]
        assert errors, name
        assert all(len(f.remedy) > 10 for f in errors)
        if name in EXPECTED:
            code, kind = EXPECTED[name]
            assert code in codes(errors), (name, errors)
            assert kind in (None, report.kind), (name, report.kind)


def test_headers_of_refused_files_are_described(tmp_path):
    report = check_file(write(tmp_path / "v.nrrd", noise(20, 21, 22, 3), vector=True, spacing=(1, 2, 3)))
    assert report.size == (22, 21, 20)
    assert report.spacing_mm == (1, 2, 3)
    assert report.value_range is None
    assert report.volume is None
    assert report.orientation.startswith("axial")


def test_a_large_volume_is_looked_at_in_blocks(tmp_path, monkeypatch):
    path = write(tmp_path / "big.nrrd", noise(20, 21, 22), spacing=(1, 2, 3))
    monkeypatch.setattr(check_module, "_MAX_BYTES", 20 * 21 * 22 * 2 - 1)
    monkeypatch.setattr(check_module, "read_unjudged", lambda path: pytest.fail("it was read whole"))
    monkeypatch.setattr(check_module, "read_downsampled", lambda path, memory_limit_bytes: read_downsampled(path))
    report = check_file(path)
    assert "large" in codes(report.findings, "note")
    assert not codes(report.findings, "error")
    assert report.size == (22, 21, 20)
    assert report.spacing_mm == (1, 2, 3)


def test_placement_and_values_are_told_at_once(tmp_path):
    voxels = noise(40, 200, 210).astype(np.float32)
    voxels[3, 4, 5] = np.nan
    report = check_file(write(tmp_path / "both.nrrd", voxels, spacing=(10, 10, 10)))
    assert codes(report.findings, "error") == {"extent", "not-finite"}
    assert report.value_range == (0, 999)


# --- placement -------------------------------------------------------------------------------------------------------


def test_micrometres_stored_as_millimetres_are_an_error_from_the_placement_alone():
    # As 2160 x 2560 x 472 voxels of 1 mm would be, with fewer voxels.
    grid = centered_grid([54, 64, 12], [40, 40, 40], np.eye(3), [0, 0, 3])
    findings = check_volume(volume_of(scan((12, 64, 54)), grid))
    assert "2160 x 2560 x 480 mm" in finding(findings, "extent").message


def test_a_damaged_placement_is_told_not_raised():
    grid = VolumeGrid((38, 34, 30), (1.0, 1.0, 2.0), (float("nan"), 0.0, 0.0), (float("nan"), *np.eye(3).ravel()[1:]))
    assert codes(placement_findings(grid, "scan", {}), "error") == {"spacing"}
    assert describe_orientation(grid).slices == "axial"


@pytest.mark.parametrize(("ratio", "severity"), [(5, None), (8, "note"), (25, "warning")])
def test_anisotropy(ratio, severity):
    grid = centered_grid([38, 34, 30], [0.5, 0.5, 0.5 * ratio], rotation([1, 0.3, -0.2], 12), [3, 4, 5])
    assert codes(check_volume(volume_of(scan(), grid)), severity) == ({"anisotropic-spacing"} if severity else set())


def test_a_volume_in_metres():
    grid = centered_grid([38, 34, 30], [0.001, 0.001, 0.002], rotation([1, 0.3, -0.2], 12), [3, 4, 5])
    assert codes(check_volume(volume_of(scan(), grid)), "warning") == {"small-extent"}


def test_sheared_axes():
    matrix = CT_GRID.ijk_to_lps
    matrix[:3, 2] += (
        np.tan(np.radians(15)) * np.linalg.norm(matrix[:3, 2]) * matrix[:3, 1] / np.linalg.norm(matrix[:3, 1])
    )
    grid = VolumeGrid.of_matrix((38, 34, 30), matrix)
    assert shear_angle_deg(grid) == pytest.approx(15, abs=1e-6)
    assert shear_angle_deg(CT_GRID) == pytest.approx(0, abs=1e-6)
    found = finding(check_volume(volume_of(scan(), grid)), "sheared")
    assert found.severity == "warning"
    assert "15.0 degrees" in found.message


def test_left_handed_storage_is_a_note():
    grid = centered_grid([38, 34, 30], [1, 1, 2], rotation([1, 0.3, -0.2], 12) @ np.diag([1, -1, 1]), [3, 4, 5])
    assert codes(check_volume(volume_of(scan(), grid))) == codes(check_volume(volume_of(scan(), grid)), "note")
    assert codes(check_volume(volume_of(scan(), grid))) == {"left-handed"}


def test_orientation_in_words():
    axes = rotation([0, 0, 1], 12)
    described = describe_orientation(centered_grid([9, 9, 9], [1, 1, 1], axes, [0, 0, 0]))
    assert described.words == "axial, right-left / anterior-posterior / inferior-superior, oblique by 12 degrees"
    # I to the right, J to the front, K to the head, as RAS volumes in NIfTI files are stored with a flipped I.
    described = describe_orientation(centered_grid([9, 9, 9], [1, 1, 1], np.diag([1, -1, 1]), [0, 0, 0]))
    assert described.words == "axial, right-left / posterior-anterior / inferior-superior, left-handed storage"
    # Sagittal: I to the back, J to the feet, K to the right.
    sagittal = np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]])
    described = describe_orientation(centered_grid([9, 9, 9], [1, 1, 1], sagittal, [0, 0, 0]))
    assert described.words == "sagittal, anterior-posterior / superior-inferior / left-right"
    assert describe_orientation(CT_GRID).left_handed
    assert not describe_orientation(MR_GRID).left_handed


@given(
    permutation=st.permutations([0, 1, 2]),
    signs=st.lists(st.sampled_from([-1.0, 1.0]), min_size=3, max_size=3),
    axis=st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(lambda a: np.linalg.norm(a) > 0.1),
    angle_deg=st.floats(0, 40),
)
def test_the_oblique_angle_and_ends_are_those_that_were_put_in(permutation, signs, axis, angle_deg):
    # Up to 40 degrees no other set of patient axes is nearer.
    nearest = np.eye(3)[:, permutation] * signs
    grid = centered_grid([9, 9, 9], [1, 2, 3], rotation(axis, angle_deg) @ nearest, [0, 0, 0])
    described = describe_orientation(grid)
    assert described.oblique_deg == pytest.approx(angle_deg, abs=1e-4)
    pairs = (("right", "left"), ("anterior", "posterior"), ("inferior", "superior"))
    expected = tuple(pairs[p] if s > 0 else pairs[p][::-1] for p, s in zip(permutation, signs, strict=True))
    assert described.ends == expected
    assert described.left_handed == (np.linalg.det(nearest) < 0)


def test_headers_without_orientation(tmp_path):
    header = "NRRD0004\ntype: short\ndimension: 3\nsizes: 38 34 30\nspacings: 1 1 2\nendian: little\nencoding: raw\n\n"
    (tmp_path / "no-space.nrrd").write_bytes(header.encode() + scan().tobytes())
    assert codes(check_file(tmp_path / "no-space.nrrd").findings) == {"no-orientation"}
    image = volume_of(scan()).image
    sitk.WriteImage(image, str(tmp_path / "known.nii"))
    assert check_file(tmp_path / "known.nii").findings == ()
    content = bytearray((tmp_path / "known.nii").read_bytes())
    content[252:256] = bytes(4)  # qform_code and sform_code
    (tmp_path / "unknown.nii").write_bytes(content)
    assert "no-orientation" in codes(check_file(tmp_path / "unknown.nii").findings, "note")
    # In memory: nothing but the defaults.
    default = Volume(sitk.GetImageFromArray(scan()), "default")
    assert codes(check_volume(default)) == {"no-orientation"}


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("top", "kind"), [(255, np.uint8), (4095, np.int16), (1.0, np.float32)])
def test_a_clipped_range(top, kind):
    random = np.random.default_rng(3)
    full = random.normal(0.6, 0.25, (30, 34, 38)) * top
    full[:, :8] = random.normal(0.05, 0.01, (30, 8, 38)) * top
    clipped = volume_of(np.clip(full, 0, top).astype(kind))
    assert codes(check_volume(clipped), "warning") == {"clipped-range"}
    whole = volume_of((np.clip(full, 0, None) / full.max() * top).astype(kind))
    assert codes(check_volume(whole), "warning") == set()


def test_ct_without_rescale(head_ct):
    raw = volume_of(np.clip(head_ct.voxels + 1024, 0, 4095).astype(np.uint16), head_ct.grid)
    assert "ct-without-rescale" in codes(check_volume(raw), "note")
    assert "ct-without-rescale" not in codes(check_volume(head_ct))


def test_an_almost_empty_volume():
    voxels = np.zeros((40, 40, 40), np.int16)
    voxels[18:22, 18:22, 18:22] = noise(4, 4, 4) + 1
    assert "almost-empty" in codes(check_volume(volume_of(voxels)), "warning")


# --- slices ----------------------------------------------------------------------------------------------------------


def test_padded_slices_are_counted_with_the_end_of_the_patient():
    voxels = scan()
    voxels[:2], voxels[-3:] = -1000, -1000
    grid = centered_grid([38, 34, 30], [1, 1, 2], rotation([1, 0.3, -0.2], 12), [3, 4, 5])
    found = finding(check_volume(volume_of(voxels, grid)), "padded-slices")
    assert found.severity == "note"
    assert "2 at the inferior end (value -1000), 3 at the superior end (value -1000)" in found.message


def test_a_slice_lost_between_others():
    voxels = scan()
    voxels[13] = 0
    found = finding(check_volume(volume_of(voxels)), "blank-slices")
    assert found.severity == "warning"
    assert found.message == "1 slices between others along K hold a single value: 13"


def test_slices_written_twice():
    voxels = scan()
    voxels[:, 20] = voxels[:, 9]
    found = finding(check_volume(volume_of(voxels)), "repeated-slices")
    assert "1 of 34 slices along J are copies of others: 20 (as 9)" in found.message


# --- DICOM -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("positions", "shear", "code"),
    [
        ([0, 2.5, 5, 10, 12.5, 15], 0, "uneven-slices"),
        ([0, 2.5, 5, 7.5, 10], np.tan(np.radians(20)), "sheared"),
        ([0, 0, 2.5, 2.5, 5, 5, 7.5, 7.5], 0, "repeated-positions"),
    ],
)
def test_series_that_itk_would_read_wrongly(tmp_path, positions, shear, code):
    write_dicom_series(tmp_path / "series", positions, shear=shear)
    assert codes(check_file(tmp_path / "series").findings, "error") == {code}


def test_a_sound_series_gives_no_findings(tmp_path):
    write_dicom_series(tmp_path / "series", [2.5 * n for n in range(8)])
    report = check_file(tmp_path / "series")
    assert report.findings == ()
    assert report.size == (24, 20, 8)


def test_tags_of_a_series(tmp_path):
    write_dicom_series(
        tmp_path / "series",
        [4.0 * n for n in range(8)],
        tags={"0018|1120": "-12.5", "0018|0050": "2.5", "0028|1052": "0"},
    )
    findings = check_file(tmp_path / "series").findings
    assert codes(findings) == {"gantry-tilt", "gaps-between-slices", "ct-without-rescale"}
    assert "-12.5 degrees" in finding(findings, "gantry-tilt").message
    assert "2.5 mm lie 4 mm apart" in finding(findings, "gaps-between-slices").message


# --- pairs -----------------------------------------------------------------------------------------------------------


def test_pairs(head_ct, head_mr, monkeypatch):
    assert codes(check_two(head_ct, head_mr)) == set()
    assert codes(check_two(head_ct, head_ct), "warning") == {"same-volume"}
    far = volume_of(scan(), centered_grid([38, 34, 30], [1, 1, 2], rotation([1, 2, 3], 33), [900, 0, 0]))
    assert codes(check_two(head_ct, far), "note") == {"little-overlap"}
    small = volume_of(scan(), centered_grid([38, 34, 30], [0.01, 0.01, 0.01], rotation([1, 2, 3], 33), [0, 0, 0]))
    assert codes(check_two(head_ct, small), "error") == {"different-units"}
    monkeypatch.setattr("MultimodalRegistrationLib.register.memory_need.available_memory_bytes", lambda: 10_000)
    assert "crop or downsample" in finding(check_two(head_ct, head_mr), "memory").remedy


# --- real volumes ----------------------------------------------------------------------------------------------------

# What remains to be said about them, and rightly so: templates in left-handed order, brain-extracted volumes and a
# phantom in empty margins, slices that the resampling of a tilted MR left empty.
NOTES = {"left-handed", "padded-slices"}
# Its slices are 5.2 mm apart, its pixels 0.78 mm.
THICK_SLICES = "mr_t1_thigh.nrrd"


def test_real_volumes_give_neither_errors_nor_warnings(real_data):
    volumes = [path for path in sorted(real_data.glob("*/*.n*")) if path.name.endswith((".nrrd", ".nii.gz"))]
    assert len(volumes) > 20
    for path in volumes:
        report = check_file(path)
        if "tumour" in path.name:
            assert report.kind == "label map"
        else:
            assert report.kind == "scalar volume"
            assert codes(report.findings, "error") == codes(report.findings, "warning") == set(), (path, report)
            expected = {"anisotropic-spacing"} if path.name == THICK_SLICES else set()
            assert expected <= codes(report.findings) <= NOTES | expected, (path, report)


def test_a_real_ct_without_rescale(real_data):
    volume = check_file(real_data / "sarcoma-010" / "ct.nrrd").volume
    raw = Volume(sitk.Cast(volume.image + 1024, sitk.sitkUInt16), "raw")
    assert codes(check_volume(raw)) == {"ct-without-rescale"}


# --- command ---------------------------------------------------------------------------------------------------------


def test_command_describes_and_writes_json(tmp_path, head_ct, head_mr):
    sitk.WriteImage(head_ct.image, str(tmp_path / "ct.nrrd"))
    sitk.WriteImage(head_mr.image, str(tmp_path / "mr.nrrd"))
    done = run_command("check", tmp_path / "ct.nrrd", tmp_path / "mr.nrrd", "--json", tmp_path / "r.json")
    assert done.returncode == 0, done.stderr
    assert "scalar volume, 84 x 96 x 52 voxels of 2.2 x 2.2 x 4.5 mm" in done.stdout
    assert "axial, right-left / anterior-posterior / superior-inferior, oblique by 12 degrees" in done.stdout
    content = json.loads((tmp_path / "r.json").read_text())
    assert content["schema"] == 1
    assert [volume["size"] for volume in content["volumes"]] == [[84, 96, 52], [70, 64, 80]]
    assert content["volumes"][0]["findings"][0]["code"] == "left-handed"
    assert content["pair"] == []
    assert 0.2e9 < content["memory_bytes"] < 0.4e9
    assert "Both\n  a registration takes about 0.3 GB of memory" in done.stdout


def test_command_fails_on_an_error_and_still_writes_the_report(tmp_path):
    write(tmp_path / "colour.nrrd", noise(20, 20, 20, 3), vector=True)
    done = run_command("check", tmp_path / "colour.nrrd", "--json", tmp_path / "r.json")
    assert done.returncode == 2
    assert "error: a vector or colour volume (3 components a voxel)" in done.stdout
    assert "[vector]" in done.stdout
    assert json.loads((tmp_path / "r.json").read_text())["volumes"][0]["kind"] == "vector or colour volume"


def test_command_never_overwrites_an_input(tmp_path):
    path = write(tmp_path / "scan.nrrd", noise(20, 20, 20))
    assert run_command("check", path, "--json", path).returncode == 2
    assert path.read_bytes().startswith(b"NRRD")
