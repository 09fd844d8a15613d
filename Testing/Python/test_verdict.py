"""The verdict: the rule on made-up evidence, the evidence on volumes with known answers."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from conftest import CT_GRID, CT_POSE, MR_GRID, rigid
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm
from MultimodalRegistrationLib.core.phantom import target_points_lps
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.engines.jobs import EngineVolume
from MultimodalRegistrationLib.register.prepare import engine_volume
from MultimodalRegistrationLib.register.search.bounds import Bounds
from MultimodalRegistrationLib.register.search.candidates import Candidate
from MultimodalRegistrationLib.register.search.lattice import lattice_of
from MultimodalRegistrationLib.register.search.lattices import Lattices
from MultimodalRegistrationLib.register.verdict.evidence import Evidence, Examiner
from MultimodalRegistrationLib.register.verdict.polish import Polisher
from MultimodalRegistrationLib.register.verdict.rule import judge

GOOD = Evidence(
    agreement=0.80,
    agreement_best_nearby=0.81,
    agreement_at_start=0.10,
    agreement_nearby=0.56,
    rival_agreement=0.55,
    rival_distance_mm=120.0,
    rival_rotation_deg=170.0,
    mirrored_agreement=0.60,
    restarts_mm=(0.4, 0.6, 0.5),
    backward_mm=(0.7, 0.8),
    overlap=0.95,
    step_mm=10.0,
)
CASES = {
    "as good": ({}, "verified", None),
    "no rival at all": ({"rival_agreement": None}, "verified", None),
    "porcine: a small margin, a sharp optimum": ({"rival_agreement": 0.73, "agreement_nearby": 0.63}, "verified", None),
    "blunt": ({"agreement_nearby": 0.75}, "uncertain", "is blunt"),
    "no rival, and blunt": ({"rival_agreement": None, "agreement_nearby": 0.75}, "uncertain", "is blunt"),
    "less than at the start": ({"agreement_at_start": 0.83}, "uncertain", "agreed better at the start: 0.83, now 0.80"),
    "as at the start": ({"agreement_at_start": 0.81}, "verified", None),
    "no restarts": ({"restarts_mm": (), "backward_mm": ()}, "uncertain", "Too few points"),
    "a rival as good": ({"rival_agreement": 0.80}, "uncertain", "agrees almost as well, 1% less"),
    "a better rival": ({"rival_agreement": 0.90}, "failed", "agrees better, by 11%"),
    "a better rival, and blunt": (
        {"rival_agreement": 0.90, "agreement_nearby": 0.75},
        "failed",
        "may not show the same part",
    ),
    "blunt, and a close rival": ({"rival_agreement": 0.73, "agreement_nearby": 0.68}, "uncertain", "not stand out"),
    "better when mirrored": ({"mirrored_agreement": 0.95}, "failed", "mirrored volume fits better, by 17%"),
    "nothing in common": ({"agreement": 0.03, "agreement_best_nearby": 0.03}, "failed", "share 0.03 nat"),
    "hardly any overlap": ({"overlap": 0.1, "agreement": -1.0, "restarts_mm": ()}, "failed", "Only 10%"),
    "little overlap": ({"overlap": 0.3}, "uncertain", "Only 30%"),
    "one restart apart": ({"restarts_mm": (0.4, 0.6, 6.0)}, "uncertain", "0.4 to 6.0 mm"),
    "restarts elsewhere": ({"restarts_mm": (9.0, 14.0, 11.0)}, "failed", "end elsewhere"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_rule(name):
    changes, word, against = CASES[name]
    verdict = judge(dataclasses.replace(GOOD, **changes))
    assert verdict.word == word
    if word == "failed":
        assert verdict.estimated_error_mm is None
    assert (against is None) == (not verdict.against)
    if against is not None:
        assert any(against in sentence for sentence in verdict.against)
    assert verdict.facts


def test_a_bound_makes_it_uncertain_and_is_named():
    verdict = judge(GOOD, ("the largest rotation of 10 degrees",))
    assert verdict.word == "uncertain"
    assert "the largest rotation of 10 degrees" in verdict.against[0]
    failed = judge(dataclasses.replace(GOOD, mirrored_agreement=1.2 * GOOD.agreement), ("the largest shift of 9 mm",))
    assert failed.word == "failed"
    assert "the largest shift of 9 mm" in failed.against[-1], "a mirrored volume is not the only explanation"


def test_without_a_mirrored_volume_nothing_is_said_of_it():
    evidence = dataclasses.replace(GOOD, mirrored_agreement=None)
    verdict = judge(evidence)
    assert verdict.word == "verified"
    assert evidence.mirror_margin is None
    assert not any("irrored" in fact for fact in verdict.facts)


def test_a_symmetric_object_is_said_to_leave_left_and_right_open():
    verdict = judge(dataclasses.replace(GOOD, mirrored_agreement=0.80))
    assert verdict.word == "verified"
    assert any("left from right" in fact for fact in verdict.facts)


def test_no_estimate_without_restarts():
    assert judge(dataclasses.replace(GOOD, restarts_mm=(), backward_mm=())).estimated_error_mm is None


def test_the_evidence_is_plain_json():
    assert json.loads(json.dumps(dataclasses.asdict(GOOD)))["restarts_mm"] == [0.4, 0.6, 0.5]


@pytest.fixture(scope="module")
def pair(head_ct, head_mr):
    return tuple(engine_volume(volume, None, (0.01, 99.99)) for volume in (head_ct, head_mr))


def test_the_polisher_ends_at_the_truth_in_both_directions(pair, truth_ct_to_mr_lps):
    lattices = [lattice_of(volume, 2.5) for volume in pair]
    targets = target_points_lps(CT_POSE)
    off = np.array([2.0, -1.5, 1.0, -2.0, 1.0, 1.5])  # mm; half a voxel is what is asked for
    forward = Polisher(*lattices, truth_ct_to_mr_lps, seed=1).climb(off)
    assert displacement_mm(forward, truth_ct_to_mr_lps, targets).mean() < 1.25
    backward = Polisher(*lattices[::-1], np.linalg.inv(truth_ct_to_mr_lps), seed=1).climb(off)
    assert displacement_mm(np.linalg.inv(backward), truth_ct_to_mr_lps, targets).mean() < 1.25


def test_the_pose_at_zero_is_the_pose(pair, truth_ct_to_mr_lps):
    polisher = Polisher(*(lattice_of(volume, 5.0) for volume in pair), truth_ct_to_mr_lps, seed=1)
    np.testing.assert_allclose(polisher.pose_at(np.zeros(6)), truth_ct_to_mr_lps, atol=1e-9)
    moved = polisher.pose_at(np.array([3.0, 0, 0, 0, 0, 0]))
    assert 1.0 < displacement_mm(moved, truth_ct_to_mr_lps, polisher.points_lps).mean() < 3.0


@pytest.mark.slow
def test_evidence_at_the_truth_and_at_a_rival(pair, truth_ct_to_mr_lps):
    upside_down = truth_ct_to_mr_lps @ CT_POSE @ rigid([1, 0, 0], 180, [0, 0, 0]) @ np.linalg.inv(CT_POSE)
    candidates = [Candidate(truth_ct_to_mr_lps, 1.0), Candidate(upside_down, 0.5)]
    examiner = Examiner(Lattices(*pair), Bounds(CT_GRID.center_lps), seed=1, threads=1)
    at_truth = examiner.examine(truth_ct_to_mr_lps, candidates)
    assert judge(at_truth).word == "verified", judge(at_truth).against
    assert at_truth.rival_rotation_deg > 90
    assert max(at_truth.distances_mm) < 1.5
    again = Examiner(Lattices(*pair), Bounds(CT_GRID.center_lps), seed=1, threads=2)
    assert again.examine(truth_ct_to_mr_lps, candidates) == at_truth, "same seed, same evidence on any number of cores"
    at_rival = examiner.examine(upside_down, candidates)
    assert at_rival.margin < -0.1
    assert judge(at_rival).word == "failed"
    assert any("agrees better" in sentence for sentence in judge(at_rival).against)


@pytest.mark.slow
def test_evidence_of_a_thin_slab_has_numbers_only(pair, head_ct, truth_ct_to_mr_lps):
    slab = engine_volume(Volume(head_ct.image[:, :, 24:28], "slab"), None, (0.01, 99.99))
    evidence = Examiner(Lattices(slab, pair[1]), Bounds(CT_GRID.center_lps), seed=1).examine(truth_ct_to_mr_lps, [])
    assert np.all(np.isfinite(evidence.distances_mm))
    json.dumps(dataclasses.asdict(evidence), allow_nan=False)


@pytest.mark.slow
def test_restarts_keep_to_the_masks(pair, truth_ct_to_mr_lps):
    masks = [np.zeros(volume.voxels.shape, dtype=np.uint8) for volume in pair]
    masks[1][:, :, 20:50] = 1
    moving = EngineVolume(pair[1].voxels, pair[1].grid, masks[1])
    lattices = lattice_of(pair[0], 3.0), lattice_of(moving, 3.0)
    polisher = Polisher(*lattices, truth_ct_to_mr_lps, seed=1)
    mapped = apply_matrix(np.linalg.inv(MR_GRID.ijk_to_lps) @ truth_ct_to_mr_lps, polisher.points_lps)
    # Half a cell of the lattice beyond the mask.
    assert mapped[:, 0].min() > 20 - 0.5 - 1.5 / 2.6
    assert mapped[:, 0].max() < 49 + 0.5 + 1.5 / 2.6


@pytest.mark.slow
def test_evidence_off_the_volume(pair):
    examiner = Examiner(Lattices(*pair), Bounds(CT_GRID.center_lps), seed=1)
    evidence = examiner.examine(rigid([0, 0, 1], 0, [900, 0, 0]), [])
    assert evidence.distances_mm == ()
    assert judge(evidence).word == "failed"
