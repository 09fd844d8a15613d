"""Expected target errors against Fitzpatrick's formula and simulation; recommendations."""

from __future__ import annotations

import numpy as np
import pytest
from MultimodalRegistrationLib.landmarks.accuracy import errors_at, leave_one_out, recommend
from MultimodalRegistrationLib.landmarks.confidence import Confidence
from MultimodalRegistrationLib.landmarks.expected_error import expected_error, localisation_error_from_fit
from MultimodalRegistrationLib.landmarks.models import MODELS, LinearFit, fit_model
from scipy.spatial.transform import Rotation

DRAWS = 2000


def body(random, count):
    """Landmarks of one head or pelvis, and targets among and around them; exact partner points."""
    fixed = random.uniform(-80, 80, (count, 3)) * [1, 0.8, 0.5] + random.uniform(-100, 100, 3)
    targets = random.uniform(-120, 120, (8, 3)) + fixed.mean(axis=0)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(random_state=random).as_matrix()
    pose[:3, 3] = random.uniform(-200, 200, 3)
    return fixed, targets, LinearFit(pose)


def simulated_rms(model, truth, fixed, targets, draw, confidence):
    """RMS of the error at the targets over noisy landmarks."""
    squares = np.zeros(len(targets))
    moving, at = truth.to_moving(fixed), truth.to_moving(targets)
    for _ in range(DRAWS):
        in_fixed, in_moving = draw()
        fit = fit_model(model, moving + in_moving, fixed + in_fixed, confidence=confidence)
        squares += ((fit.to_fixed(at) - targets) ** 2).sum(axis=1)
    return np.sqrt(squares / DRAWS)


