"""Landmark fits against closed forms, ITK, VTK and their own inverses."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import vtk
from hypothesis import given, settings
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import InputError, RegistrationError
from MultimodalRegistrationLib.core.linear import (
    apply_matrix,
    fit_affine,
    fit_rigid,
    fit_similarity,
    fit_translation,
    matrix_from_sitk,
)
from MultimodalRegistrationLib.landmarks.accuracy import errors_at, leave_one_out
from MultimodalRegistrationLib.landmarks.confidence import Confidence
from MultimodalRegistrationLib.landmarks.models import (
    MODELS,
    LinearFit,
    difference_covariances,
    fit_model,
    fit_rigid_anisotropic,
    is_determined,
)
from MultimodalRegistrationLib.landmarks.thin_plate import ThinPlateSpline, _newton_steps, box_of_points, spline_grid
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation


def configuration(seed, count=None, noise_mm=2.0, scale=1.0):
    """Moving and fixed points: any rotation, far translation, noise."""
    random = np.random.default_rng(seed)
    count = count or int(random.integers(4, 20))
    moving = random.uniform(-90, 90, (count, 3)) * [1, 0.7, 0.4] + random.uniform(-300, 300, 3)
    rotation = Rotation.random(random_state=random).as_matrix()
    fixed = scale * moving @ rotation.T + random.uniform(-200, 200, 3) + random.normal(size=(count, 3)) * noise_mm
    return moving, fixed


def vtk_matrix(moving, fixed, mode):
    def points(array):
        result = vtk.vtkPoints()
        result.SetDataTypeToDouble()
        for point in array:
            result.InsertNextPoint(point)
        return result

    transform = vtk.vtkLandmarkTransform()
    transform.SetSourceLandmarks(points(moving))
    transform.SetTargetLandmarks(points(fixed))
    getattr(transform, f"SetModeTo{mode}")()
    transform.Update()
    return np.array([[transform.GetMatrix().GetElement(i, j) for j in range(4)] for i in range(4)])


def sitk_matrix(moving, fixed, transform):
    initializer = sitk.LandmarkBasedTransformInitializerFilter()
    # ITK's transform maps its fixed landmarks to its moving ones.
    initializer.SetFixedLandmarks(moving.ravel().tolist())
    initializer.SetMovingLandmarks(fixed.ravel().tolist())
    return matrix_from_sitk(initializer.Execute(transform))


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize(
    ("fit", "mode", "itk"),
    [
        (fit_rigid, "RigidBody", sitk.VersorRigid3DTransform),
        (fit_similarity, "Similarity", None),
        (fit_affine, "Affine", sitk.AffineTransform),
    ],
)
def test_agrees_with_vtk_and_itk(fit, mode, itk, seed):
    moving, fixed = configuration(seed, scale=1.3 if mode != "RigidBody" else 1.0)
    ours = apply_matrix(fit(moving, fixed), moving)
    np.testing.assert_allclose(ours, apply_matrix(vtk_matrix(moving, fixed, mode), moving), atol=1e-6)
    if itk is not None:
        transform = itk() if itk is sitk.VersorRigid3DTransform else itk(3)
        np.testing.assert_allclose(ours, apply_matrix(sitk_matrix(moving, fixed, transform), moving), atol=1e-6)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("fit", [fit_translation, fit_rigid, fit_similarity])
def test_exchanging_the_lists_gives_the_inverse(fit, seed):
    moving, fixed = configuration(seed, scale=0.6 if fit is fit_similarity else 1.0)
    weights = np.random.default_rng(seed).uniform(0.2, 5, len(moving))
    forward, backward = fit(moving, fixed, weights), fit(fixed, moving, weights)
    np.testing.assert_allclose(forward @ backward, np.eye(4), atol=1e-9)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("model", ["translation", "rigid"])
def test_the_fiducial_error_is_the_same_in_both_directions(model, seed):
    moving, fixed = configuration(seed, noise_mm=8.0)
    one = errors_at(fit_model(model, moving, fixed), moving, fixed)
    other = errors_at(fit_model(model, fixed, moving), fixed, moving)
    assert abs(one.rms_mm - other.rms_mm) < 1e-9
    np.testing.assert_allclose(one.per_point_mm, other.per_point_mm, atol=1e-9)


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_no_small_change_of_a_rigid_fit_is_better(seed):
    moving, fixed = configuration(seed)
    random = np.random.default_rng(seed)
    weights = random.uniform(0.1, 10, len(moving))
    best = fit_rigid(moving, fixed, weights)

    def cost(matrix):
        return weights @ ((apply_matrix(matrix, moving) - fixed) ** 2).sum(axis=1)

    for vector in random.normal(size=(10, 6)) * 1e-3:
        change = np.eye(4)
        change[:3, :3] = Rotation.from_rotvec(vector[:3] * 0.01).as_matrix()
        change[:3, 3] = vector[3:]
        assert cost(change @ best) >= cost(best)
    assert np.linalg.det(best[:3, :3]) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_weights_count_like_repeated_points(model):
    moving, fixed = configuration(5, count=8)
    weights = np.array([1, 1, 3, 1, 2, 1, 1, 1.0])
    if model == "tps":
        pytest.skip("a spline cannot pass twice through one point")
    repeated = np.repeat(np.arange(8), weights.astype(int))
    ours = fit_model(model, moving, fixed, confidence=Confidence(weights=weights))
    theirs = fit_model(model, moving[repeated], fixed[repeated])
    np.testing.assert_allclose(ours.to_fixed(moving), theirs.to_fixed(moving), atol=1e-9)


def test_a_mirrored_set_is_fitted_by_a_reflection_only_when_asked():
    moving, _ = configuration(2)
    mirrored = moving * [-1, 1, 1]
    assert errors_at(LinearFit(fit_rigid(moving, mirrored)), moving, mirrored).rms_mm > 10
    with_reflection = fit_rigid(moving, mirrored, reflection=True)
    assert np.linalg.det(with_reflection[:3, :3]) == pytest.approx(-1)
    np.testing.assert_allclose(apply_matrix(with_reflection, moving), mirrored, atol=1e-9)
    with pytest.raises(InputError, match="mirrors"):
        fit_model("affine", moving, mirrored)
    fit_model("affine", moving, mirrored, reflection=True)


def covariances(random, count):
    factor = random.normal(size=(count, 3, 3)) * [3.0, 1.0, 0.3]
    return factor @ factor.swapaxes(1, 2) + 0.05 * np.eye(3)


@pytest.mark.parametrize("seed", range(5))
def test_the_anisotropic_fit_minimises_the_mahalanobis_distances(seed):
    moving, fixed = configuration(seed, count=7)
    random = np.random.default_rng(seed)
    of_moving, of_fixed = covariances(random, 7), covariances(random, 7)
    ours = fit_rigid_anisotropic(moving, fixed, of_moving, of_fixed)
    # With the covariances of the answer held, no other pose is better.
    inverse = np.linalg.inv(difference_covariances(ours, of_moving, of_fixed))

    def cost(parameters):
        move = np.eye(4)
        move[:3, :3] = Rotation.from_rotvec(parameters[:3] / 100).as_matrix()
        center = fixed.mean(axis=0)
        move[:3, 3] = center + parameters[3:] - move[:3, :3] @ center
        difference = apply_matrix(move @ ours, moving) - fixed
        return np.einsum("ni,nij,nj->", difference, inverse, difference)

    found = minimize(cost, np.zeros(6), method="BFGS", options={"gtol": 1e-9})
    assert np.abs(found.x).max() < 1e-4
    assert cost(np.zeros(6)) <= found.fun + 1e-9


def test_isotropic_covariances_give_the_closed_form():
    moving, fixed = configuration(3)
    random = np.random.default_rng(0)
    variance = random.uniform(0.2, 4, len(moving))
    isotropic = variance[:, None, None] * np.eye(3)
    ours = fit_rigid_anisotropic(moving, fixed, isotropic, 0.5 * isotropic)
    np.testing.assert_allclose(ours, fit_rigid(moving, fixed, 1 / variance), atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_spline_passes_through_the_landmarks_and_agrees_with_vtk(seed):
    moving, fixed = configuration(seed, noise_mm=4.0)
    spline = ThinPlateSpline(fixed, moving)
    np.testing.assert_allclose(spline.to_moving(fixed), moving, atol=1e-6)
    np.testing.assert_allclose(spline.to_fixed(moving), fixed, atol=1e-6)
    reference = vtk.vtkThinPlateSplineTransform()
    reference.SetBasisToR()
    for array, setter in ((fixed, reference.SetSourceLandmarks), (moving, reference.SetTargetLandmarks)):
        points = vtk.vtkPoints()
        points.SetDataTypeToDouble()
        for point in array:
            points.InsertNextPoint(point)
        setter(points)
    reference.Update()
    targets = np.random.default_rng(seed).uniform(-150, 150, (200, 3)) + fixed.mean(axis=0)
    theirs = np.array([reference.TransformPoint(point) for point in targets])
    np.testing.assert_allclose(spline.to_moving(targets), theirs, atol=1e-6)
    np.testing.assert_allclose(spline.to_fixed(spline.to_moving(targets)), targets, atol=1e-6)


def test_a_stiff_spline_is_the_affine_fit():
    moving, fixed = configuration(4, count=10)
    stiff = ThinPlateSpline(fixed, moving, stiffness_mm=1e9)
    np.testing.assert_allclose(stiff.to_moving(fixed), apply_matrix(fit_affine(fixed, moving), fixed), atol=1e-4)
    some = errors_at(ThinPlateSpline(fixed, moving, stiffness_mm=20.0), moving, fixed).rms_mm
    assert 0.01 < some < errors_at(stiff, moving, fixed).rms_mm


def is_inverted_or_refused(spline, moving):
    try:
        back = spline.to_fixed(moving)
    except RegistrationError as error:
        assert "folds" in str(error)
    else:
        np.testing.assert_allclose(spline.to_moving(back), moving, atol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_a_spline_through_two_landmarks_with_one_partner_is_inverted_or_refused(seed):
    """Between the two it folds, or nearly so."""
    fixed = np.random.default_rng(seed).integers(-60, 60, (12, 3)).astype(float)
    shift = np.array([3.0, -2.0, 5.0])
    moving = fixed + shift
    moving[7] = moving[8]
    spline = ThinPlateSpline(fixed, moving)
    probes = np.concatenate([moving, (fixed[7:8] + fixed[8:9]) / 2 + shift])
    for probe in probes[:, None]:
        is_inverted_or_refused(spline, probe)


def test_a_flat_spline_takes_the_shortest_step():
    """By ``jacobian @ step = miss``: exactly where that has an answer, else as near as the flat direction allows."""
    regular, flat = np.diag([2.0, 4.0, -1.0]), np.outer([1.0, 0.0, 2.0], [0.0, 3.0, 4.0])
    miss = np.array([[2.0, 2.0, 3.0], [1.0, 5.0, 2.0]])
    steps = _newton_steps(np.stack([regular, flat]), miss)
    np.testing.assert_allclose(steps, [[1.0, 0.5, -3.0], [0.0, 0.12, 0.16]], atol=1e-12)


def test_a_spline_that_folds_says_so():
    fixed = np.array([[x, y, z] for x in (0, 10) for y in (0, 10) for z in (0, 10)] + [[4, 5, 5], [6, 5, 5]], float)
    moving = fixed.copy()
    moving[-2:] = moving[[-1, -2]] + [[8, 0, 0], [-8, 0, 0]]
    spline = ThinPlateSpline(fixed, moving)
    is_inverted_or_refused(spline, np.random.default_rng(0).uniform(0, 10, (200, 3)))


def test_the_grid_of_a_spline_states_how_far_it_is_from_it():
    moving, fixed = configuration(6, noise_mm=3.0)
    spline = ThinPlateSpline(fixed, moving)
    box = box_of_points(fixed)
    made = spline_grid(spline, box)
    points = np.random.default_rng(1).uniform(box[0], box[1], (500, 3))
    mapped = np.array([made.transform.TransformPoint(point) for point in points.tolist()])
    difference = np.linalg.norm(mapped - spline.to_moving(points), axis=1)
    assert difference.max() < max(0.1, 1.3 * made.error_mm)
    assert difference.mean() < 0.05


def test_leave_one_out_is_the_error_of_a_fit_without_the_point():
    moving, fixed = configuration(7, count=6)
    errors = leave_one_out("rigid", moving, fixed)
    kept = np.arange(6) != 2
    alone = fit_rigid(moving[kept], fixed[kept])
    expected = np.linalg.norm(apply_matrix(alone, moving[2]) - fixed[2])
    assert errors.per_point_mm[2] == pytest.approx(expected, abs=1e-12)
    assert leave_one_out("rigid", moving[:3], fixed[:3]) is None
    assert leave_one_out("affine", moving[:4], fixed[:4]) is None


def test_what_determines_a_model():
    moving, fixed = configuration(8, count=6)
    assert all(is_determined(model, moving, fixed) for model in MODELS)
    flat = moving * [1, 1, 0]
    assert is_determined("rigid", flat, fixed)
    assert not is_determined("affine", flat, fixed)
    line = moving[:1] + np.linspace(0, 1, 6)[:, None] * (moving[1] - moving[0])
    assert not is_determined("rigid", line, fixed)
    assert is_determined("translation", line[:1], fixed[:1])
    assert not is_determined("rigid", moving[:2], fixed[:2])


def test_uncertainties_by_direction_are_for_rigid_only():
    moving, fixed = configuration(9, count=6)
    identity = np.broadcast_to(np.eye(3), (6, 3, 3))
    with pytest.raises(InputError, match="by direction"):
        fit_model(
            "affine", moving, fixed, confidence=Confidence(moving_covariances=identity, fixed_covariances=identity)
        )
