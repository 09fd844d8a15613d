"""A mask says what is to fit, not where it is: with one, a registration ends no worse than without it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_GRID, CT_POSE, MR_GRID, MR_POSE, rigid
from MultimodalRegistrationLib.api import register
from MultimodalRegistrationLib.core.errors import EngineError, InputError
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm
from MultimodalRegistrationLib.core.phantom import make_head, target_points_lps
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.engines.presets.preset import find_preset
from MultimodalRegistrationLib.engines.session import EngineSessions
from MultimodalRegistrationLib.preprocess.automatic_mask import OUTLINE_MM, choose_mask
from MultimodalRegistrationLib.preprocess.masks import mask_like
from MultimodalRegistrationLib.register import refine as refine_module
from MultimodalRegistrationLib.register.fine import FineResult
from MultimodalRegistrationLib.register.pair import make_pair
from MultimodalRegistrationLib.register.refine import refine
from MultimodalRegistrationLib.register.run import Run
from MultimodalRegistrationLib.register.verdict.convergence import Convergence
from MultimodalRegistrationLib.register.verdict.evidence import Examiner
from MultimodalRegistrationLib.register.views import Comparison, View

RIGID = find_preset("rigid")
FAR = rigid([1, 0.3, -0.2], 100, [50, -110, 80])
TARGETS = target_points_lps(CT_POSE)
TRUTH = MR_POSE @ np.linalg.inv(CT_POSE)


@pytest.fixture(scope="module")
def session():
    with EngineSessions(1) as running:
        yield running


def moved(volume, matrix):
    image = sitk.Image(volume.image)
    volume.grid.moved(matrix).place(image)
    return Volume(image, volume.name)


def ellipsoid(volume, pose, center, half_axes):
    """Mask of an ellipsoid in the frame of the head."""
    index = np.moveaxis(np.indices(volume.voxels.shape), 0, -1)[..., ::-1]
    points = apply_matrix(np.linalg.inv(pose) @ volume.grid.ijk_to_lps, index.reshape(-1, 3))
    inside = (((points - np.asarray(center)) / np.asarray(half_axes)) ** 2).sum(axis=1) <= 1
    return mask_like(volume, inside.reshape(volume.voxels.shape), "mask")


def error_mm(result, truth):
    return float(displacement_mm(result.fixed_to_moving_lps, truth, TARGETS).mean())


BRAIN, SPOT, SIDE = ((0, 0, 0), (50, 65, 60)), ((20, 10, 5), (9, 9, 9)), ((50, 0, 0), (30, 50, 50))


@pytest.mark.story("U17")
@pytest.mark.slow
@pytest.mark.parametrize("exchanged", [False, True], ids=["", "exchanged"])
@pytest.mark.parametrize("shape", [BRAIN, SPOT, SIDE], ids=["brain", "spot", "side of the skull"])
def test_a_mask_on_one_volume_does_not_choose_the_basin(session, head_ct, head_mr, shape, exchanged):
    """The brain of the phantom is even, the spot is all brain: what they mark fits in many places alone."""
    fixed, moving = head_ct, moved(head_mr, FAR)
    mask = ellipsoid(moving, FAR @ MR_POSE, *shape) if exchanged else ellipsoid(fixed, CT_POSE, *shape)
    pair = (moving, fixed) if exchanged else (fixed, moving)
    result = register(*pair, preset=RIGID, engines=session, threads=1, fixed_mask=mask)
    truth = FAR @ TRUTH
    found = np.linalg.inv(result.fixed_to_moving_lps) if exchanged else result.fixed_to_moving_lps
    error = displacement_mm(found, truth, TARGETS).mean()
    if exchanged and shape is SIDE:
        # What it marks in the MR fits the CT best some millimetres beside the truth, by any metric: it is followed,
        # and the verdict says so and is no more certain than that.
        assert error < 5.0
        assert any(fact.startswith("Without the masks the volumes agree best ") for fact in result.verdict.facts)
        assert result.verdict.estimated_error_mm > 0.5 * error
        return
    assert error < 1.0
    assert result.verdict.word == "verified", result.verdict.against


@pytest.fixture(scope="module")
def head_with_a_block():
    """T1 and T2 of a head, a block in it that moved by 20 mm and 12 degrees on its own, and masks of the block."""
    texture = np.random.default_rng(4).normal(size=(9, 9, 9))
    move = rigid([0.2, 1, 0.3], 12, [12, -10, 12])
    scans, masks = [], []
    for modality, grid, pose, own, seed in (
        ("T1", CT_GRID, CT_POSE, np.eye(4), 1),
        ("T2", MR_GRID, MR_POSE, move, 2),
    ):
        head = make_head(modality, grid, pose, seed=seed)
        index = np.moveaxis(np.indices(head.voxels.shape), 0, -1)[..., ::-1].reshape(-1, 3)
        center = np.array([0.0, 20.0, 60.0])
        places = apply_matrix(np.linalg.inv(own) @ np.linalg.inv(pose) @ grid.ijk_to_lps, index) - center
        cell = np.floor(places / 8 + 4.5).astype(int)
        inside = np.all((cell >= 0) & (cell < 9), axis=1)
        voxels = np.array(head.voxels, dtype=np.float32).ravel()
        values = texture[tuple(np.clip(cell[inside], 0, 8).T)]
        voxels[inside] = 500 + 200 * values if modality == "T1" else 600 - 150 * values
        image = sitk.GetImageFromArray(voxels.reshape(head.voxels.shape))
        grid.place(image)
        scans.append(Volume(image, modality))
        masks.append(mask_like(scans[-1], inside.reshape(head.voxels.shape), "block"))
    head_truth = MR_POSE @ np.linalg.inv(CT_POSE)
    block_truth = MR_POSE @ move @ np.linalg.inv(CT_POSE)
    points = apply_matrix(CT_POSE, np.array([[0, 20, 60]]) + np.random.default_rng(1).uniform(-30, 30, (40, 3)))
    return scans, masks, head_truth, block_truth, points


@pytest.mark.slow
@pytest.mark.parametrize("sides", [["fixed_mask"], ["fixed_mask", "moving_mask"]], ids="+".join)
def test_a_mask_of_what_moved_on_its_own_is_followed(session, head_with_a_block, sides):
    (fixed, moving), masks, head_truth, block_truth, points = head_with_a_block
    moving = moved(moving, FAR)
    chosen = {"fixed_mask": masks[0], "moving_mask": mask_like(moving, masks[1].voxels, "block")}
    result = register(fixed, moving, preset=RIGID, engines=session, threads=1, **{side: chosen[side] for side in sides})
    assert displacement_mm(result.fixed_to_moving_lps, FAR @ block_truth, points).mean() < 1.0
    assert displacement_mm(result.fixed_to_moving_lps, FAR @ head_truth, points).mean() > 10
    assert any(fact.startswith("The masks decided: without them a pose ") for fact in result.verdict.facts)


def test_masks_that_mark_nothing_in_common_are_refused(session, head_ct, head_mr):
    left = ellipsoid(head_ct, CT_POSE, (-50, 0, 0), (15, 15, 15))
    right = ellipsoid(head_mr, MR_POSE, (50, 0, 0), (15, 15, 15))
    with pytest.raises(InputError, match="have no overlap"):
        register(
            head_ct,
            head_mr,
            preset=RIGID,
            engines=session,
            start="given",
            initial_transform=TRUTH,
            fixed_mask=left,
            moving_mask=right,
        )


# What is done where the engine leaves a good pose, with an engine that does so on purpose.


@pytest.fixture
def views(head_ct, head_mr):
    mask = ellipsoid(head_ct, CT_POSE, *BRAIN)

    def view(given):
        pair = make_pair(
            head_ct, head_mr, TRUTH, fixed_mask=given, moving_mask=None, winsorize_percentiles=(0.01, 99.99)
        )
        return View.of(pair, None, None)

    return view(mask), view(None)


def refined(monkeypatch, views, ends):
    """The result where the engine ends, with and without the masks, at these transforms; and the pairs it was given."""
    masked, whole = views
    given = []

    def run_fine_stage(pair, poses_lps, *_given, **_options):
        given.append(pair)
        end = ends[0 if pair is masked.pair else 1]
        if isinstance(end, Exception):
            raise end
        settled = Convergence(True, "Settled.", ())
        return [FineResult(pose, pair.pose_lps(end), settled, 1.0, "") for pose in poses_lps]

    monkeypatch.setattr(refine_module, "run_fine_stage", run_fine_stage)
    result = refine(
        Comparison(masked, whole, seed=1, threads=1),
        [np.eye(4)],
        RIGID,
        "elastix",
        Run(on_warning=pytest.fail),
        seed=1,
        crop_margin_mm=None,
    )
    return result, given


OFF = {mm: TRUTH @ CT_POSE @ rigid([0, 0, 1], 0, [mm, 0, 0]) @ np.linalg.inv(CT_POSE) for mm in (0.0, 0.5, 25.0)}


def test_a_result_beside_the_pose_of_the_search_is_kept(monkeypatch, views):
    result, given = refined(monkeypatch, views, (OFF[0.5], OFF[0.0]))
    assert (result.view, result.without_masks, len(given)) == (views[0], None, 1)
    np.testing.assert_allclose(result.view.pair.fixed_to_moving_lps(result.pose_lps), OFF[0.5], atol=1e-9)


def test_an_engine_that_leaves_a_good_pose_runs_again_without_the_masks(monkeypatch, views):
    result, given = refined(monkeypatch, views, (OFF[25.0], OFF[0.5]))
    assert given == [views[0].pair, views[1].pair]
    assert result.view is views[1]
    np.testing.assert_allclose(result.view.pair.fixed_to_moving_lps(result.pose_lps), OFF[0.5], atol=1e-9)
    assert result.seconds == 2.0
    assert "used to choose the pose, but not to refine it" in result.without_masks


def test_the_better_result_is_taken_where_both_left(monkeypatch, views):
    worse = TRUTH @ CT_POSE @ rigid([0, 0, 1], 0, [45, 0, 0]) @ np.linalg.inv(CT_POSE)
    result, _ = refined(monkeypatch, views, (OFF[25.0], worse))
    assert (result.view, result.without_masks) == (views[0], None)


def test_an_engine_that_stops_with_the_masks_runs_without_them(monkeypatch, views):
    stopped = EngineError("elastix", "too many samples map outside", "Look.")
    result, _ = refined(monkeypatch, views, (stopped, OFF[0.5]))
    assert result.view is views[1]
    assert "with the masks the engine stopped: too many samples map outside." in result.without_masks
    with pytest.raises(EngineError):
        refined(monkeypatch, views, (stopped, stopped))


# Poses and bounds of both views, and the outline


def test_poses_of_one_view_are_those_of_the_other(head_ct, head_mr):
    """The mask makes the engine sample the other volume, so that the poses go the other way."""
    start = TRUTH @ rigid([0.3, 1, 0.2], 30, [10, -20, 5])
    views = [
        View.of(
            make_pair(head_ct, head_mr, start, fixed_mask=mask, moving_mask=None, winsorize_percentiles=(0, 100)),
            None,
            None,
        )
        for mask in (None, ellipsoid(head_ct, CT_POSE, *SPOT))
    ]
    assert [view.pair.sampled_is_moving for view in views] == [True, False]
    pose = rigid([0.5, -0.3, 1], 40, [30, 11, -20])
    back = views[0].poses_from(views[1], views[1].poses_from(views[0], pose[None]))
    np.testing.assert_allclose(back[0], pose, atol=1e-9)
    np.testing.assert_allclose(
        views[1].pair.fixed_to_moving_lps(views[1].poses_from(views[0], pose[None])[0]),
        views[0].pair.fixed_to_moving_lps(pose),
        atol=1e-9,
    )


@pytest.mark.parametrize("scale", [1.0, 1.1], ids=["rigid start", "scaled start"])
def test_pairs_of_the_same_volumes_share_their_intensities(head_ct, head_mr, scale):
    start = TRUTH @ np.diag([scale, 1.0, 1.0, 1.0])
    spot = ellipsoid(head_ct, CT_POSE, *SPOT)

    def pair(mask, shared=None):
        return make_pair(
            head_ct, head_mr, start, fixed_mask=mask, moving_mask=None, winsorize_percentiles=(1, 99), shared=shared
        )

    masked = pair(spot)
    alone, sharing = pair(None), pair(None, shared=masked)
    assert (masked.sampled_is_moving, sharing.sampled_is_moving) == (False, True)
    for role, other_role in (("sampled", "other"), ("other", "sampled")):
        expected, found = getattr(alone, role), getattr(sharing, role)
        np.testing.assert_array_equal(found.voxels, expected.voxels)
        assert found.grid.coincides_with(expected.grid)
        assert found.mask is None
        if scale == 1.0:
            assert np.shares_memory(found.voxels, getattr(masked, other_role).voxels)


def test_agreements_are_the_mean_of_both(views):
    masked, whole = views
    poses = np.stack([np.eye(4), rigid([1, 0, 0], 4, [3, 0, 0]), rigid([0, 1, 0], 90, [500, 0, 0])])
    together = Comparison(masked, whole, seed=1, threads=1).examiner_of(masked).agreements(poses)
    # The brain is sampled in the CT, the whole head in the MR.
    parts = [
        Examiner(view.lattices, view.bounds, seed=1, threads=1).agreements(view.poses_from(masked, poses))
        for view in views
    ]
    np.testing.assert_allclose(together, (parts[0].clip(0) + parts[1].clip(0)) / 2)
    assert together[2] == 0


def test_a_mask_is_used_with_its_outline():
    grid = dataclasses.replace(CT_GRID)
    image = sitk.Image(grid.size, sitk.sitkInt16)
    grid.place(image)
    image[0, 0, 0] = 1
    volume = Volume(image, "scan")
    marked = np.zeros(volume.voxels.shape, bool)
    marked[20, 40:43, 50] = True
    mask = Volume(mask_like(volume, marked, "drawn").image, "drawn")
    chosen = choose_mask(volume, mask, "metal")
    # One voxel of 2.2 mm in the slice, one of 4.5 mm across.
    expected = np.zeros(volume.voxels.shape, bool)
    expected[19:22, 39:44, 49:52] = True
    assert OUTLINE_MM == 3.0
    np.testing.assert_array_equal(chosen.mask.voxels > 0, expected)
    assert chosen.mask.name == "drawn"
    assert chosen.automatic is None
    assert chosen.mask.grid.coincides_with(volume.grid)
    exact = choose_mask(volume, mask, "none")
    assert exact.mask is mask
    assert exact.facts == ()
