"""The whole assessment: verdicts, ranks, comparisons, warnings, and its content as JSON and tables."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_POSE, rigid
from MultimodalRegistrationLib.assess.assess import Structures, assess
from MultimodalRegistrationLib.assess.content import csv_tables, quality_content, quality_maps
from MultimodalRegistrationLib.assess.report.write import write_report
from MultimodalRegistrationLib.assess.targets import own_tolerance
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.phantom import target_points_lps
from MultimodalRegistrationLib.core.points import LandmarkList, Pairs
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.run_records import RunRecord
from MultimodalRegistrationLib.io.segmentations import Segmentation
from MultimodalRegistrationLib.landmarks.models import fit_model
from MultimodalRegistrationLib.landmarks.pairing import pair_landmarks


def pairs_of(fixed, moving) -> Pairs:
    lists = [
        LandmarkList.of_points(name, np.asarray(points, float))
        for name, points in (("a.csv", fixed), ("b.csv", moving))
    ]
    return pair_landmarks(*lists, how="order")


@pytest.fixture(scope="module")
def targets(truth_ct_to_mr_lps) -> Pairs:
    """Targets whose moving points were placed with an error of 0.3 mm a direction."""
    fixed = target_points_lps(CT_POSE)[:12]
    noise = np.random.default_rng(8).normal(0, 0.3, fixed.shape)
    return pairs_of(fixed, apply_matrix(truth_ct_to_mr_lps, fixed) + noise)


@pytest.fixture(scope="module")
def right(truth_ct_to_mr_lps) -> SpatialTransform:
    return SpatialTransform.of_matrix("right.h5", truth_ct_to_mr_lps)


def shifted(truth: np.ndarray, name: str, shift_mm: float) -> SpatialTransform:
    return SpatialTransform.of_matrix(name, truth @ rigid([0, 0, 1], 0, [shift_mm, 0, 0]))


def ball(volume: Volume, center_lps: np.ndarray, name: str) -> Segmentation:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in volume.grid.size], indexing="ij"), axis=-1)
    inside = np.linalg.norm(apply_matrix(volume.grid.ijk_to_lps, index) - center_lps, axis=-1) < 22
    image = sitk.GetImageFromArray(inside.transpose(2, 1, 0).astype(np.uint8))
    volume.grid.place(image)
    return Segmentation.of_labels(Volume(image, name))


def test_a_good_transform(head_ct, head_mr, right, targets):
    result = assess(head_ct, head_mr, [right], targets=targets)
    assert result.verdict.word == "good", result.verdict.reasons
    assert result.methods[0].rank == 1
    assert 0.2 < result.methods[0].targets.mean_mm < 0.8
    assert result.before.targets.mean_mm > 20
    assert result.methods[0].images.normalized_mutual_information > result.before.images.normalized_mutual_information
    assert result.comparisons == ()


def test_methods_are_ranked_and_compared(head_ct, head_mr, right, targets, truth_ct_to_mr_lps):
    near, far = (shifted(truth_ct_to_mr_lps, f"{mm:g} mm.h5", mm) for mm in (1.0, 6.0))
    result = assess(head_ct, head_mr, [far, right, near], targets=targets)
    assert [one.rank for one in result.methods] == [3, 1, 2]
    assert [verdict.word for verdict in result.verdicts[:2]] == ["bad", "good"]
    assert result.verdict.method == "right.h5"
    gaps = {(one.first, one.second): one.displacement.mean_mm for one in result.comparisons}
    assert gaps[("6 mm.h5", "right.h5")] == pytest.approx(6.0)
    assert gaps[("6 mm.h5", "1 mm.h5")] == pytest.approx(5.0)
    first = result.comparisons[0]
    assert first.sentence.startswith("'right.h5' is closer than '6 mm.h5' at 12 of 12 targets")
    assert "Holm's correction for 3" in first.sentence
    assert first.targets.effect_size == -1.0


def test_a_reference_is_labelled_and_not_ranked(head_ct, head_mr, right, truth_ct_to_mr_lps):
    wrong = shifted(truth_ct_to_mr_lps, "wrong.h5", 4.0)
    result = assess(head_ct, head_mr, [wrong], reference=right)
    assert [one.reference is not None for one in result.methods] == [False, True]
    assert result.methods[1].rank is None
    assert result.methods[0].from_reference.mean_mm == pytest.approx(4.0)
    assert result.verdict.word == "bad"
    assert result.verdict.method == "wrong.h5"
    near = shifted(truth_ct_to_mr_lps, "near.h5", 0.1)
    both = assess(head_ct, head_mr, [wrong, near], reference=right)
    assert [one.rank for one in both.methods] == [2, 1, None]
    assert (both.verdict.method, both.verdict.word) == ("near.h5", "good")


def test_fiducials_are_never_reported_as_targets(head_ct, head_mr, right, targets):
    fit = fit_model("rigid", targets.moving_lps, targets.fixed_lps)
    fitted = SpatialTransform.of_matrix("fitted.h5", fit.fixed_to_moving_lps)
    result = assess(head_ct, head_mr, [fitted, right], targets=targets)
    assert result.methods[0].targets is None
    assert "least-squares fit" in result.methods[0].notes[0]
    assert result.methods[0].rank is None
    assert len(result.methods[1].targets) == 12
    assert result.comparisons[0].targets is None
    assert result.verdicts[0].word == "unknown"


def test_all_are_judged_at_the_same_targets(head_ct, head_mr, right, targets):
    some = pairs_of(targets.fixed_lps[:5], targets.moving_lps[:5])
    fit = fit_model("rigid", some.moving_lps, some.fixed_lps)
    fitted = SpatialTransform.of_matrix("fitted.h5", fit.fixed_to_moving_lps)
    record = RunRecord(source="fit.json", content={"pairs": [{"fixed_lps": list(p)} for p in some.fixed_lps]})
    result = assess(head_ct, head_mr, [fitted, right], targets=targets, records={"fitted.h5": record})
    assert [len(one.targets) for one in (result.before, *result.methods)] == [7, 7, 7]
    assert result.methods[0].targets.left_out == ("1", "2", "3", "4", "5")
    assert "record" in result.methods[0].notes[0]
    assert "another transform" in result.methods[1].notes[0]


def test_without_anything_independent_nothing_is_good(head_ct, head_mr, right, truth_ct_to_mr_lps):
    assert assess(head_ct, head_mr, [right]).verdict.word == "unknown"
    lost = SpatialTransform.of_matrix("lost.h5", rigid([0, 0, 1], 0, [900.0, 0, 0]))
    verdict = assess(head_ct, head_mr, [lost]).verdict
    assert verdict.word == "bad"
    assert "do not overlap" in verdict.reasons[0]
    record = RunRecord(source="r.json", content={"verdict": {"word": "uncertain", "estimated_error_mm": 2.5}})
    told = assess(head_ct, head_mr, [right], records={"right.h5": record}).verdict
    assert told.word == "doubtful"
    assert "uncertain" in told.reasons[0]


def test_a_record_of_the_exchanged_volumes_is_said(head_ct, head_mr, right):
    """Without targets nothing else would tell, and the verdict of that run is no verdict of this direction."""
    inputs = {"fixed": f"/elsewhere/{head_mr.name}", "moving": head_ct.name}
    record = RunRecord("r.json", {"inputs": inputs, "verdict": {"word": "verified", "estimated_error_mm": 1.7}})
    verdict = assess(head_ct, head_mr, [right], records={"right.h5": record}).verdict
    assert verdict.word == "bad"
    assert "Fixed and moving are exchanged: r.json says" in verdict.reasons[0]
    assert not any("ended as" in fact for fact in verdict.facts)
    again = assess(head_mr, head_ct, [right], records={"right.h5": record}).verdict
    assert any("ended as verified" in fact for fact in again.facts)


def test_the_wrong_way_round_is_said(head_ct, head_mr, targets, truth_ct_to_mr_lps):
    turned = SpatialTransform.of_matrix("turned.h5", np.linalg.inv(truth_ct_to_mr_lps))
    verdict = assess(head_ct, head_mr, [turned], targets=targets).verdict
    assert verdict.word == "bad"
    assert "wrong way round" in verdict.reasons[0]


def test_structures(head_ct, head_mr, right, truth_ct_to_mr_lps):
    center = head_ct.grid.center_lps
    structures = Structures(
        ball(head_ct, center, "ct.seg"), ball(head_mr, apply_matrix(truth_ct_to_mr_lps, center), "mr.seg")
    )
    good = assess(head_ct, head_mr, [right], structures=structures)
    assert good.verdict.word == "good", good.verdict.reasons
    assert good.methods[0].structures[0].measures.dice > 0.95
    bad = assess(head_ct, head_mr, [shifted(truth_ct_to_mr_lps, "bad.h5", 6.0)], structures=structures)
    assert bad.verdict.word == "doubtful"
    assert "mm apart on average" in bad.verdict.reasons[0]
    # A turn about the middle of a ball cannot be seen in it: what is said goes no further than its surface.
    assert "no error at a point was measured" in good.verdict.sentence
    slid = assess(head_ct, head_mr, [shifted(truth_ct_to_mr_lps, "slid.h5", 2.2)], structures=structures)
    assert slid.methods[0].structures[0].measures.mean_surface_distance_mm < 1.3
    assert slid.verdict.word == "doubtful"
    assert "centroids" in slid.verdict.reasons[0]
    layer = structures.moving.segments[0].layer
    more = Segmentation.of_layers("more", structures.moving.grid, [layer, 2 * layer], [("1", 0, 1), ("other", 1, 2)])
    ranked = assess(
        head_ct,
        head_mr,
        [shifted(truth_ct_to_mr_lps, "far.h5", 5.0), right],
        structures=Structures(structures.fixed, more),
    )
    assert [one.rank for one in ranked.methods] == [2, 1]


def test_a_mirror_image_is_bad(head_ct, head_mr, truth_ct_to_mr_lps):
    mirrored = SpatialTransform.of_matrix("mirror.h5", truth_ct_to_mr_lps @ np.diag([-1.0, 1.0, 1.0, 1.0]))
    verdict = assess(head_ct, head_mr, [mirrored]).verdict
    assert verdict.word == "bad"
    assert "mirror image" in " ".join(verdict.reasons)


def test_few_targets_that_are_all_far_off_are_bad(head_ct, head_mr, targets, truth_ct_to_mr_lps):
    few = pairs_of(targets.fixed_lps[:3], targets.moving_lps[:3])
    verdict = assess(head_ct, head_mr, [shifted(truth_ct_to_mr_lps, "off.h5", 20.0)], targets=few).verdict
    assert verdict.word == "bad"
    assert "than is certain" not in " ".join(verdict.reasons)


def test_one_target_and_a_reference_fill_a_report(head_ct, head_mr, right, targets, truth_ct_to_mr_lps, tmp_path):
    one = pairs_of(targets.fixed_lps[:1], targets.moving_lps[:1])
    near = shifted(truth_ct_to_mr_lps, "near.h5", 1.0)
    result = assess(head_ct, head_mr, [near], targets=one, reference=right)
    content = quality_content(result, head_ct, head_mr, inputs={}, command="qa", region="everything")
    transforms = [method.transform for method in result.methods]
    write_report(tmp_path / "report.html", content, head_ct, head_mr, transforms)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "A single target has no limits of agreement." in page
    assert "Distance from the reference (mm)" in page


def test_a_folding_field_is_bad(head_ct, head_mr, truth_ct_to_mr_lps):
    field = sitk.Image([60, 60, 60], sitk.sitkVectorFloat64, 3)
    values = sitk.GetArrayFromImage(field)
    values[..., 0] = 25 * np.sin(np.arange(60) / 2.0)
    folding = sitk.GetImageFromArray(values, isVector=True)
    folding.SetSpacing([4.0] * 3)
    folding.SetOrigin((head_ct.grid.center_lps - 120).tolist())
    right = SpatialTransform.of_matrix("r", truth_ct_to_mr_lps).transform
    composite = sitk.CompositeTransform([right, sitk.DisplacementFieldTransform(folding)])
    result = assess(head_ct, head_mr, [SpatialTransform("folds.h5", composite)])
    assert result.verdict.word == "bad"
    assert any("folds space" in reason for reason in result.verdict.reasons)
    assert {"jacobian", "return-error"} <= set(quality_maps(result))


def test_content_and_tables(head_ct, head_mr, right, targets, truth_ct_to_mr_lps):
    near = shifted(truth_ct_to_mr_lps, "=near.h5", 1.0)
    result = assess(head_ct, head_mr, [right, near], targets=targets, tolerance=own_tolerance(2.0))
    content = quality_content(result, head_ct, head_mr, inputs={"fixed": "ct"}, command="qa", region="everything")
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    tables = {name: list(csv.DictReader(io.StringIO(text))) for name, text in csv_tables(content).items()}
    assert [row["name"] for row in tables["methods"]] == ["before", "right.h5", "'=near.h5"]
    assert len(tables["targets"]) == 36
    errors = [float(row["error_mm"]) for row in tables["targets"] if row["transform"] == "right.h5"]
    np.testing.assert_allclose(errors, result.methods[0].targets.errors_mm)
    vectors = [[float(row[f"error_ras_mm_{i}"]) for i in (1, 2, 3)] for row in tables["targets"][12:24]]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), errors)
    assert float(tables["methods"][1]["targets_mean_mm"]) == pytest.approx(np.mean(errors))
    assert tables["comparisons"][0]["a"] == "right.h5"
    for volume in quality_maps(result).values():
        np.testing.assert_allclose(volume.grid.center_lps, head_ct.grid.center_lps, atol=5.0)


def test_names_are_told_apart(head_ct, head_mr, right):
    with pytest.raises(InputError, match="this name"):
        assess(head_ct, head_mr, [right, right])
    with pytest.raises(InputError, match="none was given"):
        assess(head_ct, head_mr, [])
