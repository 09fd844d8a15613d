"""Pairing by order, by label and by positions alone: right, or reported, never silently wrong."""

from __future__ import annotations

import time

import numpy as np
import pytest
from landmark_sets import body_points, moved, puzzle
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.points import Landmark, LandmarkList
from MultimodalRegistrationLib.landmarks.matching import match_landmarks
from MultimodalRegistrationLib.landmarks.pairing import pair_landmarks, pair_targets


def listed(name, *points):
    """A list of (label, position or None, selected) or labels alone, which get positions of their own."""
    landmarks = []
    for i, point in enumerate(points):
        label, position, selected = (point, (float(i), 2.0 * i, -1.0), True) if isinstance(point, str) else point
        landmarks.append(Landmark(label, position, selected))
    return LandmarkList(name, tuple(landmarks))


HERE = (1.0, 2.0, 3.0)


def test_order_pairs_positions_and_names_what_it_leaves_out():
    fixed = listed("CT.mrk.json", "a", ("b", None, True), "c", ("d", HERE, False))
    moving = listed("MR.fcsv", "p", "q", "r", "s", ("t", None, True))
    pairs = pair_landmarks(fixed, moving)
    assert (pairs.fixed_index, pairs.moving_index, pairs.how) == ((0, 2), (0, 2), "order")
    notes = "\n".join(pairs.notes)
    for words in (
        "CT.mrk.json: 'b' is not placed",
        "CT.mrk.json: 'd' is not selected",
        "MR.fcsv: 't' is not placed",
        "MR.fcsv: 'q' has no partner",
        "MR.fcsv: 's' has no partner",
    ):
        assert words in notes
    assert len(pairs.notes) == 5


def test_order_refuses_different_lengths_with_both_counts():
    with pytest.raises(InputError, match=r"CT and MR: 2 and 3 landmarks.*by label or automatically"):
        pair_landmarks(listed("CT", "a", "b"), listed("MR", "a", "b", "c"))


def test_label_ignores_case_blanks_and_order():
    fixed = listed("CT", "Left  Eye", " nose", "chin", "")
    moving = listed("MR", "NOSE ", "ear", "lefteye")
    pairs = pair_landmarks(fixed, moving, how="label")
    assert (pairs.fixed_index, pairs.moving_index) == ((0, 1), (2, 0))
    notes = "\n".join(pairs.notes)
    assert "CT: 'chin' has no partner" in notes
    assert "MR: 'ear' has no partner" in notes
    assert "CT: number 4 has no label" in notes


def test_label_refuses_duplicates_and_no_match():
    with pytest.raises(InputError, match=r"CT: labels that occur more than once.*'Eye', 'eye '|'Eye', 'eye'"):
        pair_landmarks(listed("CT", "Eye", "nose", "eye "), listed("MR", "eye"), how="label")
    with pytest.raises(InputError, match=r"no pair by label among 1 and 1"):
        pair_landmarks(listed("CT", "eye"), listed("MR", "ear"), how="label")
    unplaced = listed("MR", "eye", ("eye", None, True))
    assert len(pair_landmarks(listed("CT", "eye"), unplaced, how="label")) == 1


def test_auto_is_right_or_says_that_it_is_undecided():
    """The full measurement is Testing/Benchmarks/landmarks.md."""
    right = undecided = 0
    for seed in range(40):
        one = puzzle(seed, both_noisy=bool(seed % 2), apart_mm=10.0)
        try:
            pairs = pair_landmarks(one.fixed, one.moving, how="auto")
        except InputError:
            undecided += 1
            assert len(one.truth) < 8
            continue
        found = set(zip(pairs.fixed_index, pairs.moving_index, strict=True))
        assert found <= one.truth
        right += found == one.truth
        assert all(f"'{i + 1}' with '{j + 1}'" in " ".join(pairs.notes) for i, j in one.truth - found)
    assert right >= 35
    assert undecided <= 4


