"""Users' stories of what goes wrong: no overlap, voxels of micrometres, too little memory, a part of the whole."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import rigid
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm
from MultimodalRegistrationLib.io.transforms import read_linear_transform
from story_cases import Case, command, register, write_points

pytestmark = pytest.mark.slow


@pytest.mark.story("U23")
def test_volumes_that_do_not_overlap(real_data, tmp_path):
    """Told before an engine starts; and a run that may search needs no overlap."""
    case = Case.real("template-t2", real_data).moving_elsewhere(
        rigid([0, 0, 1], 0, [40, 600, -30]), tmp_path / "m.nrrd"
    )
    run = register(case.fixed, case.moving, tmp_path / "given", "--start", "given")
    assert run.code == 2
    assert "no overlap" in run.said
    assert "Use the start 'auto' to search all poses, or give an initial transform" in run.said, "no remedy"
    assert list((tmp_path / "given").iterdir()) == [], "no engine ran, and nothing was written"
    run = register(case.fixed, case.moving, tmp_path / "auto")
    assert (run.code, run.word) == (0, "verified"), run.said
    assert case.error_mm(run.transform) <= case.limit_mm


@pytest.mark.story("U23")
def test_a_pair_with_which_elastix_stops_for_samples_outside(real_data, tmp_path):
    """From where the files place it, its usual rigid settings end with "Too many samples map outside"."""
    case = Case.real("sarcoma-035", real_data)
    run = register(case.fixed, case.moving, tmp_path)
    assert (run.code, run.word) == (0, "verified"), run.said
    assert case.error_mm(run.transform) <= case.limit_mm


def write_huge(folder, spacing_mm):
    """2160 x 2560 x 472 voxels of one byte: a file with a hole of 2.6 GB, which takes no room on the disk."""
    header = folder / f"histology-{spacing_mm}.nhdr"
    directions = " ".join(
        f"({','.join(str(spacing_mm if row == column else 0) for column in range(3))})" for row in range(3)
    )
    header.write_text(
        "NRRD0004\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\nsizes: 2160 2560 472\n"
        f"space directions: {directions}\nspace origin: (0,0,0)\nkinds: domain domain domain\n"
        "encoding: raw\ndata file: histology.raw\n"
    )
    with (folder / "histology.raw").open("wb") as file:
        file.truncate(2160 * 2560 * 472)
    return header


@pytest.mark.story("U30")
def test_a_block_of_tissue_of_two_metres(real_data, tmp_path):
    huge = write_huge(tmp_path, 1)
    mri = real_data / "template" / "t1.nrrd"
    done = command("check", huge, mri, "--json", tmp_path / "R.json")
    assert done.code == 2
    assert "2160 x 2560 x 472 mm" in done.said
    assert "micrometre" in done.said
    findings = json.loads((tmp_path / "R.json").read_text())["volumes"][0]["findings"]
    (extent,) = [one for one in findings if one["code"] == "extent"]
    assert (extent["severity"], len(extent["remedy"]) > 20) == ("error", True)
    run = register(huge, mri, tmp_path / "run")
    assert run.code == 2
    assert "2160 x 2560 x 472 mm" in run.said
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.story("U31")
def test_memory_is_estimated_before_it_is_used(real_data, tmp_path):
    """The same block with its true voxels: what a run would take is told from the header alone."""
    huge, mri = write_huge(tmp_path, 0.02), real_data / "template" / "t1.nrrd"
    run = register(mri, huge, tmp_path / "run", "--output-volume", tmp_path / "R.nrrd", "--memory-limit", 1)
    assert run.code == 2
    assert "GB" in run.said
    assert "Leave out the resampled volume" in run.said
    assert list((tmp_path / "run").iterdir()) == []


def write_part(case, path, shares):
    """A block of the moving volume, from a share of its length along each axis to another."""
    image = sitk.ReadImage(str(case.moving))
    block = [slice(int(low * n), int(high * n)) for (low, high), n in zip(shares, image.GetSize(), strict=True)]
    sitk.WriteImage(image[tuple(block)], str(path))
    return path


@pytest.mark.story("U33")
def test_half_a_head_against_the_whole(real_data, tmp_path):
    """One side of the T2 and three fifths of its height, elsewhere and turned, against the whole T1."""
    case = Case.real("template-t2", real_data)
    part = write_part(case, tmp_path / "part.nrrd", [(0, 0.5), (0, 1), (0.2, 0.8)])
    run = register(case.fixed, part, tmp_path / "run")
    assert (run.code, run.word) == (0, "verified"), run.said
    assert case.error_mm(run.transform) <= case.limit_mm


@pytest.mark.story("U33")
def test_a_piece_of_a_thigh_is_found_with_landmarks(real_data, tmp_path):
    """A fifth of the MR looks alike along the leg: alone it is not verified, with five pairs of points it is."""
    case = Case.real("sarcoma-048", real_data)
    part = write_part(case, tmp_path / "part.nrrd", [(0.25, 0.75), (0, 1), (0.3, 0.7)])
    alone = register(case.fixed, part, tmp_path / "alone")
    assert alone.word != "verified" or case.error_mm(alone.transform) <= case.limit_mm, alone.said
    inside = VolumeGrid.of_image(sitk.ReadImage(str(part))).contains(apply_matrix(case.truth_lps, case.points_lps))
    points = case.points_lps[inside]
    points = points[:: len(points) // 5][:5]
    random = np.random.default_rng(5)
    landmarks = [
        *("--fixed-landmarks", write_points(tmp_path / "F.mrk.json", points + random.normal(0, 1.2, points.shape))),
        "--moving-landmarks",
        write_points(
            tmp_path / "M.mrk.json", apply_matrix(case.truth_lps, points) + random.normal(0, 1.2, points.shape)
        ),
    ]
    run = register(case.fixed, part, tmp_path / "landmarks", *landmarks)
    assert (run.code, run.word) == (0, "verified"), run.said
    assert case.error_mm(run.transform) <= case.limit_mm


@pytest.mark.story("U33")
def test_a_thigh_in_a_whole_body_pet_is_not_taken_for_found(real_data, tmp_path):
    """One thigh in MR and the whole body in PET, 780 mm apart: two thighs, and contrast that they hardly share."""
    folder = real_data / "whole-body"
    truth = read_linear_transform(folder / "reference_t1_to_pet_lps.tfm")
    points = np.loadtxt(folder / "points_t1_lps.csv", delimiter=",", skiprows=1)
    run = register(folder / "mr_t1_thigh.nrrd", folder / "pet_whole_body.nrrd", tmp_path)
    error = displacement_mm(read_linear_transform(run.transform), truth, points).mean()
    assert error <= 10 or (run.code, run.word) == (6, "failed"), (error, run.said)
    if run.code == 6:
        assert not (tmp_path / "T.h5").exists()
        assert "landmarks, an initial transform or masks" in run.said