@pytest.mark.parametrize("seed", range(20))
def test_predicted_and_simulated_target_error_agree(seed):
    random = np.random.default_rng(seed)
    fixed, targets, truth = body(random, int(random.integers(4, 12)))
    error_mm = random.uniform(0.5, 2.0)

    def draw():
        # Both volumes together have the stated error.
        return (random.normal(size=fixed.shape) * error_mm / np.sqrt(6) for _ in range(2))

    predicted = expected_error("rigid", truth, fixed, localisation_error_mm=error_mm).target_rms_mm(targets)
    simulated = simulated_rms("rigid", truth, fixed, targets, draw, None)
    np.testing.assert_allclose(simulated, predicted, rtol=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_prediction_for_errors_that_differ_by_direction(seed):
    random = np.random.default_rng(100 + seed)
    fixed, targets, truth = body(random, 6)
    sd = random.uniform(0.2, 2.0, (2, 6, 3))
    covariances = sd[:, :, :, None] ** 2 * np.eye(3)
    confidence = Confidence(None, moving_covariances=covariances[0], fixed_covariances=covariances[1])

    def draw():
        return random.normal(size=fixed.shape) * sd[1], random.normal(size=fixed.shape) * sd[0]

    predicted = expected_error("rigid", truth, fixed, confidence=confidence).target_rms_mm(targets)
    simulated = simulated_rms("rigid", truth, fixed, targets, draw, confidence)
    np.testing.assert_allclose(simulated, predicted, rtol=0.05)


@pytest.mark.parametrize("model", ["translation", "similarity", "affine"])
def test_prediction_for_other_models_and_weights(model):
    random = np.random.default_rng(7)
    fixed, targets, truth = body(random, 8)
    if model == "translation":
        truth = LinearFit(np.array([[1, 0, 0, 5], [0, 1, 0, -9], [0, 0, 1, 30], [0, 0, 0, 1.0]]))
    sd = random.uniform(0.3, 1.5, 8)
    confidence = Confidence(weights=sd**-2)

    def draw():
        return random.normal(size=fixed.shape) * sd[:, None], np.zeros_like(fixed)

    # The stated error is that of a pair of mean weight.
    error_mm = np.sqrt(3 / (sd**-2).mean())
    expected = expected_error(model, truth, fixed, localisation_error_mm=error_mm, confidence=confidence)
    simulated = simulated_rms(model, truth, fixed, targets, draw, confidence)
    np.testing.assert_allclose(simulated, expected.target_rms_mm(targets), rtol=0.05)


def test_fitzpatricks_formula():
    random = np.random.default_rng(3)
    fixed, targets, truth = body(random, 9)
    ours = expected_error("rigid", truth, fixed, localisation_error_mm=1.7).target_rms_mm(targets)
    axes = np.linalg.svd(fixed - fixed.mean(axis=0))[2]
    points, at = (fixed - fixed.mean(axis=0)) @ axes.T, (targets - fixed.mean(axis=0)) @ axes.T
    total = np.zeros(len(targets))
    for k in range(3):
        others = [i for i in range(3) if i != k]
        total += (at[:, others] ** 2).sum(axis=1) / (points[:, others] ** 2).sum(axis=1).mean()
    np.testing.assert_allclose(ours, 1.7 * np.sqrt((1 + total / 3) / 9), rtol=1e-9)


def test_uncertainty_of_rotation_and_translation():
    random = np.random.default_rng(5)
    # Nearly on a line along front-back: the rotation about that line is hardly determined.
    fixed = random.normal(size=(6, 3)) * [2.0, 60.0, 2.0]
    truth = LinearFit(np.eye(4))
    expected = expected_error("rigid", truth, fixed, localisation_error_mm=np.sqrt(3))
    turned, shifted = [], []
    for _ in range(DRAWS):
        fit = fit_model("rigid", fixed, fixed + random.normal(size=fixed.shape)).moving_to_fixed_lps
        turned.append(Rotation.from_matrix(fit[:3, :3]).as_rotvec(degrees=True))
        shifted.append(fit[:3, :3] @ expected.center_lps + fit[:3, 3] - expected.center_lps)
    # 20 degrees about the line are beyond first order.
    np.testing.assert_allclose(np.std(turned, axis=0), expected.rotation_sd_deg, rtol=0.25)
    np.testing.assert_allclose(np.std(shifted, axis=0), expected.translation_sd_mm, rtol=0.06)
    sd_deg, axis = expected.weakest_rotation
    assert abs(axis[1]) > 0.99
    assert sd_deg > 10 * min(expected.rotation_sd_deg)


def test_the_localisation_error_follows_from_the_fiducial_error():
    random = np.random.default_rng(8)
    fixed, _, truth = body(random, 5)
    moving = truth.to_moving(fixed)
    estimates = []
    for _ in range(DRAWS):
        noisy = fixed + random.normal(size=fixed.shape)
        fit = fit_model("rigid", moving, noisy)
        estimates.append(localisation_error_from_fit("rigid", fit, moving, noisy))
    assert np.sqrt(np.mean(np.square(estimates))) == pytest.approx(np.sqrt(3), rel=0.03)
    assert localisation_error_from_fit("tps", fit, moving, noisy) is None


def test_the_spline_predicts_its_own_spread():
    random = np.random.default_rng(11)
    fixed, targets, _ = body(random, 10)
    identity = LinearFit(np.eye(4))
    expected = expected_error("tps", identity, fixed, localisation_error_mm=0.3 * np.sqrt(3))
    squares = []
    for _ in range(600):
        fit = fit_model("tps", fixed, fixed + 0.3 * random.normal(size=fixed.shape))
        squares.append(((fit.to_fixed(targets) - targets) ** 2).sum(axis=1))
    np.testing.assert_allclose(np.sqrt(np.mean(squares, axis=0)), expected.target_rms_mm(targets), rtol=0.08)


def recommended(transform, noise_mm, count, seed):
    random = np.random.default_rng(seed)
    moving = random.uniform(-70, 70, (count, 3))
    fixed = transform(moving) + random.normal(size=moving.shape) * noise_mm
    return recommend({model: leave_one_out(model, moving, fixed) for model in MODELS})


@pytest.mark.parametrize(
    ("model", "transform"),
    [
        ("rigid", lambda p: p @ Rotation.from_rotvec([0.4, -0.2, 1]).as_matrix().T + 30),
        ("similarity", lambda p: 0.6 * p @ Rotation.from_rotvec([0.4, -0.2, 1]).as_matrix().T + 30),
        ("affine", lambda p: p @ np.array([[1.2, 0.1, 0], [0.2, 0.8, 0], [-0.1, 0, 1.1]]).T + 30),
        ("tps", lambda p: p + 20 * np.sin(p[:, [1, 2, 0]] / 40)),
    ],
)
def test_the_evidence_recommends_the_model_that_made_the_points(model, transform):
    right = sum(recommended(transform, 1.0, 60, seed).model == model for seed in range(20))
    assert right >= 17


def test_too_few_landmarks_to_compare_are_said():
    words = recommended(lambda p: p + 3, 1.0, 3, 0)
    assert words.model == "rigid"
    assert "No model can be judged" in words.words


def test_fiducial_and_target_error_are_not_the_same():
    random = np.random.default_rng(2)
    fixed, targets, truth = body(random, 4)
    moving = truth.to_moving(fixed)
    noisy = fixed + random.normal(size=fixed.shape)
    fit = fit_model("affine", moving, noisy)
    assert errors_at(fit, moving, noisy).rms_mm < 1e-9
    assert errors_at(fit, truth.to_moving(targets), targets).rms_mm > 0.5


def test_exact_points_get_the_simplest_model_that_is_exact():
    chosen = recommended(lambda p: p @ Rotation.from_rotvec([0.4, -0.2, 1]).as_matrix().T + 3, 0.0, 8, 0)
    assert chosen.model == "rigid"
    assert "exactly" in chosen.words
