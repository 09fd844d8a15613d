"""Agreement of structures: against other implementations, known shapes, and known transforms of any kind."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import centered_grid, rigid, rotation
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from MultimodalRegistrationLib.assess.structures.compare import compare_structures
from MultimodalRegistrationLib.assess.structures.masks import Patch
from MultimodalRegistrationLib.assess.structures.surfaces import measure, surfels_of
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.linear import apply_matrix, sitk_from_matrix
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.segmentations import Segmentation

# Oblique and anisotropic; the second has flipped (left-handed) axes.
FIXED = centered_grid([80, 72, 40], [1.0, 1.1, 2.0], rotation([1, 0.3, -0.2], 25), [12, -31, 40])
MOVING = centered_grid([64, 70, 84], [1.3, 1.2, 1.0], rotation([-0.2, 1, 0.5], 71) @ np.diag([1, -1, 1]), [-25, 18, 66])
POSE = rigid([0.3, -0.5, 1], 33, [-30, 60, 25])
MIDDLE = np.array([10.0, -28.0, 42.0])
SHAPE = FIXED.size[::-1]
IDENTITY = SpatialTransform.of_matrix("identity", np.eye(4))

# Made with DeepMind's surface-distance 0.1, the mean surface distance over the areas of both: per seed of
# ``random_pair`` the Dice, surface Dice at 1.5 mm, Hausdorff distance, its 95 % and the mean surface distance.
DEEPMIND = [
    (0.50071531, 0.37874894, 7.83543918, 5.87657939, 1.87336097),
    (0.35685752, 0.59927862, 4.77116713, 3.58914636, 1.30515812),
    (0.58320127, 0.74312086, 4.93307612, 3.28871742, 0.92519330),
    (0.26845638, 0.46653839, 5.99075399, 4.89603846, 1.70508682),
    (0.51704545, 0.31102483, 9.53842842, 6.99719449, 2.35995397),
    (0.37301587, 0.63397786, 5.91366926, 4.77206928, 1.47584452),
    (0.36338419, 0.32616419, 12.67847375, 11.48217144, 3.20166340),
    (0.45222930, 0.74946631, 4.46595506, 2.65489332, 1.03229301),
    (0.33015873, 0.28725301, 10.36736247, 8.33311920, 3.13190420),
    (0.24451411, 0.43005259, 7.73076279, 5.62287334, 2.02603721),
    (0.41326531, 0.64079564, 8.36042641, 5.93205943, 1.40520680),
    (0.29235880, 0.70395911, 3.82348624, 2.89840293, 1.07517604),
    (0.27670753, 0.57152134, 6.67877048, 4.52741261, 1.53623900),
    (0.24210526, 0.37002837, 8.66451685, 6.49838764, 2.51436508),
    (0.51728907, 0.38028954, 7.87198771, 4.96872906, 1.60851191),
    (0.47058824, 0.72569369, 5.29438171, 3.75960903, 1.04307886),
    (0.37323944, 0.45010707, 10.00349735, 7.38777068, 1.86939581),
    (0.47317073, 0.55602992, 7.58861937, 6.43245934, 1.54584344),
    (0.26415094, 0.30116452, 8.91613427, 7.24120046, 2.43459290),
    (0.51051893, 0.72693841, 4.91713292, 3.35068973, 0.99075566),
]  # fmt: skip


def centers(grid):
    """Voxel centres, shape (K, J, I, 3), LPS, mm."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.size[::-1]), indexing="ij")
    return apply_matrix(grid.ijk_to_lps, np.stack([i, j, k], axis=-1))


def segmentation(grid, *masks, names=None):
    layers = [mask.astype(np.uint8) for mask in masks]
    if names is None:
        labels = np.zeros(grid.size[::-1], dtype=np.uint8)
        for label, mask in enumerate(masks, start=1):
            labels[mask] = label
        image = sitk.GetImageFromArray(labels)
        grid.place(image)
        return Segmentation.of_labels(Volume(image, "labels"))
    return Segmentation.of_layers("segments", grid, layers, [(name, n, 1) for n, name in enumerate(names)])


def random_pair(seed):
    """Two lumpy shapes that overlap in part, and an anisotropic spacing along K, J, I."""
    rng = np.random.RandomState(seed)
    spacing_mm = rng.uniform(0.6, 2.5, size=3)
    kji = np.stack(np.meshgrid(*(np.arange(n) for n in (16, 18, 20)), indexing="ij"), axis=-1) * spacing_mm
    size = kji[-1, -1, -1]
    masks = []
    for _ in range(2):
        at, width = rng.uniform(0.3, 0.7, size=(4, 3)) * size, rng.uniform(0.1, 0.25, size=(4, 3)) * size
        masks.append(np.any([(((kji - a) / w) ** 2).sum(axis=-1) < 1 for a, w in zip(at, width, strict=True)], axis=0))
    return masks[0], masks[1], spacing_mm


