"""Masks against analytic truths: margins in mm, padding, metal, and a head on a CT table."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import MR_GRID, MR_POSE, centered_grid, real_cases, rigid, rotation
from hypothesis import given, settings
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.phantom import make_head
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.volumes import read_volume
from MultimodalRegistrationLib.preprocess.automatic_mask import automatic_mask, ends_field_of_view
from MultimodalRegistrationLib.preprocess.foreground import foreground
from MultimodalRegistrationLib.preprocess.intensities import border_and_padding, guess_modality, metal, padded_voxels
from MultimodalRegistrationLib.preprocess.masks import combine, dilate_mm, erode_mm, from_intensity, from_labels
from scipy.spatial import cKDTree

POSE = rigid([0.3, -0.2, 1], 8, [10, -24, 38])
SCANS = {
    "axial": centered_grid([150, 170, 80], [2.0, 2.0, 3.4], np.eye(3), [10, -4, 38]),
    "oblique": centered_grid([125, 140, 110], [2.4, 2.5, 2.6], rotation([1, 0.4, -0.3], 17), [10, -4, 38]),
    "anisotropic": centered_grid([240, 260, 50], [1.3, 1.3, 5.5], rotation([0.1, 1, 0.2], -9), [10, -4, 38]),
    "flipped": centered_grid([80, 150, 170], [3.4, 2.0, 2.0], np.eye(3)[:, [2, 0, 1]] * [-1, 1, -1], [10, -4, 38]),
}


def array_of(volume):
    return np.array(volume.voxels, dtype=np.float32)


def like(volume, voxels, name="scan"):
    image = sitk.GetImageFromArray(voxels)
    image.CopyInformation(volume.image)
    return Volume(image, name)


def positions(grid, pose=None):
    """Of all voxels, shape (K, J, I, 3), LPS, mm; in the frame of the head where its pose is given."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.size), indexing="ij"), axis=-1).T
    index = np.moveaxis(index, 0, -1)
    points = apply_matrix(grid.ijk_to_lps, index)
    return points if pose is None else apply_matrix(np.linalg.inv(pose), points)


def ellipsoid(points, center, radii):
    return np.sum(((points - np.asarray(center)) / np.asarray(radii)) ** 2, axis=-1) <= 1


def head_truth(points):
    """The head's outer ellipsoids of the phantom, air inside included."""
    return (
        ellipsoid(points, (0, 0, 0), (76, 95, 105))
        | ellipsoid(points, (0, -98, -32), (11, 16, 15))
        | ellipsoid(points, (78, 8, -25), (7, 17, 24))
        | ellipsoid(points, (-77, 12, -31), (7, 15, 21))
    )


def table_truth(points):
    """A curved slab 8 mm thick below the head, and a headrest of wider curvature that the head lies on."""
    x, y, z = np.moveaxis(points, -1, 0)
    height = y - (118 - (x / 60) ** 2 * 5)
    slab = (height >= 0) & (height <= 8) & (np.abs(x) < 140)
    ring = np.hypot(x, y + 10)
    rest = (ring > 105) & (ring < 113) & (y > 30) & (z > -70) & (z < 70)
    return slab | rest


def ct_on_table(grid, table_hu, *, seed=3):
    """Head CT with table, and its truths: head, table."""
    points = positions(grid, POSE)
    head, table = head_truth(points), table_truth(points)
    table &= ~head
    voxels = array_of(make_head("CT", grid, POSE, seed=seed))
    noise = np.random.default_rng(seed).standard_normal(voxels.shape) * 25
    voxels[table] = (table_hu + noise)[table]
    return Volume(like_grid(voxels, grid), "CT on its table"), head, table


def like_grid(voxels, grid):
    image = sitk.GetImageFromArray(voxels)
    grid.place(image)
    return image


# Labels and intensities


