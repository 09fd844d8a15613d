"""Errors at targets: numbers made by hand, intervals, fiducials that are no targets, wrong directions, paired tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from MultimodalRegistrationLib.assess.comparison import compare_paired, holm
from MultimodalRegistrationLib.assess.target_checks import (
    check_targets_lie_in_volumes,
    find_used_fiducials,
    inverse_fits_better,
)
from MultimodalRegistrationLib.assess.targets import (
    mean_interval,
    median_interval,
    own_tolerance,
    rms_interval,
    target_errors,
)
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.points import LandmarkList, Pairs
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.io.run_records import find_record
from MultimodalRegistrationLib.landmarks.models import fit_model
from MultimodalRegistrationLib.landmarks.pairing import pair_landmarks
from MultimodalRegistrationLib.landmarks.prealign import prealign
from MultimodalRegistrationLib.landmarks.report import prealignment_content
from MultimodalRegistrationLib.landmarks.thin_plate import box_of_points, spline_grid
from scipy.spatial.transform import Rotation
from scipy.stats import wilcoxon


def rigid(angles=(25.0, -40.0, 110.0), shift=(30.0, -12.0, 55.0)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    matrix[:3, 3] = shift
    return matrix


def pairs_of(fixed, moving, labels=None) -> Pairs:
    lists = [
        LandmarkList.of_points(name, np.asarray(points, float), labels)
        for name, points in (("a.csv", fixed), ("b.csv", moving))
    ]
    return pair_landmarks(*lists, how="order")


def noisy_pairs(n=9, sd=1.0, seed=2) -> tuple[np.ndarray, Pairs]:
    random = np.random.default_rng(seed)
    fixed = random.uniform(-60, 60, (n, 3))
    moving = apply_matrix(rigid(), fixed) + random.normal(0, sd, (n, 3))
    return rigid(), pairs_of(fixed, moving)


def test_a_table_made_by_hand() -> None:
    # Where the moving points land, minus where they belong, in the fixed volume: LPS, mm.
    vectors = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, -2.0], [-1.0, 0.0, 0.0], [0.0, 6.0, 8.0]])
    fixed = np.array([[10.0, 0.0, 0.0], [0.0, 20.0, 5.0], [-30.0, 4.0, 1.0], [7.0, -9.0, 40.0]])
    pairs = pairs_of(fixed, apply_matrix(rigid(), fixed + vectors), ["a", "b", "c", ""])
    errors = target_errors(pairs, SpatialTransform.of_matrix("t", rigid()))
    assert errors is not None
    np.testing.assert_allclose(errors.vectors_lps_mm, vectors, atol=1e-9)
    np.testing.assert_allclose(errors.errors_mm, [5, 2, 1, 10], atol=1e-9)
    assert errors.mean_mm == pytest.approx(4.5)
    assert errors.rms_mm == pytest.approx(np.sqrt((25 + 4 + 1 + 100) / 4))
    assert errors.median_mm == pytest.approx(3.5)
    assert errors.p95_mm == pytest.approx(5 + 0.85 * 5)
    assert errors.max_mm == pytest.approx(10)
    assert errors.share_within(2.0) == 0.5
    assert errors.labels == ("a", "b", "c", "4")
    # To the right, to the front and upwards count as positive.
    right, front, up = errors.axes
    assert right.bias_mm == pytest.approx(-np.mean([3, 0, -1, 0]))
    assert front.bias_mm == pytest.approx(-np.mean([4, 0, 0, 6]))
    assert up.bias_mm == pytest.approx(np.mean([0, -2, 0, 8]))
    assert front.rms_mm == pytest.approx(np.sqrt((16 + 36) / 4))
    assert up.sd_mm == pytest.approx(np.std([0, -2, 0, 8], ddof=1))
    assert all(interval is None for interval in errors.intervals_mm.values()), "four targets are too few"


def test_targets_that_share_a_label_are_told_apart() -> None:
    points = np.diag([1.0, 2.0, 3.0])
    errors = target_errors(pairs_of(points, points, ["F", "F", "G"]), SpatialTransform.of_matrix("t", np.eye(4)))
    assert errors is not None
    assert errors.labels == ("F (point 1)", "F (point 2)", "G")


def test_errors_of_a_field_are_in_the_fixed_volume() -> None:
    field = sitk.Image([40, 40, 40], sitk.sitkVectorFloat64, 3)
    index = np.stack(np.meshgrid(*[np.arange(40.0)] * 3, indexing="ij"), axis=-1)[..., ::-1]
    # Everything is stretched to twice its size about the origin: 2 mm in the moving volume are 1 mm in the fixed one.
    stretched = sitk.GetImageFromArray(index.copy(), isVector=True)
    stretched.CopyInformation(field)
    transform = SpatialTransform("t", sitk.DisplacementFieldTransform(stretched))
    fixed = np.array([[10.0, 12.0, 14.0], [18.0, 9.0, 11.0]])
    errors = target_errors(pairs_of(fixed, 2 * fixed + [0.0, 0.0, 2.0]), transform)
    assert errors is not None
    np.testing.assert_allclose(errors.vectors_lps_mm, [[0, 0, 1], [0, 0, 1]], atol=1e-5)


@pytest.mark.parametrize("distribution", ["maxwell", "lognormal"])
def test_intervals_hold_what_they_promise(distribution: str) -> None:
    random = np.random.default_rng(11)
    draw = {
        "maxwell": lambda n: np.linalg.norm(random.normal(size=(n, 3)), axis=1),
        "lognormal": lambda n: random.lognormal(0.0, 0.5, n),
    }[distribution]
    many = draw(2_000_000)
    truth = {"mean": many.mean(), "rms": np.sqrt(np.mean(many**2)), "median": np.median(many)}
    held = dict.fromkeys(truth, 0)
    for seed in range(500):
        errors = draw(20)
        for name, interval in (
            ("mean", mean_interval(errors, seed=seed)),
            ("rms", rms_interval(errors, seed=seed)),
            ("median", median_interval(errors, seed=seed)),
        ):
            assert interval is not None
            held[name] += interval.low <= truth[name] <= interval.high
    for name, count in held.items():
        assert 0.92 <= count / 500 <= 0.98, f"{name}: {count / 500:.1%}"


def test_an_outlier_among_few_does_not_stretch_the_interval_beyond_all_sense() -> None:
    interval = mean_interval([0.1, 0.1, 0.1, 0.12, 5.0], seed=0)
    assert interval is not None
    assert interval.high < 2 * 5.0


def test_intervals_are_the_same_every_time_and_hold_equal_values() -> None:
    errors = np.array([1.0, 2.0, 0.5, 1.5, 3.0, 0.7])
    assert mean_interval(errors, seed=3) == mean_interval(errors, seed=3)
    interval = mean_interval(np.full(8, 1.25), seed=0)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((1.25, 1.25))


@pytest.mark.parametrize("model", ["translation", "rigid", "similarity", "affine"])
def test_the_points_of_a_fit_are_no_targets(model) -> None:
    _, pairs = noisy_pairs()
    fit = fit_model(model, pairs.moving_lps, pairs.fixed_lps)
    used = find_used_fiducials(pairs, SpatialTransform.of_matrix("fit.h5", fit.fixed_to_moving_lps))
    assert used.index == frozenset(range(9))
    assert model in used.why
    assert target_errors(pairs, SpatialTransform.of_matrix("t", np.eye(4)), used=used.index) is None


@pytest.mark.parametrize("model", ["similarity", "affine"])
def test_the_points_of_a_fit_the_other_way_are_no_targets(model) -> None:
    _, pairs = noisy_pairs()
    fit = fit_model(model, pairs.fixed_lps, pairs.moving_lps)
    back = SpatialTransform.of_matrix("fit.h5", np.linalg.inv(fit.fixed_to_moving_lps))
    assert len(find_used_fiducials(pairs, back).index) == 9


def test_independent_points_are_targets() -> None:
    truth, pairs = noisy_pairs()
    assert not find_used_fiducials(pairs, SpatialTransform.of_matrix("t", truth)).index
    near = truth @ rigid((0.2, 0.1, -0.3), (0.3, 0.1, -0.2))
    assert not find_used_fiducials(pairs, SpatialTransform.of_matrix("t", near)).index


def test_points_that_a_spline_passes_through_are_no_targets(tmp_path: Path) -> None:
    _, pairs = noisy_pairs(n=12, sd=3.0)
    some = pairs_of(pairs.fixed_lps[:8], pairs.moving_lps[:8])
    result = prealign(some, model="tps")
    grid = spline_grid(result.fit, box_of_points(pairs.fixed_lps))
    sitk.WriteTransform(grid.transform, str(tmp_path / "renamed.h5"))
    content = prealignment_content(result, inputs={})
    (tmp_path / "fit.json").write_text(json.dumps(content), encoding="utf-8")
    transform = SpatialTransform("renamed.h5", grid.transform)
    record = find_record(tmp_path / "renamed.h5", transform)
    assert record is not None
    used = find_used_fiducials(pairs, transform, record.fiducials_fixed_lps)
    assert used.index == frozenset(range(8))
    assert "record" in used.why


def test_a_sampled_spline_of_all_points_is_recognised_without_its_record() -> None:
    _, pairs = noisy_pairs(n=12, sd=3.0)
    grid = spline_grid(prealign(pairs, model="tps").fit, box_of_points(pairs.fixed_lps))
    used = find_used_fiducials(pairs, SpatialTransform("renamed.h5", grid.transform))
    assert used.index == frozenset(range(12))
    assert "thin-plate spline" in used.why
    other = spline_grid(prealign(noisy_pairs(n=12, sd=3.0, seed=9)[1], model="tps").fit, box_of_points(pairs.fixed_lps))
    assert not find_used_fiducials(pairs, SpatialTransform("other.h5", other.transform)).index


def test_the_record_of_a_run_is_known_by_its_transform(tmp_path: Path) -> None:
    _, pairs = noisy_pairs(n=12)
    some = pairs_of(pairs.fixed_lps[:7], pairs.moving_lps[:7])
    result = prealign(some, model="rigid")
    (tmp_path / "a.json").write_text(json.dumps(prealignment_content(result, inputs={})), encoding="utf-8")
    (tmp_path / "b.json").write_text('{"schema": 1, "transform": {"moving_to_fixed_ras": "odd"}}', encoding="utf-8")
    (tmp_path / "c.json").write_text("no json", encoding="utf-8")
    (tmp_path / "d.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "0.json").mkdir()
    mine = SpatialTransform.of_matrix("t.h5", result.fit.fixed_to_moving_lps)
    record = find_record(tmp_path / "t.h5", mine)
    assert record is not None
    assert record.source == "a.json"
    assert find_used_fiducials(pairs, mine, record.fiducials_fixed_lps).index == frozenset(range(7))
    assert find_record(tmp_path / "t.h5", SpatialTransform.of_matrix("t.h5", rigid())) is None
    # In a folder with the records of many runs.
    (tmp_path / "a.json").rename(tmp_path / "z.json")
    for number in range(300):
        (tmp_path / f"b{number}.json").write_text("{}", encoding="utf-8")
    for name in ("z.h5", "t.h5"):
        record = find_record(tmp_path / name, mine)
        assert record is not None
        assert record.source == "z.json"


def test_the_wrong_way_round_is_noticed() -> None:
    truth, pairs = noisy_pairs()
    found = inverse_fits_better(pairs, SpatialTransform.of_matrix("t", np.linalg.inv(truth)))
    assert found is not None
    assert found[1] < 3.0 < 50.0 < found[0]
    assert inverse_fits_better(pairs, SpatialTransform.of_matrix("t", truth)) is None
    assert inverse_fits_better(pairs, SpatialTransform.of_matrix("t", np.eye(4))) is None


def test_targets_of_another_scene_are_refused() -> None:
    near = VolumeGrid((50, 50, 50), (2.0, 2.0, 2.0), (-50.0, -50.0, -50.0), tuple(np.eye(3).ravel()))
    far = near.moved(rigid((90, 0, 0), (900.0, 0.0, 0.0)))
    points = np.random.default_rng(1).uniform(-40, 40, (8, 3))
    there = points + np.array([900.0, 0.0, 0.0])
    check_targets_lie_in_volumes(pairs_of(points, there), near, far)
    with pytest.raises(InputError, match=r"a\.csv.*same scene"):
        check_targets_lie_in_volumes(pairs_of(points + 400, there), near, far)
    with pytest.raises(InputError, match="other way round"):
        check_targets_lie_in_volumes(pairs_of(there, points), near, far)


def test_paired_errors() -> None:
    first = np.array([1.0, 1.2, 0.8, 2.0, 1.1, 0.9, 1.4, 1.0])
    second = first + np.array([0.5, 0.7, 0.2, 1.0, -0.1, 0.4, 0.3, 0.0])
    found = compare_paired(first, second)
    assert (found.n, found.closer, found.tied) == (8, 6, 1)
    assert found.mean_difference_mm == pytest.approx(-0.375)
    differs = (first - second)[first != second]
    assert found.p == pytest.approx(wilcoxon(differs).pvalue)
    # Ranks of 0.5 0.7 0.2 1.0 0.1 0.4 0.3 are 5 6 2 7 1 4 3: 27 in favour and 1 against, of 28.
    assert found.effect_size == pytest.approx(26 / 28)
    assert found.bland_altman.limits_mm == pytest.approx(
        (-0.375 - 1.96 * np.std(first - second, ddof=1), -0.375 + 1.96 * np.std(first - second, ddof=1))
    )
    assert found.sentence("A", "B", 0.03, 1).startswith("'A' is closer than 'B' at 6 of 8 targets, by 0.38 mm")
    assert "Holm" in found.sentence("A", "B", 0.03, 3)
    assert "chance (p = 0.2" in found.sentence("A", "B", 0.2, 1)
    assert compare_paired(second, first).sentence("A", "B", 0.03, 1).startswith("'B' is closer than 'A' at 6 of 8")
    # One target that is far off turns the mean, but not the test.
    turned = compare_paired(np.full(12, 1.0), np.append(1.0 + 0.1 * np.arange(1, 12), -9.0))
    words = turned.sentence("A", "B", turned.p, 1)
    assert words.startswith("'B' is closer than 'A' at 1 of 12 targets")
    assert "favours 'A'" in words
    assert "rarely" not in words
    assert compare_paired(first, first + 1e-11).tied == 8
    assert compare_paired(first, first).sentence("A", "B", None, 1) == "'A' and 'B' are equally close at all 8 targets."


def test_holm() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_a_correction_never_lowers_a_p_value_nor_changes_the_order(p: list[float]) -> None:
    corrected = np.array(holm(p), dtype=float)
    assert np.all(corrected >= np.array(p) - 1e-15)
    assert np.all(np.diff(corrected[np.argsort(p, kind="stable")]) >= 0)


@pytest.mark.parametrize("mm", [0.0, -1.0, np.nan, np.inf])
def test_a_tolerance_is_a_positive_number(mm: float) -> None:
    with pytest.raises(InputError, match="tolerance"):
        own_tolerance(mm)