def measured(fixed, moved, ijk_to_lps, tolerance_mm=1.5):
    return measure(Patch((0, 0, 0), fixed), Patch((0, 0, 0), moved), ijk_to_lps=ijk_to_lps, tolerance_mm=tolerance_mm)


def matrix_of(spacing_kji, axes=None):
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if axes is None else axes) * np.asarray(spacing_kji)[::-1]
    matrix[:3, 3] = [-40, 70, 15]
    return matrix


def only(results):
    (result,) = results
    return result


# Against other implementations


@pytest.mark.parametrize("seed", range(20))
def test_the_measures_of_random_shapes_are_those_of_other_implementations(seed):
    fixed, moved, spacing_mm = random_pair(seed)
    # Turning and mirroring the whole grid changes nothing.
    for axes in (None, rotation([1, 2, -1], 41), rotation([0.2, -1, 3], 130) @ np.diag([1, -1, 1])):
        found = measured(fixed, moved, matrix_of(spacing_mm, axes))
        values = (
            found.dice,
            found.surface_dice,
            found.hausdorff_mm,
            found.hausdorff95_mm,
            found.mean_surface_distance_mm,
        )
        np.testing.assert_allclose(values, DEEPMIND[seed], atol=1e-6)
    images = [sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (fixed, moved)]
    for image in images:
        image.SetSpacing(spacing_mm[::-1].tolist())
    overlap, hausdorff = sitk.LabelOverlapMeasuresImageFilter(), sitk.HausdorffDistanceImageFilter()
    overlap.Execute(*images)
    hausdorff.Execute(*images)
    assert found.dice == pytest.approx(overlap.GetDiceCoefficient(), abs=1e-12)
    # ITK's distances are between centres of voxels, those here between their corners.
    assert found.hausdorff_mm == pytest.approx(hausdorff.GetHausdorffDistance(), abs=np.linalg.norm(spacing_mm))


@pytest.mark.parametrize("spacing_mm", [(1, 1, 1), (2.5, 0.8, 0.8), (0.7, 1.9, 1.2)])
def test_surfels_add_up_to_the_area_of_a_surface(spacing_mm):
    kji = np.stack(np.meshgrid(*(np.arange(int(60 / s)) for s in spacing_mm), indexing="ij"), axis=-1) * spacing_mm
    ball = ((kji - 29.3) ** 2).sum(axis=-1) < 24.0**2
    surfels = surfels_of(ball, matrix_of(spacing_mm))
    # Marching cubes without interpolation.
    share = surfels.areas_mm2.sum() / (4 * np.pi * 24.0**2)
    assert 1.08 < share < (1.09 if spacing_mm == (1, 1, 1) else 1.18)
    middle = apply_matrix(matrix_of(spacing_mm), 29.3 / np.array(spacing_mm)[::-1])
    distance = np.linalg.norm(surfels.points_lps - middle, axis=1)
    assert np.abs(distance - 24.0).max() < np.linalg.norm(spacing_mm) / 2 + 1e-9


def test_surfels_of_a_sheared_grid_have_the_area_in_space():
    block = np.ones((6, 7, 8), dtype=bool)
    matrix = matrix_of((2.0, 1.0, 1.5), np.array([[1, 0.4, 0.2], [0, 0.9, -0.3], [0, 0, 1]]))
    straight = surfels_of(block, matrix)
    edges = matrix[:3, :3] * [8, 7, 6]
    faces = 2 * sum(np.linalg.norm(np.cross(edges[:, a], edges[:, b])) for a, b in ((0, 1), (0, 2), (1, 2)))
    # The edges are bevelled by half a voxel.
    assert 0.75 < straight.areas_mm2.sum() / faces < 1.0


# Known shapes


