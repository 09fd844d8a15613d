"""Users' stories of transforms: one that comes before, those that ride along, the way back, and pictures."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import rigid
from MultimodalRegistrationLib.core.linear import apply_matrix, sitk_from_matrix
from MultimodalRegistrationLib.io.landmarks import read_landmarks
from MultimodalRegistrationLib.io.transforms import read_linear_transform
from story_cases import Case, Run, about, command, place_elsewhere, register, write_points

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hip(real_data, tmp_path_factory):
    """CT, and T1 and PET that lie in one frame, as of a PET/MR, far from where the CT lies."""
    case, folder = Case.real("sarcoma-048", real_data), tmp_path_factory.mktemp("hip")
    pet = Case.real("sarcoma-048-pet", real_data)
    place_elsewhere(pet.moving, case.truth_lps @ np.linalg.inv(pet.truth_lps), folder / "pet.nrrd")
    return case, folder / "pet.nrrd", pet


@pytest.fixture(scope="module")
def registered(hip, tmp_path_factory) -> tuple[Run, Run]:
    """Two runs of the same input and seed, from a prealignment that is 14 mm off; of the first all files."""
    case, pet, _ = hip
    folder = tmp_path_factory.mktemp("registered")
    off = about(case.points_lps.mean(axis=0), rigid([1, 0.4, -0.3], 7, [8, -10, 4]))
    sitk.WriteTransform(sitk_from_matrix(case.truth_lps @ off), str(folder / "prealignment.tfm"))
    write_points(folder / "plan.mrk.json", apply_matrix(case.truth_lps, case.points_lps[:5]), list("abcde"))
    start = ["--initial-transform", folder / "prealignment.tfm", "--start", "given", "--threads", 1]
    outputs = ["--output-volume", folder / "on-ct.nrrd", "--carry", pet, folder / "plan.mrk.json"]
    first = register(case.fixed, case.moving, folder / "first", *start, *outputs, "--carry-dir", folder / "carried")
    again = register(case.fixed, case.moving, folder / "again", *start, "--no-verdict")
    return first, again


@pytest.mark.story("U27")
def test_the_result_holds_the_prealignment_and_volumes_are_resampled_once(hip, registered):
    case, _, _ = hip
    run, _ = registered
    folder = run.transform.parent.parent
    assert (run.code, run.word) == (0, "verified"), run.said
    # This one file takes the moving volume from where it was: the prealignment is in it.
    assert case.error_mm(folder / "prealignment.tfm") > 10
    assert case.error_mm(run.transform) <= case.limit_mm
    image = sitk.ReadImage(str(case.moving))
    once = sitk.Resample(
        image,
        sitk.ReadImage(str(case.fixed)),
        sitk_from_matrix(read_linear_transform(run.transform)),
        sitk.sitkLinear,
        float(sitk.GetArrayViewFromImage(image).min()),
    )
    found = sitk.ReadImage(str(folder / "on-ct.nrrd"))
    np.testing.assert_allclose(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(once), atol=1)


@pytest.mark.story("U20")
def test_pet_rides_along_with_its_mr(hip, registered):
    case, _, pet = hip
    carried = registered[0].transform.parent.parent / "carried"
    found = sitk.ReadImage(str(carried / "pet.nrrd"))
    fixed, image = sitk.ReadImage(str(case.fixed)), sitk.ReadImage(str(pet.moving))
    assert found.GetSize() == fixed.GetSize()
    right = sitk.Resample(image, fixed, sitk_from_matrix(pet.truth_lps), sitk.sitkLinear, 0.0)
    pair = [sitk.GetArrayFromImage(one).astype(float) for one in (found, right)]
    inside = pair[1] > 0.5
    assert inside.sum() > 10_000
    assert np.corrcoef(pair[0][inside], pair[1][inside])[0, 1] > 0.95
    plan = read_landmarks(carried / "plan.mrk.json")
    assert [one.label for one in plan.landmarks] == list("abcde")
    assert np.linalg.norm(plan.points_lps - case.points_lps[:5], axis=1).mean() <= case.limit_mm


@pytest.mark.story("U26")
def test_a_plan_goes_to_the_ct_and_back(hip, registered, tmp_path):
    case, _, _ = hip
    run, _ = registered
    folder = run.transform.parent.parent
    done = command(
        *("transform", "invert", run.transform, "--output-transform", tmp_path / "back.h5"),
        *("--over", case.fixed, "--json", tmp_path / "I.json"),
    )
    assert done.code == 0, done.said
    both = read_linear_transform(tmp_path / "back.h5") @ read_linear_transform(run.transform)
    np.testing.assert_allclose(both, np.eye(4), atol=1e-9)
    assert json.loads((tmp_path / "I.json").read_text())["return_error"]["max_mm"] < 1e-6
    done = command(
        *("transform", "apply", run.transform, "--fixed-to-moving", folder / "carried" / "plan.mrk.json"),
        *("--output-dir", tmp_path / "on-mr"),
    )
    assert done.code == 0, done.said
    there, again = (read_landmarks(one / "plan.mrk.json").points_lps for one in (folder, tmp_path / "on-mr"))
    np.testing.assert_allclose(again, there, atol=1e-3)


@pytest.mark.story("U11")
def test_results_are_compared_in_mm_and_the_same_seed_gives_the_same(hip, registered, tmp_path):
    case, _, _ = hip
    first, again = registered
    np.testing.assert_array_equal(read_linear_transform(first.transform), read_linear_transform(again.transform))
    start = ["--initial-transform", first.transform.parent.parent / "prealignment.tfm", "--start", "given"]
    other = register(case.fixed, case.moving, tmp_path / "other", *start, "--seed", 99, "--no-verdict")
    matrices = [read_linear_transform(one.transform) for one in (first, other)]
    assert np.abs(matrices[0] - matrices[1]).max() > 1e-3, "entries differ"
    done = command(
        *("transform", "compare", first.transform, other.transform, "--over", case.fixed, "--json", tmp_path / "C.json")
    )
    assert done.code == 0, done.said
    assert "mm" in done.said
    content = json.loads((tmp_path / "C.json").read_text())
    assert content["displacement"]["mean_mm"] < 0.5


@pytest.mark.story("U36")
def test_pictures_before_and_after_for_a_thesis(hip, registered, tmp_path):
    case, _, _ = hip
    run, _ = registered
    at = ",".join(f"{value:.1f}" for value in case.points_lps.mean(axis=0) * [-1, -1, 1])
    pixels = {}
    for mode in ("overlay", "checkerboard"):
        path = tmp_path / f"{mode}.png"
        done = command(
            *("picture", "--fixed", case.fixed, "--moving", case.moving, "--transform", run.transform),
            *(f"--at={at}", "--mode", mode, "--output", path),
        )
        assert done.code == 0, done.said
        pixels[mode] = sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(float)
    assert pixels["overlay"].shape == pixels["checkerboard"].shape
    assert min(pixels["overlay"].shape[:2]) > 800, "too small for print"
    # Three planes before and three after: two rows that differ.
    upper, lower = np.array_split(pixels["overlay"][: pixels["overlay"].shape[0] // 2 * 2], 2)
    assert np.abs(upper - lower).mean() > 5