def test_labels_inside_and_outside(head_ct):
    labels = np.zeros(head_ct.voxels.shape, np.int16)
    labels[2:5], labels[7], labels[9, :4] = 3, 12, 200
    label_map = like(head_ct, labels, "labels")
    two = from_labels(label_map, [12, 3])
    np.testing.assert_array_equal(two.voxels, np.isin(labels, [3, 12]))
    assert two.voxels.dtype == np.uint8
    assert two.grid == head_ct.grid
    np.testing.assert_array_equal(from_labels(label_map, [3, 200], inside=False).voxels, ~np.isin(labels, [3, 200]))
    with pytest.raises(InputError, match=r"no label 4 in it.*0, 3, 12, 200"):
        from_labels(label_map, [3, 4])
    with pytest.raises(InputError, match="no label was chosen"):
        from_labels(label_map, [])
    with pytest.raises(InputError, match="nothing lies outside"):
        from_labels(label_map, [0, 3, 12, 200], inside=False)


def test_intensities_between_two_limits(head_ct):
    bone = from_intensity(head_ct, 300, np.inf)
    np.testing.assert_array_equal(bone.voxels, head_ct.voxels >= 300)
    with pytest.raises(InputError, match="no voxel lies between"):
        from_intensity(head_ct, 9000, 9001)
    with pytest.raises(InputError, match="not below the upper limit"):
        from_intensity(head_ct, 2, 1)


def test_masks_are_combined(head_ct, head_mr):
    first, second = from_intensity(head_ct, 0, 60), from_intensity(head_ct, 40, 2000)
    either = combine([first, second], how="union")
    both = combine([first, second], how="intersection")
    np.testing.assert_array_equal(either.voxels, (first.voxels > 0) | (second.voxels > 0))
    np.testing.assert_array_equal(both.voxels, (first.voxels > 0) & (second.voxels > 0))
    with pytest.raises(InputError, match="its grid differs"):
        combine([first, from_intensity(head_mr, 0, 60)], how="union")
    with pytest.raises(InputError, match="no voxel in common"):
        combine([first, from_intensity(head_ct, 100, 2000)], how="intersection")


# Margins


@settings(max_examples=25, deadline=None)
@given(
    spacing=st.tuples(st.floats(0.6, 2.0), st.floats(0.6, 2.0), st.floats(1.0, 3.5)),
    axis=st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.2, 1)),
    angle=st.floats(-180, 180),
    flipped=st.booleans(),
    radius=st.floats(9, 13),
    margin=st.floats(2, 7),
)
def test_a_sphere_grows_and_shrinks_by_mm(spacing, axis, angle, flipped, radius, margin):
    axes = rotation(list(axis), angle) @ np.diag([1.0, 1.0, -1.0 if flipped else 1.0])
    size = [int(2 * 22 / step) + 1 for step in spacing]
    grid = centered_grid(size, list(spacing), axes, [20, -7, 31])
    distance = np.linalg.norm(positions(grid) - [20.3, -6.8, 31.4], axis=-1)
    sphere = Volume(like_grid((distance <= radius).astype(np.uint8), grid), "sphere")
    grown, shrunk = dilate_mm(sphere, margin), erode_mm(sphere, margin)
    assert grown.grid == shrunk.grid == grid
    marked, points = distance <= radius, positions(grid)
    # Against distances between voxel centres in space, the slack is for those that lie exactly at the margin.
    near = cKDTree(points[marked]).query(points)[0]
    far = cKDTree(points[~marked]).query(points)[0]
    np.testing.assert_array_equal(grown.voxels > 0, near <= margin * (1 + 1e-5))
    np.testing.assert_array_equal(shrunk.voxels > 0, far > margin * (1 + 1e-5))
    # Against the sphere: its radius is right to half a voxel.
    for result, expected in ((grown, radius + margin), (shrunk, radius - margin)):
        volume_mm3 = np.count_nonzero(result.voxels) * np.prod(spacing)
        assert abs(np.cbrt(volume_mm3 * 3 / (4 * np.pi)) - expected) <= np.linalg.norm(spacing) / 2


def test_shrinking_leaves_a_mask_that_the_volume_cuts_alone():
    grid = centered_grid([20, 20, 20], [1, 1, 2], np.eye(3), [0, 0, 0])
    voxels = np.zeros((20, 20, 20), np.uint8)
    voxels[:, :, :10] = 1
    left = erode_mm(Volume(like_grid(voxels, grid), "half"), 3.0).voxels
    np.testing.assert_array_equal(left[5, 5], [1] * 7 + [0] * 13)
    np.testing.assert_array_equal(left, np.broadcast_to(left[5, 5], left.shape))