@pytest.mark.parametrize("grids", [(FIXED, MOVING), (MOVING, FIXED)], ids=["oblique", "flipped"])
@pytest.mark.parametrize("shift_mm", [0.0, 3.0, 9.0])
def test_a_ball_that_is_shifted(grids, shift_mm):
    """Dice of two balls at a distance d: (1 - d/2r)^2 (1 + d/4r). The cosine of a point's angle to d is uniform."""
    radius, axis = 16.0, np.array([0.6, -0.64, 0.48])
    grid, middle = grids[0], grids[0].center_lps + np.array([0.3, -0.2, 0.4])
    # The structure of the moving volume lies on a grid that is turned against the fixed one.
    other = centered_grid(grids[1].size, grids[1].spacing_mm, np.reshape(grids[1].direction, (3, 3)), middle + 1.3)
    balls = [np.linalg.norm(centers(one) - middle, axis=-1) < radius for one in (grid, other)]
    shift = np.eye(4)
    shift[:3, 3] = shift_mm * axis
    result = only(
        compare_structures(
            segmentation(grid, balls[0]),
            segmentation(other, balls[1]),
            SpatialTransform.of_matrix("shift", shift),
            tolerance_mm=2.0,
        )
    )
    found, voxel_mm, ratio = result.measures, np.linalg.norm(grid.spacing_mm), shift_mm / (2 * radius)
    assert (result.status, result.notes) == ("compared", ())
    assert result.fixed_volume_mm3 == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.01)
    assert result.volume_ratio == pytest.approx(1.0, abs=0.01)
    # The moving ball is moved back, against the resampling direction.
    np.testing.assert_allclose(result.centroid_offset_lps, -shift_mm * axis, atol=0.05)
    assert result.centroid_distance_mm == pytest.approx(shift_mm, abs=0.05)
    cosine = np.linspace(-1, 1, 20001)
    apart = np.abs(np.sqrt(radius**2 + shift_mm**2 + 2 * radius * shift_mm * cosine) - radius)
    # Between voxels of 1 to 2 mm, identical balls differ by the steps of their voxels.
    assert found.dice == pytest.approx((1 - ratio) ** 2 * (1 + ratio / 2), abs=0.03 if shift_mm == 0 else 0.01)
    # The corners of the voxels at a surface fill a shell, from whose near side distances are.
    assert -voxel_mm / 3 < found.mean_surface_distance_mm - apart.mean() < (0.3 if shift_mm == 0 else 0)
    assert found.hausdorff_mm == pytest.approx(shift_mm, abs=voxel_mm)
    assert found.hausdorff95_mm == pytest.approx(np.quantile(apart, 0.95), abs=voxel_mm / 2)
    assert (apart <= 2.0).mean() - 0.02 < found.surface_dice <= (apart <= 2.0 + voxel_mm / 3).mean()


def test_identical_structures_agree_completely():
    shape = np.linalg.norm((centers(FIXED) - MIDDLE) / [1, 1.4, 0.8], axis=-1) < 15
    result = only(
        compare_structures(segmentation(FIXED, shape), segmentation(FIXED, shape), IDENTITY, tolerance_mm=0.0)
    )
    found = result.measures
    assert (found.dice, found.surface_dice, result.volume_ratio) == (1.0, 1.0, 1.0)
    assert (found.hausdorff_mm, found.hausdorff95_mm, found.mean_surface_distance_mm) == (0.0, 0.0, 0.0)
    assert result.centroid_distance_mm == pytest.approx(0.0, abs=1e-9)


# Known transforms


def lumps(points_lps, middle):
    """Two shapes without symmetry."""
    away = points_lps - middle
    first = np.linalg.norm(away / [1.5, 1, 0.8] - [2, 0, 0], axis=-1) < 11
    second = np.linalg.norm((away - [-12, 14, 9]) / [0.8, 1.2, 1], axis=-1) < 8
    return first, second & ~first


def warped():
    """POSE after a smooth displacement of up to 6 mm."""
    grid = centered_grid([30, 30, 30], [5, 5, 5], np.eye(3), FIXED.center_lps.tolist())
    p = (centers(grid) - FIXED.center_lps) / 18
    bend = 4.0 * np.stack([np.sin(p[..., 1]), np.cos(p[..., 2]), np.sin(p[..., 0] + p[..., 1])], axis=-1)
    field = sitk.GetImageFromArray(bend, isVector=True)
    grid.place(field)
    return sitk.CompositeTransform([sitk_from_matrix(POSE), sitk.DisplacementFieldTransform(field)])


