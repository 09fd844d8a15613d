"""What users do by hand today: electrodes in the CT, a border and a table that throw the centres off."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_POSE
from MultimodalRegistrationLib.api import register
from MultimodalRegistrationLib.core.grid import OrientedBox
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm
from MultimodalRegistrationLib.core.phantom import target_points_lps
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.engines.presets.preset import find_preset
from MultimodalRegistrationLib.preprocess.automatic_mask import automatic_mask
from MultimodalRegistrationLib.preprocess.region import crop_to_box
from MultimodalRegistrationLib.preprocess.steps import AUTOMATIC, NOTHING, Steps

TARGETS = target_points_lps(CT_POSE)
MASKED = Steps(mask="foreground", crop_margin_mm=None, bias_correct=())


def positions(grid):
    index = np.moveaxis(np.indices(grid.size[::-1]), 0, -1)[..., ::-1]
    return apply_matrix(grid.ijk_to_lps, index)


def with_voxels(volume, voxels, name):
    image = sitk.GetImageFromArray(voxels.astype(np.float32))
    image.CopyInformation(volume.image)
    return Volume(image, name)


def with_electrodes(ct):
    """Eight leads of 4,000 to 9,000 HU from the scalp towards the middle, with dark and bright streaks beside them."""
    points = positions(ct.grid)
    voxels = np.array(ct.voxels, dtype=np.float32)
    head = voxels > -300
    random = np.random.default_rng(2)
    middle = TARGETS.mean(axis=0)
    for hu in np.linspace(4000, 9000, 8):
        direction = random.normal(size=3)
        direction /= np.linalg.norm(direction)
        along = (points - middle) @ direction
        off = np.linalg.norm(points - middle - along[..., None] * direction, axis=-1)
        lead = (off < 2.0) & (along > 15) & (along < 110)
        beside = (off < 6.0) & ~lead & (along > 15) & (along < 110) & head
        voxels[beside] += 250.0 * np.sign(np.sin(off[beside] * 1.5))
        voxels[lead] = hu
    return with_voxels(ct, voxels, "ct with electrodes")


@pytest.mark.story("U16")
@pytest.mark.slow
def test_electrodes_hardly_move_the_result(head_ct, head_mr, truth_ct_to_mr_lps):
    found = {}
    for name, ct, steps in (
        ("clean", head_ct, NOTHING),
        ("electrodes", with_electrodes(head_ct), AUTOMATIC),
    ):
        before = np.array(ct.voxels)
        result = register(ct, head_mr, preset=find_preset("rigid"), preprocess=steps, verdict=False)
        found[name] = result.fixed_to_moving_lps
        np.testing.assert_array_equal(ct.voxels, before)
    assert "metal is left out" in " ".join(result.preprocess_facts)
    assert displacement_mm(found["clean"], truth_ct_to_mr_lps, TARGETS).mean() < 0.8
    assert displacement_mm(found["electrodes"], found["clean"], TARGETS).mean() < 0.3


@pytest.fixture
def spoiled(head_ct, head_mr):
    """The MR in a black border that is wide on one side, the CT with air and a table below the head."""
    pad = [0, 0, 60]
    mr = Volume(sitk.ConstantPad(head_mr.image, [0, 0, 0], pad, 0.0), "mr in a black border")
    wide = sitk.ConstantPad(head_ct.image, [0, 90, 0], [0, 0, 0], -1000.0)
    ct = Volume(wide, "ct on a table")
    points = positions(ct.grid)
    voxels = np.array(ct.voxels, dtype=np.float32)
    axis = np.asarray(ct.grid.direction).reshape(3, 3)[:, 1]
    depth = (points - points.reshape(-1, 3)[0]) @ axis
    voxels[(depth > 60) & (depth < 72)] = 200.0
    return with_voxels(ct, voxels, "ct on a table"), mr


@pytest.mark.story("U7")
@pytest.mark.slow
def test_where_a_mask_alone_fails_a_crop_works_and_the_default_too(spoiled, truth_ct_to_mr_lps):
    ct, mr = spoiled
    preset = find_preset("rigid")

    def error_mm(fixed, moving, **options):
        result = register(fixed, moving, preset=preset, verdict=False, **options)
        return displacement_mm(result.fixed_to_moving_lps, truth_ct_to_mr_lps, TARGETS).mean()

    # A mask leaves the centres where they are; a crop moves them.
    assert error_mm(ct, mr, start="center", preprocess=MASKED) > 10
    crops = []
    for volume in (ct, mr):
        mask = automatic_mask(volume).mask
        marked = np.argwhere(mask.voxels > 0)[:, ::-1]
        axes = np.asarray(volume.grid.direction).reshape(3, 3)
        crops.append(crop_to_box(volume, OrientedBox.around(apply_matrix(volume.grid.ijk_to_lps, marked), axes)))
    assert error_mm(*crops, start="center") < 0.8
    assert error_mm(ct, mr) < 0.8
