"""From pairs to a judged transform: weights, reflections, labels in another order, errors over a volume."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import rigid
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.linear import apply_matrix, fit_rigid
from MultimodalRegistrationLib.core.points import LandmarkList, Pairs
from MultimodalRegistrationLib.landmarks.confidence import Confidence, read_confidence
from MultimodalRegistrationLib.landmarks.pairing import pair_landmarks
from MultimodalRegistrationLib.landmarks.prealign import prealign
from MultimodalRegistrationLib.landmarks.report import prealignment_content, prealignment_message

POSE_LPS = rigid([0.3, 1, -0.5], 130, [40, -220, 75])


def pairs_of(count=8, noise_mm=0.7, seed=1, scale=1.0, mirror=False, flat=False):
    random = np.random.default_rng(seed)
    moving = random.uniform(-70, 70, (count, 3)) * [1, 1, 0 if flat else 1]
    fixed = apply_matrix(POSE_LPS, scale * moving * [-1 if mirror else 1, 1, 1])
    fixed += noise_mm * random.normal(size=fixed.shape)
    return made(fixed, moving)


def made(fixed, moving):
    index = tuple(range(len(fixed)))
    return Pairs(LandmarkList.of_points("F", fixed), LandmarkList.of_points("M", moving), index, index, "order")


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("count", "flat"), [(3, False), (9, True)])
def test_an_allowed_reflection_is_not_taken_where_nothing_speaks_for_it(seed, count, flat):
    pairs = pairs_of(count=count, seed=seed, flat=flat)
    matrix = fit_rigid(pairs.moving_lps, pairs.fixed_lps, reflection=True)
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1.0)


def test_an_allowed_reflection_is_a_note():
    result = prealign(pairs_of(mirror=True), reflection=True)
    assert result.mirrors
    assert [(f.code, f.severity) for f in result.findings] == [("mirrored", "note")]
    with pytest.raises(InputError, match="mirror"):
        prealign(pairs_of(mirror=True))
    spline = prealign(pairs_of(mirror=True, count=12), model="tps", reflection=True)
    assert spline.mirrors
    assert "folds" not in {finding.code for finding in spline.findings}


@pytest.mark.parametrize("scale", [0.6, 1.6])
def test_shrunken_tissue_is_no_reason_to_refuse(scale):
    for seed in range(10):
        result = prealign(pairs_of(count=10, seed=seed, scale=scale), model="auto")
        assert result.model == "similarity"
        assert result.scales[0] == pytest.approx(scale, rel=0.03)
        assert not result.findings


def test_labels_in_another_order_are_named():
    pairs = pairs_of()
    order = np.array([3, 0, 1, 2, 4, 5, 7, 6])
    shuffled = LandmarkList.of_points("M", pairs.moving_lps[order], [str(i + 1) for i in order])
    wrong = pair_landmarks(pairs.fixed, shuffled, how="order")
    try:
        found = {finding.code: finding for finding in prealign(wrong).findings}
        assert "label-order" in found
    except InputError as error:
        assert "Pair by label" in str(error)
        assert "on a line" not in str(error)
    assert prealign(pair_landmarks(pairs.fixed, shuffled, how="label")).fiducial.rms_mm < 2


def test_no_model_is_advised_before_outliers_are_settled():
    pairs = pairs_of(count=10)
    fixed = pairs.fixed_lps.copy()
    fixed[2] += [25, 0, 10]
    result = prealign(made(fixed, pairs.moving_lps), model="rigid")
    assert [finding.code for finding in result.findings] == ["outlier"]
    assert result.recommendation.words.startswith("Settle '3' first. As the points are: Use ")
    assert prealign(pairs, model="rigid").recommendation.words.startswith("Use ")


def test_a_badly_placed_point_that_is_known_as_such_is_no_outlier():
    random = np.random.default_rng(3)
    flagged = 0
    for seed in range(30):
        pairs = pairs_of(count=8, seed=seed, noise_mm=1.0)
        fixed = pairs.fixed_lps.copy()
        fixed[2] += 10.0 * random.normal(size=3)
        sd = np.where(np.arange(8) == 2, 10.0, 1.0)
        result = prealign(made(fixed, pairs.moving_lps), confidence=Confidence(weights=sd**-2.0, sd_mm=sd * np.sqrt(3)))
        flagged += bool(result.findings)
    assert flagged <= 2


def test_standard_deviations_are_absolute_and_weights_are_not(tmp_path):
    pairs = pairs_of()
    rows = {
        "sd.csv": "label,sd_mm\n" + "".join(f"{i + 1},3\n" for i in range(8)),
        "weights.csv": "label,weight\n" + "".join(f"{i + 1},3\n" for i in range(8)),
    }
    for name, text in rows.items():
        (tmp_path / name).write_text(text)
    stated = prealign(pairs, confidence=read_confidence(tmp_path / "sd.csv", pairs))
    told = prealign(pairs, localisation_error_mm=3.0)
    at = pairs.fixed_lps
    np.testing.assert_allclose(stated.expected.target_rms_mm(at), told.expected.target_rms_mm(at))
    weighted = prealign(pairs, confidence=read_confidence(tmp_path / "weights.csv", pairs))
    np.testing.assert_allclose(
        weighted.expected.target_rms_mm(at), prealign(pairs).expected.target_rms_mm(at), rtol=1e-9
    )
    assert prealign(pairs, localisation_error_mm=0.0).expected.target_rms_mm(at).max() == 0.0
    with pytest.raises(InputError, match="standard deviations"):
        prealign(pairs, confidence=read_confidence(tmp_path / "sd.csv", pairs), localisation_error_mm=1.0)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("label,weight\n1,1,5\n", "line 2"),
        ("label,weight\n1\n", "line 2"),
        ("label,weight\n1,1e308\n", "1e308"),
        ("label,sd_mm\n1,0\n", "'0'"),
        ("label,weight\n1,1\n1,2\n", "twice"),
        ("label,weight\n2,1\n", "'1'"),
        ("name,weight\n1,1\n", "label|row"),
        ("", "row|missing"),
    ],
)
def test_bad_weights_are_named(tmp_path, text, found):
    (tmp_path / "W.csv").write_text(text)
    pairs = pairs_of(count=1)
    with pytest.raises(InputError, match=rf"(?s)W\.csv.*({found})"):
        read_confidence(tmp_path / "W.csv", pairs)


def test_one_pair_gives_a_translation():
    result = prealign(pairs_of(count=1), model="translation")
    assert result.fiducial.rms_mm < 1e-9
    words = "\n".join(prealignment_message(result))
    assert "Use rigid" not in words


def test_the_expected_error_over_a_volume():
    pairs = pairs_of()
    points = np.random.default_rng(0).uniform(-200, 200, (300, 3))
    result = prealign(pairs, localisation_error_mm=2.0, over_fixed_lps=points)
    values = result.expected.target_rms_mm(points)
    assert result.expected_over == (pytest.approx(np.sqrt(np.mean(values**2))), pytest.approx(values.max()))
    content = prealignment_content(result, inputs={})
    assert content["expected"]["over_volume"]["max_mm"] == pytest.approx(values.max())


def test_many_pairs_need_little_memory():
    result = prealign(pairs_of(count=150))
    assert result.expected.target_rms_mm(result.pairs.fixed_lps).max() < 0.5