@pytest.mark.parametrize("kind", ["linear", "affine", "nonlinear"])
def test_other_grids_and_any_transform(kind):
    affine = POSE @ np.array([[1.1, 0.1, 0, 0], [0, 0.95, -0.1, 0], [0.05, 0, 1.05, 0], [0, 0, 0, 1]])
    transform = {"linear": sitk_from_matrix(POSE), "affine": sitk_from_matrix(affine), "nonlinear": warped()}[kind]
    spatial = SpatialTransform(kind, transform)
    middle = spatial.to_moving(MIDDLE)[0]
    moving_grid = centered_grid([64, 70, 84], [1.3, 1.2, 1.0], np.reshape(MOVING.direction, (3, 3)), middle.tolist())
    mapped = spatial.to_moving(centers(FIXED)).reshape(*SHAPE, 3)
    fixed = segmentation(FIXED, *lumps(mapped, middle))
    moving = segmentation(moving_grid, *lumps(centers(moving_grid), middle))
    for result in compare_structures(fixed, moving, spatial, tolerance_mm=1.0):
        found = result.measures
        assert result.status == "compared"
        assert found.dice > 0.95
        assert found.surface_dice > 0.9
        assert found.mean_surface_distance_mm < 0.25
        assert found.hausdorff95_mm <= 2.0
        assert result.centroid_distance_mm < 0.2
        assert result.volume_ratio == pytest.approx(1.0, abs=0.03)
    wrong = SpatialTransform("inverse", sitk_from_matrix(np.linalg.inv(POSE)))
    for result in compare_structures(fixed, moving, wrong, tolerance_mm=1.0):
        assert result.measures is None or result.measures.dice < 0.5


# What cannot be compared


def two_boxes(shape):
    left, right = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    left[10:20, 20:40, 15:30], right[15:30, 30:60, 40:60] = True, True
    return left, right


def test_names_match_without_case_and_blanks_and_lonely_structures_are_told():
    left, right = two_boxes(SHAPE)
    fixed = segmentation(FIXED, left, right, right, names=["Left femur", "liver", "Cyst"])
    moving = segmentation(FIXED, right, left, right, names=["LIVER ", "leftFemur", "spleen"])
    results = compare_structures(fixed, moving, IDENTITY, tolerance_mm=1.0)
    assert [(r.name, r.status) for r in results] == [
        ("Left femur", "compared"), ("liver", "compared"), ("Cyst", "only-fixed"), ("spleen", "only-moving"),
    ]  # fmt: skip
    assert [r.measures.dice for r in results[:2]] == [1.0, 1.0]
    assert results[2].notes == ("Cyst: only in segments, not in segments.",)
    assert results[3].fixed_volume_mm3 is None
    assert results[3].moving_volume_mm3 == pytest.approx(15 * 30 * 20 * 2.2)
    only_liver = compare_structures(fixed, moving, IDENTITY, tolerance_mm=1.0, structures=("Liver",))
    assert only(only_liver).name == "liver"
    with pytest.raises(InputError, match=r"kidney: neither .* They have: Left femur, liver, Cyst, LIVER , "):
        compare_structures(fixed, moving, IDENTITY, tolerance_mm=1.0, structures=("kidney",))


def test_a_label_map_matches_by_number():
    left, right = two_boxes(SHAPE)
    layers = [left * np.uint8(1) + right * np.uint8(2)]
    named = Segmentation.of_layers("named", FIXED, layers, [("femur", 0, 1), ("liver", 0, 2)])
    for fixed, moving in ((named, segmentation(FIXED, left, right)), (segmentation(FIXED, left, right), named)):
        results = compare_structures(fixed, moving, IDENTITY, tolerance_mm=1.0)
        assert [(r.name, r.measures.dice) for r in results] == [("femur", 1.0), ("liver", 1.0)]
        assert only(compare_structures(fixed, moving, IDENTITY, tolerance_mm=1.0, structures=(2,))).name == "liver"


def test_names_that_are_not_unique_and_structures_without_voxels_are_told():
    left, right = two_boxes(SHAPE)
    fixed = segmentation(FIXED, left, right, left & right, names=["a", "b", "c"])
    moving = segmentation(FIXED, left, right, right, names=["a", "A", "c"])
    a, b, c = compare_structures(fixed, moving, IDENTITY, tolerance_mm=1.0)
    assert (a.status, b.status, c.status) == ("ambiguous", "only-fixed", "empty")
    assert a.notes == ("a: segments has 2 segments that go by it, 'a' (label 1), 'A' (label 1); rename them.",)
    assert c.notes == ("c: has no voxel in segments.",)
    assert c.fixed_volume_mm3 == 0.0
    assert c.volume_ratio is None