def test_margins_that_make_no_sense_are_refused(head_ct):
    mask = from_intensity(head_ct, 300, np.inf)
    with pytest.raises(InputError, match="nothing is left"):
        erode_mm(mask, 50)
    with pytest.raises(InputError, match="-1 mm"):
        dilate_mm(mask, -1)
    with pytest.raises(InputError, match="mask is empty"):
        dilate_mm(like(head_ct, np.zeros(head_ct.voxels.shape, np.uint8)), 1)
    shear = np.eye(4)
    shear[0, 1] = 0.4
    sheared = Volume(like_grid(np.array(mask.voxels), mask.grid.moved(shear)), "sheared")
    with pytest.raises(InputError, match="not perpendicular"):
        dilate_mm(sheared, 1)


# Modality


@pytest.mark.parametrize("modality", ["CT", "T1", "T2", "PET"])
@pytest.mark.parametrize("scan", ["oblique", "flipped"])
def test_the_modality_of_phantoms(modality, scan):
    head = make_head(modality, SCANS[scan], POSE, seed=5)
    assert guess_modality(head) == ("CT" if modality == "CT" else "other")


def test_a_raw_ct_is_known(head_ct):
    raw = np.clip(np.rint(array_of(head_ct) + 1024), 0, 4095).astype(np.uint16)
    assert guess_modality(like(head_ct, raw)) == "raw CT"


def test_the_modality_of_real_volumes(real_data):
    files = [path for path in sorted(real_data.rglob("*")) if path.name.endswith((".nrrd", ".nii.gz"))]
    volumes = {path.relative_to(real_data).as_posix(): path for path in files if "tumour" not in path.name}
    assert len(volumes) >= 20
    for name, path in volumes.items():
        expected = "CT" if path.name == "ct.nrrd" and name != "template/ct.nrrd" else "other"
        assert guess_modality(read_volume(path)) == expected, name


# Border and padding


@pytest.mark.parametrize("value", [-1024, -2000, -3024])
@pytest.mark.parametrize("angle", [2.0, 23.0])
def test_padding_of_a_rotated_field_of_view_is_found_exactly(value, angle):
    grid = SCANS["oblique"]
    voxels = np.rint(array_of(make_head("CT", grid, POSE, seed=4))).astype(np.int16).clip(min=-1023)
    local = (positions(grid) - grid.center_lps) @ rotation([0.3, 1, 0.5], angle)
    outside = np.any(np.abs(local) > 0.44 * np.max(grid.extent_mm), axis=-1)
    voxels[outside] = value
    marked = border_and_padding(Volume(like_grid(voxels, grid), "padded")).voxels > 0
    np.testing.assert_array_equal(marked, outside)


def test_padding_around_a_round_field_of_view_and_a_black_border():
    grid = SCANS["anisotropic"]
    voxels = array_of(make_head("T1", grid, POSE, seed=4)).clip(min=0.5)
    j, i = np.ogrid[: voxels.shape[1], : voxels.shape[2]]
    round_off = np.broadcast_to(np.hypot(j - 130, i - 120) > 126, voxels.shape).copy()
    round_off[-3:] = True
    voxels[round_off] = 0
    marked, values = padded_voxels(voxels)
    np.testing.assert_array_equal(marked, round_off)
    assert values == (0.0,)


def test_noisy_air_that_is_cut_off_is_no_padding():
    voxels = np.rint(array_of(make_head("CT", SCANS["axial"], POSE, seed=4))).clip(min=-990)
    share = np.mean(voxels == -990)
    assert share > 0.3
    marked, _ = padded_voxels(voxels)
    assert not marked.any()


def test_black_voxels_inside_the_head_are_no_border(head_mr):
    voxels = array_of(head_mr).clip(min=1)
    voxels[:4] = 0
    voxels[38:42, 30:34, 33:37] = 0
    marked, _ = padded_voxels(voxels)
    assert marked[:4].all()
    assert not marked[4:].any()


