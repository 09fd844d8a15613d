"""The errors at landmarks that a run started from, and what they do to its verdict."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_GRID, CT_POSE, MR_GRID, centered_grid, rigid, rotation
from MultimodalRegistrationLib.api import NextStage, register
from MultimodalRegistrationLib.cli.register import _summary
from MultimodalRegistrationLib.core.errors import ExitCode
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.phantom import target_points_lps
from MultimodalRegistrationLib.core.points import LandmarkList
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.engines.presets.preset import find_preset
from MultimodalRegistrationLib.landmarks.accuracy import PointErrors
from MultimodalRegistrationLib.landmarks.pairing import pair_landmarks
from MultimodalRegistrationLib.register.job import FinishedJob
from MultimodalRegistrationLib.register.landmark_start import landmark_start
from MultimodalRegistrationLib.register.masks import Masks
from MultimodalRegistrationLib.register.report import result_content
from MultimodalRegistrationLib.register.verdict.rule import Verdict

FIXED = target_points_lps(CT_POSE)[:6]


def pairs_of(fixed_lps, moving_lps):
    lists = (LandmarkList.of_points(name, points) for name, points in (("F", fixed_lps), ("M", moving_lps)))
    return pair_landmarks(*lists, how="order")


@pytest.fixture
def errors(truth_ct_to_mr_lps):
    """Of the truth, at landmarks with 1 to 2 mm of noise."""
    noise = np.random.default_rng(5).normal(size=(6, 3))
    started = landmark_start(pairs_of(FIXED, apply_matrix(truth_ct_to_mr_lps, FIXED + noise)), CT_GRID, MR_GRID)
    return started.errors_of(SpatialTransform.of_matrix("truth", truth_ct_to_mr_lps)), noise


def test_errors_are_distances_in_the_fixed_volume(errors):
    found, noise = errors
    np.testing.assert_allclose(found.at_end.per_point_mm, np.linalg.norm(noise, axis=1), atol=1e-9)
    assert found.at_start.rms_mm < found.at_end.rms_mm


def test_errors_of_a_result_that_bends(errors, truth_ct_to_mr_lps):
    """A shift of 3 mm along an oblique axis as a displacement field after the truth."""
    found, noise = errors
    grid = centered_grid([40, 40, 40], [8, 8, 8], rotation([1, 2, 0.5], 30), apply_matrix(truth_ct_to_mr_lps, FIXED)[0])
    field = sitk.GetImageFromArray(np.tile([2.0, -2.0, 1.0], (40, 40, 40, 1)), isVector=True)
    grid.place(field)
    truth = SpatialTransform.of_matrix("truth", truth_ct_to_mr_lps).transform
    bent = SpatialTransform("bent", sitk.CompositeTransform([sitk.DisplacementFieldTransform(field), truth]))
    after = found.after(bent)
    # Back in the fixed volume, points lie where the shift is undone.
    undone = np.linalg.inv(truth_ct_to_mr_lps)[:3, :3] @ [2.0, -2.0, 1.0]
    np.testing.assert_allclose(after.at_end.per_point_mm, np.linalg.norm(noise - undone, axis=1), atol=1e-5)
    assert (after.at_start, after.as_placed) == (found.at_start, found.as_placed)


def test_what_neither_error_explains_speaks_against_the_result(errors, truth_ct_to_mr_lps):
    found, _ = errors
    assert found.weighed(None) == (None, None)
    off = found.after(SpatialTransform.of_matrix("off", truth_ct_to_mr_lps @ rigid([0, 0, 1], 0, [0, 15, 0])))
    assert 13 < off.at_end.rms_mm < 17
    assert re.search(r"the error rose from 1\.\d mm \(their own fit\) to 1\d\.\d mm, beyond", off.weighed(None)[1])
    assert not off.is_explained(1.0)
    assert off.is_explained(20.0)


@pytest.mark.parametrize("count", [3, 4, 6, 10])
def test_the_right_pose_is_seldom_called_beyond_the_expected_error(truth_ct_to_mr_lps, count):
    """Whatever the number of landmarks: with three of them none can be left out."""
    spread = np.array([[-45, 25, -30], [60, -20, -10], [0, -15, 50], [20, 40, 20], [-60, -30, 40]])
    spread = np.vstack([spread, [[30, -50, -60], [-20, 50, -60], [70, 30, 40], [10, 60, -20], [-50, 10, 60]]])[:count]
    truth = SpatialTransform.of_matrix("truth", truth_ct_to_mr_lps)
    beyond = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        fixed, shown = (CT_POSE[:3, 3] + spread + random.normal(0, 1.2, spread.shape) for _ in "fm")
        started = landmark_start(pairs_of(fixed, apply_matrix(truth_ct_to_mr_lps, shown)), CT_GRID, MR_GRID)
        beyond += not started.errors_of(truth).is_explained(None)
    # 5 % is meant with three; leave-one-out errors let 5 to 9 % pass. It was half of all cases with three.
    assert beyond <= 25


@pytest.mark.parametrize(
    ("fit_mm", "end_mm", "unseen_mm", "estimated_mm", "words"),
    [
        (1.9, 2.2, 2.5, None, "rose from 1.9 mm (their own fit) to 2.2 mm: within their expected error of 2.5 mm."),
        (1.9, 2.2, 1.5, 2.0, "rose from 1.9 mm (their own fit) to 2.2 mm: within their expected error of 2.5 mm."),
        (1.9, 1.92, 2.5, 0.0, "stayed at 1.9 mm, that of their own fit: within their expected error of 2.5 mm."),
        (1.9, 1.2, 2.5, None, "fell from 1.9 mm (their own fit) to 1.2 mm: within their expected error of 2.5 mm."),
        (
            1.9,
            6.2,
            1.5,
            2.0,
            "rose from 1.9 mm (their own fit) to 6.2 mm, beyond their expected error of 2.5 mm;",
        ),
        (
            1.9,
            2.54,
            2.51,
            None,
            "rose from 1.90 mm (their own fit) to 2.54 mm, beyond their expected error of 2.51",
        ),
    ],
)
def test_what_the_run_did_to_the_landmarks_is_said(errors, fit_mm, end_mm, unseen_mm, estimated_mm, words):
    """Always: among the facts where it was to be expected, against the result where it was not."""
    started, end = (PointErrors((mm,) * 6) for mm in (fit_mm, end_mm))
    found = replace(errors[0], at_start=started, at_end=end, unseen_rms_mm=unseen_mm)
    before = Verdict("verified", (), ("A fact.",), estimated_mm, None)
    judged, against = found.weighed(before)
    assert f"At the landmarks the error {words}" in found.words(estimated_mm)
    if "within" in words:
        assert (judged, against) == (replace(before, facts=("A fact.", found.words(estimated_mm))), None)
    else:
        assert (judged.word, judged.against, judged.facts) == ("uncertain", (against,), ("A fact.",))


def test_a_run_that_keeps_to_the_landmarks_says_so_everywhere(head_ct, head_mr, truth_ct_to_mr_lps):
    """Once among the facts of the verdict, and in the record, also where nothing was judged."""
    noise = np.random.default_rng(5).normal(size=(6, 3))
    pairs = pairs_of(FIXED, apply_matrix(truth_ct_to_mr_lps, FIXED + noise))
    common = {"preset": find_preset("rigid"), "landmarks": pairs, "start": "given"}
    judged = register(head_ct, head_mr, **common)
    (words,) = [fact for fact in judged.verdict.facts if "At the landmarks the error rose from " in fact]
    assert "within their expected error" in words
    content = result_content(judged, inputs={})
    assert content["landmarks"]["words"] == words
    assert content["landmarks"]["expected_rms_mm"] > content["landmarks"]["rms_mm"]["at_end"]
    for result, expected in ((judged, words), (replace(judged, verdict=None), "At the landmarks the error rose")):
        assert expected in _summary(FinishedJob(result, Path("T.h5"), ExitCode.DONE, None))


@pytest.mark.parametrize("later", [False, True])
def test_a_result_that_leaves_good_landmarks_is_not_verified(head_ct, head_mr, truth_ct_to_mr_lps, later):
    """As where tissue slid along itself: the images agree best 15 mm from the landmarks."""
    slid = truth_ct_to_mr_lps @ rigid([0, 0, 1], 0, [0, 15, 0])
    preset = find_preset("rigid")
    result = register(
        head_ct,
        head_mr,
        preset=preset,
        # With a mask of its own, or it would be one run with the first.
        then=[_masked(head_ct, preset)] if later else [],
        landmarks=pairs_of(FIXED, apply_matrix(slid, FIXED)),
        start="given",
    )
    assert result.landmarks.at_end.rms_mm == pytest.approx(15, abs=1)
    np.testing.assert_allclose(
        result.landmarks.at_end.per_point_mm,
        np.linalg.norm(result.transform.to_fixed(apply_matrix(slid, FIXED)) - FIXED, axis=1),
        atol=1e-6,
    )
    assert result.verdict.word == "uncertain"
    (against,) = result.verdict.against
    assert re.search(r"At the landmarks the error rose from 0\.\d mm \(their own fit\) to 1\d\.\d mm, beyond", against)
    assert len([words for words in result.warnings if against in words]) == 1


def _masked(fixed, preset):
    return NextStage(preset, masks=Masks(Volume(fixed.image > -500, "head")))