@pytest.mark.parametrize("kind", ["linear", "nonlinear"])
def test_what_is_moved_out_of_the_volume_is_told(kind):
    left, right = two_boxes(SHAPE)
    i_axis = FIXED.ijk_to_lps[:3, 0]

    def shifted(voxels):
        transform = sitk.TranslationTransform(3, (voxels * i_axis).tolist())
        if kind == "linear":
            return SpatialTransform("shift", transform)
        field = sitk.TransformToDisplacementField(
            transform, sitk.sitkVectorFloat64, FIXED.size, FIXED.origin_lps, FIXED.spacing_mm, FIXED.direction
        )
        return SpatialTransform("shift", sitk.DisplacementFieldTransform(field))

    both = segmentation(FIXED, left, right)
    # The boxes reach from 15 to 30 and from 40 to 60 along I: moved by -25, the first keeps a third.
    one, other = compare_structures(both, both, shifted(25), tolerance_mm=1.0)
    assert other.notes == ()
    words = "about 67% of it is moved out" if kind == "linear" else "it reaches the border"
    assert words in only(one.notes)
    assert one.status == "compared"
    assert one.volume_ratio == pytest.approx(1 / 3)
    one, other = compare_structures(both, both, shifted(45), tolerance_mm=1.0)
    assert (one.status, one.measures, one.moved_volume_mm3, one.volume_ratio) == ("outside", None, 0.0, 0.0)
    assert "moved out" in only(one.notes)


def numbers(result):
    """All numbers of a result in one list."""
    derived = result.volume_ratio, result.centroid_distance_mm, *result.centroid_offset_lps
    values = (*vars(result).values(), *vars(result.measures).values(), *derived)
    return [value for value in values if isinstance(value, float)]


def test_a_cropped_segmentation_is_continued_over_its_volume():
    left, _ = two_boxes(SHAPE)
    whole = segmentation(FIXED, left)
    # As Slicer saves it when it crops: the voxels around the segment only.
    image = sitk.GetImageFromArray(left[10:20, 20:40, 15:30].astype(np.uint8))
    image.SetSpacing(FIXED.spacing_mm)
    image.SetDirection(FIXED.direction)
    image.SetOrigin(apply_matrix(FIXED.ijk_to_lps, [15, 20, 10]).tolist())
    cropped = Segmentation.of_labels(Volume(image, "cropped"))
    shift = SpatialTransform.of_matrix("turn", rigid([0.2, 1, 0.4], 7, [-4, -3, 5]))
    found = compare_structures(cropped, cropped, shift, tolerance_mm=1.0, fixed_volume=FIXED)
    expected = compare_structures(whole, whole, shift, tolerance_mm=1.0)
    assert len(numbers(only(found))) == 14
    np.testing.assert_allclose(numbers(only(found)), numbers(only(expected)), rtol=1e-6, atol=1e-6)
    cut = only(compare_structures(cropped, cropped, shift, tolerance_mm=1.0))
    assert "moved out" in only(cut.notes)


@pytest.mark.parametrize("tolerance_mm", [-1.0, float("nan"), float("inf")])
def test_the_tolerance_is_a_length(tolerance_mm):
    labels = segmentation(FIXED, two_boxes(SHAPE)[0])
    with pytest.raises(InputError, match="Give a length"):
        compare_structures(labels, labels, IDENTITY, tolerance_mm=tolerance_mm)


# Properties

masks = arrays.arrays(np.bool_, (5, 4, 6)).filter(lambda mask: mask.any())


@settings(deadline=None)
@given(masks, masks, st.floats(0, 8), st.floats(0, 4))
def test_the_measures_are_symmetric_and_in_their_ranges(one, other, tolerance_mm, more_mm):
    matrix = matrix_of((2.0, 0.9, 1.3), rotation([1, -2, 0.5], 77))
    there, back = measured(one, other, matrix, tolerance_mm), measured(other, one, matrix, tolerance_mm)
    assert there.dice == back.dice
    assert there.surface_dice == pytest.approx(back.surface_dice, abs=1e-12)
    assert there.hausdorff_mm == back.hausdorff_mm
    assert there.hausdorff95_mm == back.hausdorff95_mm
    assert there.mean_surface_distance_mm == pytest.approx(back.mean_surface_distance_mm, abs=1e-12)
    assert 0 <= there.dice <= 1
    assert 0 <= there.surface_dice <= measured(one, other, matrix, tolerance_mm + more_mm).surface_dice <= 1
    assert 0 <= there.mean_surface_distance_mm <= there.hausdorff_mm
    assert there.hausdorff95_mm <= there.hausdorff_mm
    assert measured(one, other, matrix, there.hausdorff_mm).surface_dice == 1.0
    assert (there.dice == 1.0) == np.array_equal(one, other)