def test_a_background_is_told_from_the_end_of_the_field_of_view():
    grid = SCANS["oblique"]
    points = positions(grid)
    local = (points - grid.center_lps) @ rotation([0.3, 1, 0.5], 23)
    box = np.any(np.abs(local) > [90, 110, 120], axis=-1)
    cylinder = np.hypot(local[..., 0], local[..., 1]) > 120
    head = ~head_truth(positions(grid, POSE))
    assert ends_field_of_view(box, grid.spacing_mm)
    assert ends_field_of_view(cylinder, grid.spacing_mm)
    assert not ends_field_of_view(head, grid.spacing_mm)


# Metal


@pytest.mark.parametrize("raw", [False, True], ids=["hounsfield", "raw"])
def test_electrodes_are_marked_with_their_margin(raw):
    grid = centered_grid([170, 200, 90], [1.1, 1.1, 2.2], rotation([1, 0.3, -0.2], 14), [10, -24, 38])
    points = positions(grid, POSE)
    voxels = array_of(make_head("CT", grid, POSE, seed=6))
    offset = points - [18, -20, 20]
    along = np.array([0.35, 0.25, 0.9]) / np.linalg.norm([0.35, 0.25, 0.9])
    reach = offset @ along
    off_axis = np.linalg.norm(offset - reach[..., None] * along, axis=-1)
    electrode = (off_axis < 1.3) & (reach > -20) & (reach < 60)
    streaks = np.cos(9 * np.arctan2(points[..., 1] + 20, points[..., 0] - 18)) * 400 * np.exp(-off_axis / 12)
    voxels += np.where((reach > -20) & (reach < 60), streaks, 0).astype(np.float32)
    voxels[electrode] = 3071 if raw else 4200
    if raw:
        voxels = np.clip(voxels + 1024, 0, 4095)
    scan = Volume(like_grid(voxels.astype(np.int16), grid), "DBS")
    marked = metal(scan, margin_mm=4).voxels > 0
    assert marked[electrode].all()
    assert not marked[(off_axis > 1.3 + 4 + 0.1) | (reach > 64.5) | (reach < -24.5)].any()
    inside = (off_axis < 1.3 + 4 - 1.3) & (reach > -18) & (reach < 58)
    assert marked[inside].all()
    result = automatic_mask(scan)
    assert result.metal > 0
    assert any("1 piece of metal" in fact for fact in result.facts)
    assert not (result.mask.voxels[electrode] > 0).any()


def test_no_metal_in_bone_and_none_sought_in_mr(head_ct, head_mr):
    assert not metal(head_ct).voxels.any()
    with pytest.raises(InputError, match="not those of a CT"):
        metal(head_mr)


# Foreground


@pytest.mark.parametrize("table_hu", [-300, 300], ids=["foam", "carbon"])
@pytest.mark.parametrize("scan", SCANS)
def test_a_head_is_parted_from_its_table(scan, table_hu):
    volume, head, table = ct_on_table(SCANS[scan], table_hu)
    body = foreground(volume).voxels > 0
    assert body[head].mean() >= 0.98
    assert body[~head & ~table].mean() <= 0.02
    assert body[table].mean() <= 0.02


@pytest.mark.parametrize("modality", ["T1", "T2", "PET"])
@pytest.mark.parametrize("scan", SCANS)
def test_a_head_is_parted_from_air(scan, modality):
    """The scalp of the PET is one and a half times its noise only."""
    volume = make_head(modality, SCANS[scan], POSE, seed=5)
    head = head_truth(positions(SCANS[scan], POSE))
    body = foreground(volume).voxels > 0
    assert body[head].mean() >= (0.97 if modality == "PET" else 0.98)
    assert body[~head].mean() <= 0.01


def test_a_bias_field_does_not_cost_the_dark_side():
    grid = SCANS["oblique"]
    points = positions(grid, POSE)
    field = np.exp(-((points[..., 1] + 100) ** 2) / (2 * 130.0**2)).astype(np.float32)
    voxels = np.abs(
        array_of(make_head("T1", grid, POSE, noise=0)) * field + np.random.default_rng(8).normal(0, 5, field.shape)
    )
    head = head_truth(points)
    body = foreground(Volume(like_grid(voxels, grid), "surface coil")).voxels > 0
    assert field[head].min() < 0.4
    assert body[head].mean() >= 0.98
    assert body[~head].mean() <= 0.01


