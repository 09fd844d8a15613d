"""Structures near their common start: found, kept there, skipped or failed, each with a known answer."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import centered_grid, rigid
from MultimodalRegistrationLib.cli.main import main
from MultimodalRegistrationLib.core.errors import EngineError, InputError
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm, sitk_from_matrix
from MultimodalRegistrationLib.engines.presets.preset import find_preset
from MultimodalRegistrationLib.engines.session import EngineSessions
from MultimodalRegistrationLib.io.segmentations import Segmentation
from MultimodalRegistrationLib.io.transforms import read_linear_transform
from MultimodalRegistrationLib.polyrigid import register_one as register_one_module
from MultimodalRegistrationLib.polyrigid.combine import combine_rigid
from MultimodalRegistrationLib.polyrigid.field import field_jacobian, share_text
from MultimodalRegistrationLib.polyrigid.near_start import (
    OWN_MOTION_DEG,
    OWN_MOTION_MM,
    MotionBounds,
    Surroundings,
    bounds_of_start,
    near_start_candidates,
    start_error_mm,
)
from MultimodalRegistrationLib.polyrigid.register_each import register_structures
from MultimodalRegistrationLib.polyrigid.register_one import is_trusted, kept_verdict, register_one
from MultimodalRegistrationLib.polyrigid.report import joint_content
from MultimodalRegistrationLib.polyrigid.structure import in_view, structure_region, structures_of
from MultimodalRegistrationLib.register import prepare
from MultimodalRegistrationLib.register.pair import make_pair
from MultimodalRegistrationLib.register.run import Run
from MultimodalRegistrationLib.register.search.bounds import Bounds
from MultimodalRegistrationLib.register.search.lattices import Lattices
from structure_phantom import COMMON, FIXED_GRID, MOVING_GRID, around, paste, points_of, volume

PERCENTILES = find_preset("rigid").winsorize_percentiles
MOVED, NOT_SHOWN, OUTSIDE = 3, 7, 9


@pytest.fixture(scope="module")
def three():
    """A bone that moved, a part that the moving volume does not show, and a part outside of that; and the start."""
    points = points_of(FIXED_GRID) - FIXED_GRID.center_lps
    along = points @ np.asarray(FIXED_GRID.direction).reshape(3, 3)
    rng = np.random.default_rng(3)
    values = 40 + 300 * np.zeros(len(points)) + 10 * rng.normal(size=len(points))
    labels = np.zeros(len(points))
    x = (along - [-20, 0, 0]) / [14, 20, 24]
    radius = np.linalg.norm(x, axis=1) * (1 + 0.25 * np.sin(3 * x[:, 1] + 3) * np.cos(2.5 * x[:, 2]))
    labels[radius <= 1] = MOVED
    values = np.where(radius <= 1, np.where(radius > 0.75, 1100, 350 + 300 * x[:, 2]), values)
    labels[np.linalg.norm(along - [18, 0, 12], axis=1) <= 12] = NOT_SHOWN
    labels[(np.abs(along - [18, 0, -34]) <= [12, 12, 8]).all(axis=1)] = OUTSIDE
    fixed, map_of_labels = volume(values, FIXED_GRID, "ct"), volume(labels, FIXED_GRID, "labels", np.uint8)
    structures = structures_of(Segmentation.of_labels(map_of_labels))
    motion = COMMON @ around(structures[0], rigid([1, 0.2, 0.4], 9, [-5, 4, 6]))
    moving = paste(fixed, map_of_labels, {MOVED: motion}, MOVING_GRID, modality="other", seed=5)
    # Cut off on the side of the last one.
    middle = apply_matrix(COMMON, structures[2].points_lps).mean(axis=0)
    index = apply_matrix(np.linalg.inv(moving.grid.ijk_to_lps), middle)
    others = apply_matrix(np.linalg.inv(moving.grid.ijk_to_lps), apply_matrix(COMMON, structures[0].points_lps))
    axis = int(np.argmax(np.abs(index - others.mean(axis=0))))
    reach = np.ptp(
        apply_matrix(np.linalg.inv(moving.grid.ijk_to_lps), apply_matrix(COMMON, structures[2].points_lps)), axis=0
    )
    low, high = [0, 0, 0], list(moving.grid.size)
    if index[axis] > others[:, axis].mean():
        high[axis] = int(index[axis] - reach[axis] / 2) - 1
    else:
        low[axis] = int(index[axis] + reach[axis] / 2) + 2
    cut = sitk.RegionOfInterest(moving.image, [b - a for a, b in zip(low, high, strict=True)], low)
    return fixed, dataclasses.replace(moving, image=cut), map_of_labels, structures, motion


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, three):
    folder = tmp_path_factory.mktemp("near-start")
    fixed, moving, labels = three[:3]
    for name, one in (("ct.nrrd", fixed), ("mr.nrrd", moving), ("labels.nrrd", labels)):
        sitk.WriteImage(one.image, str(folder / name))
    sitk.WriteTransform(sitk_from_matrix(COMMON), str(folder / "common.tfm"))
    return folder


def command(inputs, out, *more):
    return [
        *("structures", "--fixed", str(inputs / "ct.nrrd"), "--moving", str(inputs / "mr.nrrd")),
        *("--segmentation", str(inputs / "labels.nrrd"), "--initial-transform", str(inputs / "common.tfm")),
        *("--output-dir", str(out), *more),
    ]


@pytest.fixture(scope="module")
def run(inputs):
    """The command once: its folder, what it printed, and what was registered."""
    kept = []

    def remember(*volumes, **options):
        kept.extend(register_structures(*volumes, **options))
        return tuple(kept)

    words, warnings = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(words), redirect_stderr(warnings):
        patch.setattr("MultimodalRegistrationLib.cli.structures.register_structures", remember)
        assert main(command(inputs, inputs / "out", "--workers", "1")) == 0
    return inputs / "out", words.getvalue(), warnings.getvalue(), kept


def test_one_is_found_one_is_kept_and_one_is_skipped(run, three):
    out, words, warnings, _ = run
    _, _, _, structures, motion = three
    content = json.loads((out / "RESULT.json").read_text())
    found, kept = content["structures"]
    assert (found["name"], found["outcome"], found["registration"]["verdict"]["word"]) == (
        "3",
        "registered",
        "verified",
    )
    error_mm = displacement_mm(read_linear_transform(out / "3.h5"), motion, structures[0].points_lps).mean()
    assert error_mm < 0.5
    # To the last digit of the file, and said so.
    assert (kept["name"], kept["outcome"], kept["registration"]["verdict"]["word"]) == ("7", "kept", "uncertain")
    np.testing.assert_allclose(read_linear_transform(out / "7.h5"), COMMON, atol=1e-9)
    assert kept["registration"]["moved_from_start"] == {"mean_mm": 0, "rotation_deg": 0}
    assert "Kept at the common start" in kept["registration"]["verdict"]["against"][0]
    assert "7: UNCERTAIN, kept at the common start" in words
    assert "Kept at the common start" in warnings
    # Not registered, named, and in no transform.
    (skipped,) = content["skipped"]
    assert (skipped["name"], skipped["share_in_view"]) == ("9", 0)
    assert "'9' was skipped: at the common start nothing of it lies in" in warnings
    assert "9: SKIPPED, 0% of it in view" in words
    assert sorted(os.listdir(out)) == ["3.h5", "7.h5", "RESULT.json", "combined.h5", "moving-resampled.nrrd"]
    assert [one["name"] for one in content["combined"]["rigid_inside"]] == ["3", "7"]
    joint = joint_content(content)
    assert joint["verdict"]["word"] == "uncertain"
    assert joint["verdict"]["against"][0].startswith("9 is not in it")


def test_bounds_follow_from_the_start_and_are_told(run):
    """The bone is well inside; the bounds are those of the motion of bones and twice what the start is off."""
    content = json.loads((run[0] / "RESULT.json").read_text())
    bounds = content["structures"][0]["registration"]["bounds"]
    assert OWN_MOTION_MM <= bounds["max_translation_mm"] <= OWN_MOTION_MM + 30
    assert OWN_MOTION_DEG <= bounds["max_rotation_deg"] <= 45
    assert bounds["touched"] == []


def test_what_failed_is_not_in_the_combined_transform(inputs, run, three, tmp_path, monkeypatch, capsys):
    one, other = run[3]
    failed = dataclasses.replace(one.result.verdict, word="failed")
    found = dataclasses.replace(one, result=dataclasses.replace(one.result, verdict=failed)), other
    monkeypatch.setattr("MultimodalRegistrationLib.cli.structures.register_structures", lambda *v, **options: found)
    assert main(command(inputs, tmp_path / "out")) == 6
    content = json.loads((tmp_path / "out" / "RESULT.json").read_text())
    assert [each["name"] for each in content["combined"]["rigid_inside"]] == ["7"]
    assert [each["in_combined"] for each in content["structures"]] == [False, True]
    assert "'3' failed and is not in the combined transform." in capsys.readouterr().err
    joint = joint_content(content)
    assert joint["structures"] == ["7"]
    assert joint["verdict"]["against"][:2] == [
        f"{name} is not in it: there it follows its neighbours." for name in "39"
    ]
    # The whole volume goes where the other one, which was kept, puts it.
    np.testing.assert_allclose(
        sitk.ReadTransform(str(tmp_path / "out" / "combined.h5")).TransformPoint(
            three[3][0].points_lps.mean(axis=0).tolist()
        ),
        apply_matrix(COMMON, three[3][0].points_lps.mean(axis=0)),
        atol=1e-6,
    )
    monkeypatch.setattr("MultimodalRegistrationLib.cli.structures.register_structures", lambda *v, **options: found[:1])
    assert main(command(inputs, tmp_path / "none", "--segments", "3")) == 6
    content = json.loads((tmp_path / "none" / "RESULT.json").read_text())
    assert content["combined"] is None
    assert "all of them failed" in content["not_combined"]


def test_what_was_skipped_is_not_verified(inputs, run, tmp_path, monkeypatch):
    one = run[3][:1]
    monkeypatch.setattr("MultimodalRegistrationLib.cli.structures.register_structures", lambda *v, **options: one)
    assert main(command(inputs, tmp_path / "a", "--segments", "3", "9", "--require", "verified")) == 7
    assert main(command(inputs, tmp_path / "b", "--segments", "3", "--require", "verified")) == 0


def test_nothing_in_view_is_an_error(inputs, tmp_path, capsys):
    assert main(command(inputs, tmp_path / "out", "--segments", "9")) == 2
    assert "shows too little of every structure" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() or os.listdir(tmp_path / "out") == []


def test_the_share_in_view(three):
    _, moving, _, structures, _ = three
    shown, skipped = in_view(structures, moving, COMMON)
    assert ([one.name for one in shown], [one.structure.name for one in skipped]) == (["3", "7"], ["9"])
    _, all_of_them = in_view(structures, moving, rigid([0, 0, 1], 0, [900, 0, 0]))
    assert [one.share for one in all_of_them] == [0, 0, 0]


def test_what_lies_in_the_black_border_is_not_in_view(three):
    """A moving volume that was resampled to a larger grid shows no more than before."""
    _, moving, _, structures, _ = three
    padded = sitk.ConstantPad(moving.image, [30] * 3, [30] * 3, 0.0)
    found = in_view(structures, dataclasses.replace(moving, image=padded), COMMON)
    assert [one.name for one in found[0]] == ["3", "7"]
    assert [(one.structure.name, one.share < 0.05) for one in found[1]] == [("9", True)]


def test_a_start_that_is_not_rigid_is_refused(three):
    fixed, moving, _, structures, _ = three
    with pytest.raises(InputError, match="The common start: it is not rigid"):
        register_structures(
            fixed, moving, structures[:1], preset=find_preset("rigid"), fixed_to_moving_lps=np.diag([1.1, 1, 1, 1])
        )


@pytest.fixture
def region(three):
    fixed, moving, _, structures, _ = three
    return structure_region(
        fixed,
        moving,
        structures[0],
        structures,
        fixed_to_moving_lps=COMMON,
        max_translation_mm=25,
        max_rotation_deg=20,
    )


BOUNDS = MotionBounds(25, 20)


def register_it(region, start=COMMON, bounds=BOUNDS):
    with EngineSessions(1) as engines:
        return register_one(
            region,
            preset=find_preset("rigid"),
            engine="elastix",
            fixed_to_moving_lps=start,
            bounds=bounds,
            seed=0,
            run=Run(engines, 1),
        )


def agreement(region, matrix):
    fixed = prepare.engine_copy(region.fixed, region.fixed_mask, np.eye(4), PERCENTILES)
    moving = prepare.engine_copy(region.moving, None, np.eye(4), PERCENTILES)
    return Surroundings(fixed, moving, seed=0).agreements([matrix])[0]


@pytest.mark.parametrize("away_mm", [15.0, 300.0])
def test_an_engine_that_goes_astray_is_not_followed(region, three, monkeypatch, away_mm):
    """Within the bounds and beyond them: the search itself found the bone."""

    def astray(pair, poses, *given, **options):
        wrong = poses[0].copy()
        wrong[0, 3] += away_mm
        return [dataclasses.replace(real(pair, poses[:1], *given, **options)[0], sampled_to_other_lps=wrong)]

    real = register_one_module.run_fine_stage
    monkeypatch.setattr(register_one_module, "run_fine_stage", astray)
    found = register_it(region)
    assert displacement_mm(found.result.fixed_to_moving_lps, three[4], region.structure.points_lps).mean() < 1.0
    assert agreement(region, found.result.fixed_to_moving_lps) >= agreement(region, COMMON)


def test_an_engine_that_stops_costs_no_other_structure(region, three, monkeypatch):
    def stop(*given, **options):
        raise EngineError("elastix", "too many samples map outside", "Try again.")

    monkeypatch.setattr(register_one_module, "run_fine_stage", stop)
    found = register_it(region)
    assert displacement_mm(found.result.fixed_to_moving_lps, three[4], region.structure.points_lps).mean() < 1.0
    assert found.result.verdict.word == "uncertain"
    assert "The engine stopped: too many samples map outside." in found.result.verdict.against


def test_a_start_at_the_optimum_is_not_left(three):
    """It may be improved, never made worse: 0.3 mm is a sixth of a voxel."""
    fixed, moving, _, structures, motion = three
    limits = {"max_translation_mm": 25, "max_rotation_deg": 20}
    there = structure_region(fixed, moving, structures[0], structures, fixed_to_moving_lps=motion, **limits)
    found = register_it(there, motion)
    assert displacement_mm(found.result.fixed_to_moving_lps, motion, structures[0].points_lps).mean() < 0.3
    assert agreement(there, found.result.fixed_to_moving_lps) >= agreement(there, motion)
    assert found.result.verdict.word == "verified"


def test_a_bound_that_is_too_tight_is_no_find(region):
    """The bone is 9 mm and 9 degrees away; what lies at a bound of 4 mm is not taken for it."""
    found = register_it(region, bounds=MotionBounds(4, 3))
    assert found.result.verdict.word != "verified"
    off = np.linalg.inv(COMMON) @ found.result.fixed_to_moving_lps
    middle = region.structure.points_lps.mean(axis=0)
    assert np.linalg.norm(apply_matrix(off, middle) - middle) < 4


def test_restarts_are_within_the_bounds_and_find_the_bone(region, three):
    options = {"fixed_mask": region.fixed_mask, "moving_mask": None, "winsorize_percentiles": PERCENTILES}
    pair = make_pair(region.fixed, region.moving, COMMON, **options)
    middle = region.structure.points_lps.mean(axis=0)
    center = apply_matrix(COMMON, middle) if pair.sampled_is_moving else middle
    bounds, lattices = Bounds.given(center, 25, 20), Lattices(pair.sampled, pair.other)
    found = [one.sampled_to_other_lps for one in near_start_candidates(lattices, bounds, seed=0)]
    assert all(bounds.clamp(pose) is pose for pose in found)
    best = pair.fixed_to_moving_lps(found[0])
    assert displacement_mm(best, three[4], region.structure.points_lps).mean() < 2.0
    nowhere = near_start_candidates(lattices, Bounds.given(center, 0, 0), seed=0)
    np.testing.assert_allclose([one.sampled_to_other_lps for one in nowhere], [np.eye(4)], atol=1e-9)


def test_the_same_segment_read_anew_is_no_neighbour(three):
    """Or else the mask would lose its margin, and with that the border of the bone."""
    fixed, moving, labels, structures, _ = three
    again = structures_of(Segmentation.of_labels(labels))
    limits = {"fixed_to_moving_lps": COMMON, "max_translation_mm": 10, "max_rotation_deg": 10}
    masks = [
        structure_region(fixed, moving, structures[0], others, **limits).fixed_mask.voxels
        for others in (structures, again)
    ]
    np.testing.assert_array_equal(*masks)
    assert np.count_nonzero(masks[0]) > 1.5 * len(structures[0].points_lps)


@pytest.mark.parametrize(
    ("error_mm", "given", "expected"),
    [
        (0.0, (None, None), (25.0, 20.0)),
        (3.6, (None, None), (32.2, 20 + np.degrees(0.072))),
        (None, (None, None), (35.0, 20 + np.degrees(0.1))),
        (90.0, (None, None), (50.0, 45.0)),
        (3.6, (10.0, 8.0), (10.0, 8.0)),
        (3.6, (10.0, None), (10.0, 20 + np.degrees(0.072))),
    ],
)
def test_bounds_of_a_start(error_mm, given, expected):
    found = bounds_of_start(error_mm, *given)
    assert (found.translation_mm, found.rotation_deg) == pytest.approx(expected)


@pytest.mark.parametrize("off_mm", [0.0, 3.0, 6.0])
def test_how_far_a_start_is_off(off_mm):
    """The same volume twice, so that the error is what was made."""
    grid = centered_grid([60, 56, 48], [2.0, 2.0, 2.5], np.eye(3), [10, 20, -5])
    points = points_of(grid) - grid.center_lps
    radius = np.linalg.norm(points / [45, 38, 42], axis=1) * (1 + 0.2 * np.sin(points[:, 0] / 15 + points[:, 1] / 22))
    tissue = np.where(radius < 1, 300 + 4 * points[:, 1], 0) + 400 * (np.abs(radius - 0.6) < 0.12)
    one = volume(tissue + np.random.default_rng(0).normal(0, 5, len(points)), grid, "one")
    start = rigid([0, 0, 1], 0, [0.6 * off_mm, -0.8 * off_mm, 0])
    found = start_error_mm(one, one, start, winsorize_percentiles=PERCENTILES, seed=0)
    assert found == pytest.approx(off_mm, abs=0.5)


def test_a_start_without_anything_in_common_has_no_error():
    grid = centered_grid([20, 20, 20], [2.0, 2.0, 2.0], np.eye(3), [0, 0, 0])
    one = volume(points_of(grid)[:, 0], grid, "one")
    far = rigid([0, 0, 1], 0, [900, 0, 0])
    assert start_error_mm(one, one, far, winsorize_percentiles=PERCENTILES, seed=0) is None


def test_outcomes_by_evidence(run):
    """What is in doubt moves only to a clear optimum; what fails is kept, unless the start is clearly wrong."""
    good = run[3][0].result.verdict
    doubtful = dataclasses.replace(good, word="uncertain")
    blunt = dataclasses.replace(
        doubtful, evidence=dataclasses.replace(good.evidence, agreement_nearby=good.evidence.agreement)
    )
    assert is_trusted(good, 0.3, 0.2, 20)
    assert is_trusted(doubtful, 0.2, 0.4, 20)
    assert not is_trusted(doubtful, 0.39, 0.4, 20)
    assert is_trusted(doubtful, 0.39, 0.4, 0.5)
    assert not is_trusted(blunt, 0.2, 0.4, 20)
    assert not is_trusted(dataclasses.replace(good, word="failed"), 0.2, 0.4, 0)
    failed = dataclasses.replace(good, word="failed", against=("Restarts end elsewhere.",))
    gone, kept = kept_verdict(failed, 0.2, 0.4), kept_verdict(failed, 0.39, 0.4)
    assert (gone.word, kept.word) == ("failed", "uncertain")
    assert gone.against[0].startswith("It is not where the common start puts it (0.40 nat near it, 0.20 at the start)")
    assert kept.against[1] == "Of the best pose near it: Restarts end elsewhere."
    assert gone.estimated_error_mm is kept.estimated_error_mm is None


def test_folds_are_counted_in_one_place(inputs, run, tmp_path, monkeypatch, capsys):
    """The warning, the summary, the joint verdict and RESULT.json say the same."""
    found = run[3]
    moved = dataclasses.replace(found[1].result, fixed_to_moving_lps=COMMON)
    both = found[0], dataclasses.replace(found[1], result=moved)
    real = field_jacobian

    def folding(displacements_mm, nodes):
        folded = displacements_mm.copy()
        # One node beyond its neighbour folds the cells around it, which central differences do not see.
        folded[5, 5, 5] += 1.5 * nodes.ijk_to_lps[:3, 0]
        return real(folded, nodes)

    monkeypatch.setattr("MultimodalRegistrationLib.polyrigid.combine.field_jacobian", folding)
    monkeypatch.setattr("MultimodalRegistrationLib.cli.structures.register_structures", lambda *v, **options: both)
    assert main(command(inputs, tmp_path / "out")) == 0
    printed = capsys.readouterr()
    content = json.loads((tmp_path / "out" / "RESULT.json").read_text())
    jacobian, nodes = content["combined"]["jacobian"], np.prod(content["combined"]["size"])
    assert jacobian["folded_nodes"] > 0
    assert jacobian["folded_share"] == pytest.approx(jacobian["folded_nodes"] / nodes)
    told = share_text(jacobian["folded_share"])
    assert told != "0.00%"
    assert f"folds at {jacobian['folded_nodes']} of its {nodes} nodes ({told})" in printed.err
    assert f"{told} folded" in printed.out
    assert any(f"fold space, in {told} of it" in words for words in joint_content(content)["verdict"]["against"])


@pytest.mark.parametrize(
    ("share", "words"), [(0.0, "0.00%"), (1e-7, "less than 0.01%"), (0.0011, "0.11%"), (1, "100.00%")]
)
def test_no_fold_reads_like_nothing(share, words):
    assert share_text(share) == words


def test_a_bone_alone_is_one_rigid_transform(three):
    fixed, _, _, structures, motion = three
    found = combine_rigid(fixed.grid, structures[:1], [motion])
    assert found.jacobian.folded_share == 0
    assert not found.jacobian.folded.any()