def test_auto_takes_less_than_a_second_for_thirty_points():
    rng = np.random.default_rng(30)
    points = body_points(rng, 30, apart_mm=8.0)
    other = rng.permutation(30)
    moving = moved(rng, points[other]) + rng.normal(0, 1, points.shape)
    lists = LandmarkList.of_points("CT", points), LandmarkList.of_points("MR", moving)
    began = time.process_time()
    match = match_landmarks(*lists)
    assert time.process_time() - began < 1.0
    assert [other[j] for j in match.moving_index] == list(match.fixed_index) == list(range(30))
    assert not match.mirrored


def test_auto_leaves_out_unplaced_and_unselected_points_and_keeps_the_indices():
    rng = np.random.default_rng(4)
    points = body_points(rng, 9, apart_mm=10.0)
    moving = moved(rng, points)
    fixed = LandmarkList(
        "CT",
        (Landmark("x", None), *LandmarkList.of_points("", points).landmarks, Landmark("y", (0.0, 0.0, 0.0), False)),
    )
    pairs = pair_landmarks(fixed, LandmarkList.of_points("MR", moving[::-1]), how="auto")
    assert pairs.fixed_index == tuple(range(1, 10))
    assert pairs.moving_index == tuple(range(8, -1, -1))
    assert any("'x' is not placed" in note for note in pairs.notes)


@pytest.mark.parametrize("count", [5, 12, 25])
def test_mirror_images_are_reported(count):
    rng = np.random.default_rng(count)
    points = body_points(rng, count, apart_mm=10.0)
    moving = moved(rng, points * [-1, 1, 1]) + rng.normal(0, 1, points.shape)
    lists = LandmarkList.of_points("CT", points), LandmarkList.of_points("MR", moving)
    with pytest.raises(InputError, match=r"chance|mirror image only"):
        match_landmarks(*lists)
    if count > 5:
        match = match_landmarks(*lists, mirrored_allowed=True)
        assert match.mirrored
        assert match.fixed_index == match.moving_index


def test_symmetric_sets_are_reported_with_the_points_that_can_be_exchanged():
    rng = np.random.default_rng(1)
    half = body_points(rng, 5, apart_mm=20.0)
    points = np.concatenate([half, half * [-1, -1, 1]])
    lists = LandmarkList.of_points("CT", points), LandmarkList.of_points("MR", moved(rng, points))
    with pytest.raises(
        InputError, match=r"two ways to pair them.*'1' with '[16]'.*; or .*'1' with '[16]'.*Pair by label"
    ):
        match_landmarks(*lists)


def test_two_points_within_the_noise_are_reported():
    rng = np.random.default_rng(2)
    points = body_points(rng, 10, apart_mm=20.0)
    points[1] = points[0] + [1.0, 0.5, 0.0]
    moving = moved(rng, points) + rng.normal(0, 1, points.shape)
    with pytest.raises(InputError, match=r"'1' with '.', '2' with '.'; or '1' with '.', '2' with '.'"):
        match_landmarks(LandmarkList.of_points("CT", points), LandmarkList.of_points("MR", moving))


def test_unrelated_lists_and_sizes_out_of_range_are_refused():
    rng = np.random.default_rng(3)
    lists = [LandmarkList.of_points(name, body_points(rng, 20)) for name in ("CT", "MR")]
    with pytest.raises(InputError, match=r"chance|two ways"):
        match_landmarks(*lists)
    with pytest.raises(InputError, match=r"CT: 3 placed and selected"):
        match_landmarks(LandmarkList.of_points("CT", np.eye(3)), lists[1])


def test_targets_with_a_typing_error_are_not_paired_by_order_in_silence():
    points = np.random.default_rng(6).uniform(-50, 50, (4, 3))
    fixed = LandmarkList.of_points("a", points, ["nasion", "lpa", "rpa", "vertex"])
    moving = LandmarkList.of_points("b", points[[1, 0, 2, 3]], ["lpa", "nasion", "rpaa", "vertex"])
    with pytest.raises(InputError, match=r"in one only: 'rpa', 'rpaa'"):
        pair_targets(fixed, moving)
    right = LandmarkList.of_points("b", points[[1, 0, 2, 3]], ["LPA", "nasion", "r pa", "vertex"])
    assert pair_targets(fixed, right).moving_index == (1, 0, 2, 3)
    numbered = LandmarkList.of_points("b", points, ["F-1", "F-2", "F-3", "F-4"])
    assert pair_targets(fixed, numbered).how == "order"
