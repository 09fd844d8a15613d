"""Bias correction: a known field is found again, the input stays, and it can be followed and stopped."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import MR_GRID, MR_POSE, centered_grid, rotation
from MultimodalRegistrationLib.core.errors import Cancelled, InputError
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.phantom import make_head
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.preprocess.bias import _lattices, _taken, correct_bias, foreground_mask


def known_field(grid: VolumeGrid) -> np.ndarray:
    """A coil-like field that falls to a quarter over the head, in an oblique direction, shape (K, J, I)."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.size], indexing="ij"), axis=-1).reshape(-1, 3)
    points = apply_matrix(np.linalg.inv(MR_POSE) @ grid.ijk_to_lps, index)
    along = points @ [0.5, -0.4, 0.77] / 90.0
    field = np.exp(0.6 * along - 0.24 * along**2)
    return field.reshape(grid.size).transpose(2, 1, 0)


def times(volume: Volume, field: np.ndarray) -> Volume:
    image = sitk.GetImageFromArray((volume.voxels * field).astype(np.float32))
    volume.grid.place(image)
    return Volume(image, "shaded")


@pytest.fixture(scope="module")
def clean() -> Volume:
    return make_head("T1", MR_GRID, MR_POSE, noise=0.5, seed=4)


@pytest.fixture(scope="module")
def shaded(clean) -> Volume:
    return times(clean, known_field(MR_GRID))


def spread(ratio: np.ndarray) -> float:
    """RMS deviation from one after the mean is taken out."""
    return float(np.std(ratio / ratio.mean()))


def test_a_known_field_is_recovered(shaded):
    within = sitk.GetArrayFromImage(foreground_mask(shaded.image)) > 0
    truth = known_field(MR_GRID)[within]
    result = correct_bias(shaded, shrink=3)
    found = result.field.voxels[within]
    assert spread(truth) > 0.25
    # Some of the field cannot be told from the anatomy: the two halves of the phantom differ.
    assert spread(found / truth) < 0.3 * spread(truth)
    assert np.corrcoef(found, truth)[0, 1] > 0.95
    assert result.field.grid == result.corrected.grid == shaded.grid
    assert result.corrected.image.GetPixelID() == sitk.sitkFloat32


def test_field_times_corrected_is_the_input_and_the_mean_stays(shaded):
    before = sitk.Hash(shaded.image)
    result = correct_bias(shaded, shrink=3)
    np.testing.assert_allclose(result.corrected.voxels * result.field.voxels, shaded.voxels, rtol=1e-5)
    within = sitk.GetArrayFromImage(foreground_mask(shaded.image)) > 0
    mean, expected = (volume.voxels[within].mean(dtype=np.float64) for volume in (result.corrected, shaded))
    assert mean == pytest.approx(expected, rel=1e-3)
    assert sitk.Hash(shaded.image) == before
    assert np.all(result.field.voxels > 0)


def test_two_runs_are_the_same(shaded):
    first, second = (correct_bias(shaded, shrink=4).field.image for _ in range(2))
    np.testing.assert_allclose(sitk.GetArrayFromImage(first), sitk.GetArrayFromImage(second), rtol=1e-6)


def test_only_the_mask_is_looked_at(clean, shaded):
    marked = foreground_mask(clean.image)
    spoilt = sitk.GetArrayFromImage(shaded.image)
    outside = sitk.GetArrayFromImage(marked) == 0
    spoilt[outside] = np.random.default_rng(1).uniform(0, 5000, np.count_nonzero(outside))
    image = sitk.GetImageFromArray(spoilt)
    shaded.grid.place(image)
    mask = Volume(marked, "mask")
    expected = correct_bias(shaded, mask=mask, shrink=3).field.voxels[~outside]
    np.testing.assert_allclose(
        correct_bias(Volume(image, "spoilt"), mask=mask, shrink=3).field.voxels[~outside], expected, rtol=1e-5
    )


def test_the_foreground_is_the_head(clean):
    bright = make_head("T1", MR_GRID, MR_POSE, noise=0.0).voxels > 200
    head = make_head("CT", MR_GRID, MR_POSE, noise=0.0).voxels > -500
    found = sitk.GetArrayFromImage(foreground_mask(clean.image)) > 0
    assert np.mean(found[bright]) > 0.97
    assert np.mean(head[found]) > 0.94


def test_progress_rises_to_one(shaded):
    told: list[float] = []
    correct_bias(shaded, shrink=4, on_progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) > 4


def test_cancel_answers_within_a_second(shaded):
    cancel, running = threading.Event(), threading.Event()
    asked: list[float] = []

    def ask() -> None:
        running.wait()
        asked.append(time.perf_counter())
        cancel.set()

    thread = threading.Thread(target=ask)
    thread.start()
    with pytest.raises(Cancelled):
        correct_bias(shaded, shrink=1, on_progress=lambda share: running.set(), cancel=cancel)
    answered = time.perf_counter()
    thread.join()
    # Less than one iteration on all voxels takes.
    assert answered - asked[0] < 1.0


def test_cancelled_before_it_began(shaded):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        correct_bias(shaded, cancel=cancel)


def test_an_error_in_the_progress_function_arrives_unchanged(shaded):
    def fail(share: float) -> None:
        raise LookupError("the window was closed")

    with pytest.raises(LookupError, match="the window was closed"):
        correct_bias(shaded, shrink=4, on_progress=fail)


def test_volumes_and_masks_that_cannot_be_used(clean, head_ct):
    with pytest.raises(InputError, match=r"of the \d+ voxels to use are above zero"):
        correct_bias(Volume(head_ct.image - 3000, "negative"))
    with pytest.raises(InputError, match="another grid"):
        correct_bias(clean, mask=Volume(foreground_mask(head_ct.image), "mask"))
    empty = sitk.Image(clean.image.GetSize(), sitk.sitkUInt8)
    empty.CopyInformation(clean.image)
    with pytest.raises(InputError, match="only 0 of the 0"):
        correct_bias(clean, mask=Volume(empty, "empty"))
    with pytest.raises(InputError, match="0 was given"):
        correct_bias(clean, shrink=0)


@pytest.mark.parametrize(("size", "sets"), [([96, 100, 36], 3), ([79, 89, 43], 2)])
def test_interleaved_sets_are_as_even_as_possible_and_none_twice(size, sets):
    """A thinned volume gives up to three sets, a quarter of it at most; one of few voxels is taken as it is."""
    grid = centered_grid(size, [0.98, 0.98, 3.27], rotation([1, 0.3, -0.2], 12), [3, -9, 12])
    image = sitk.Image(grid.size, sitk.sitkUInt8)
    grid.place(image)
    lattices = _lattices(image, "auto")
    assert len(lattices) == sets
    steps = {tuple(step) for step, _ in lattices}
    assert len(steps) == 1
    spacing = np.array(steps.pop()) * grid.spacing_mm
    assert spacing.max() / spacing.min() < 1.5
    seen = sitk.GetArrayFromImage(image)
    for step, first in lattices:
        part = seen[first[2] :: step[2], first[1] :: step[1], first[0] :: step[0]]
        assert part.size >= 27_000
        part += 1
        taken = _taken(image, step, first)
        np.testing.assert_allclose(taken.GetOrigin(), image.TransformIndexToPhysicalPoint(first))
    assert seen.max() == 1
    assert seen.mean() < 0.27
    few = sitk.Image(30, 30, 40, sitk.sitkUInt8)
    assert _lattices(few, "auto") == [([1, 1, 1], [0, 0, 0])]