def test_a_volume_full_of_tissue_has_no_background():
    for volume in (make_head(modality, MR_GRID, MR_POSE, seed=2) for modality in ("T1", "T2")):
        size = np.array(volume.image.GetSize())
        low, high = (int(n * 0.42) for n in size), (int(n * 0.58) for n in size)
        crop = volume.image[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        inside = Volume(crop, "inside")
        assert foreground(inside).voxels.all()
        result = automatic_mask(inside)
        assert result.mask is None
        assert result.facts[-1] == "Nothing has to be excluded."


# All of it


@pytest.mark.parametrize("raw", [False, True], ids=["hounsfield", "raw"])
@pytest.mark.parametrize("scan", SCANS)
def test_a_ct_with_table_and_padding_is_masked_without_being_asked(scan, raw):
    grid = SCANS[scan]
    volume, head, table = ct_on_table(grid, 300)
    voxels = np.rint(array_of(volume)).clip(-1023, 3071)
    local = (positions(grid) - grid.center_lps) @ rotation([0, 0.3, 1], 12)
    outside = np.any(np.abs(local) > [112, 125, 118], axis=-1)
    voxels[outside] = -3024
    scan_of_head = Volume(like_grid((voxels + (1024 if raw else 0)).astype(np.int16), grid), "CT")
    before = np.array(scan_of_head.voxels)
    result = automatic_mask(scan_of_head, margin_mm=0)
    np.testing.assert_array_equal(scan_of_head.voxels, before)
    assert result.modality == ("raw CT" if raw else "CT")
    used = result.mask.voxels > 0
    assert result.mask.grid == scan_of_head.grid
    assert result.padding == pytest.approx(outside.mean(), abs=1e-9)
    assert used[head & ~outside].mean() >= 0.98
    assert used[~head & ~table].mean() <= 0.02
    assert used[table].mean() <= 0.02
    assert not used[outside].any()
    assert result.padding + result.metal + result.objects + result.air == pytest.approx(1 - used.mean(), abs=1e-9)
    assert any("-3024" in fact or "-2000" in fact for fact in result.facts)


def test_the_outline_stays_with_its_margin_but_not_the_table():
    grid = SCANS["axial"]
    volume, head, table = ct_on_table(grid, 300)
    used = automatic_mask(volume, margin_mm=6).mask.voxels > 0
    body = Volume(like_grid(head.astype(np.uint8), grid), "head")
    around = (dilate_mm(body, 4).voxels > 0) & ~head & ~table & (positions(grid, POSE)[..., 1] < 40)
    assert used[around].mean() > 0.9
    assert used[table].mean() <= 0.02
    assert used[dilate_mm(body, 9).voxels == 0].mean() <= 0.001


def test_the_outline_of_an_extracted_head_is_kept():
    grid = SCANS["oblique"]
    head = head_truth(positions(grid, POSE))
    voxels = array_of(make_head("T2", grid, POSE, seed=5)).clip(min=1) * head
    result = automatic_mask(Volume(like_grid(voxels, grid), "extracted"), margin_mm=5)
    assert result.padding == 0
    around = dilate_mm(Volume(like_grid(head.astype(np.uint8), grid), "head"), 3).voxels > 0
    assert result.mask.voxels[around].mean() > 0.95


def test_a_constant_volume_is_refused(head_ct):
    with pytest.raises(InputError, match="all voxels have the value 7"):
        automatic_mask(like(head_ct, np.full(head_ct.voxels.shape, 7, np.int16)))


def test_real_volumes_are_not_changed_and_keep_what_they_show(real_data):
    """At least nine in ten of the evaluation points, which lie in tissue, are in the mask of the fixed volume."""
    for name, case in real_cases().items():
        volume = read_volume(real_data / case["fixed"])
        before = sitk.Hash(volume.image)
        result = automatic_mask(volume)
        assert sitk.Hash(volume.image) == before
        if result.mask is None:
            continue
        points = np.loadtxt(real_data / case["points"], delimiter=",", skiprows=1)[:, -3:]
        marked = [result.mask.image.EvaluateAtPhysicalPoint(p, sitk.sitkNearestNeighbor) for p in points.tolist()]
        assert np.mean(marked) > 0.9, name
