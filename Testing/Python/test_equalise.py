"""Intensities mixed with their rank: known answers, where it is done, and what must not change."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import rigid
from hypothesis import assume, given
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.engines.jobs import EngineJob, EngineResult
from MultimodalRegistrationLib.engines.presets.preset import find_preset, preset_content, preset_of
from MultimodalRegistrationLib.engines.session import EngineSessions
from MultimodalRegistrationLib.preprocess.equalise import equalised, used_part
from MultimodalRegistrationLib.register.fine import run_fine_stage
from MultimodalRegistrationLib.register.pair import make_pair
from MultimodalRegistrationLib.register.run import Run


def volume_of(values):
    return np.asarray(values, dtype=np.float32).reshape(1, 1, -1)


NARROW = volume_of([*range(9), 1000])  # Nine values in a heap and one far off.


def test_the_range_that_is_used():
    """The background, half of all, does not count; the rest fills 8 of 32 bins evenly, or all of the others."""
    background = np.zeros(3200)
    assert used_part(np.concatenate([background, np.repeat(np.linspace(2.5, 30, 8), 100), [32]])) == pytest.approx(
        8 / 32, rel=0.02
    )
    assert used_part(np.concatenate([background, np.linspace(1, 32, 3100)])) == pytest.approx(31 / 32, rel=0.01)


def test_a_share_of_one_gives_ranks_and_of_zero_the_range():
    ranks = equalised(NARROW, 1.0).ravel()
    # Within a bin of the histogram, a quarter of an intensity wide, the rank rises from that before to that after.
    assert np.all((ranks >= np.arange(10) / 10 - 1e-6) & (ranks <= np.arange(1, 11) / 10 + 1e-6))
    np.testing.assert_array_equal(equalised(NARROW, 0.0), NARROW)
    np.testing.assert_allclose(equalised(NARROW, 0.5), (equalised(NARROW, 1.0) + NARROW / 1000) / 2, atol=1e-6)


def test_intensities_that_spread_are_left_alone():
    even = volume_of(np.linspace(0, 1, 1001))
    assert equalised(even, 0.5) is even
    head = np.random.default_rng(3).gamma(4.0, 25.0, 20000) * (np.arange(20000) % 3 > 0)
    assert equalised(volume_of(np.clip(head, 0, 250)), 0.5).max() > 1


def test_ranks_are_those_of_the_mask():
    """What is not marked would make the range wide and the ranks of the marked low."""
    values = volume_of([*NARROW.ravel(), *np.linspace(-1000, 900, 1000)])
    mask = volume_of([*[1] * 10, *[0] * 1000]).astype(np.uint8)
    assert equalised(values, 1.0) is values
    found = equalised(values, 1.0, mask=mask)[mask > 0]
    assert np.all((found >= np.arange(10) / 10 - 1e-6) & (found <= np.arange(1, 11) / 10 + 1e-6))


@given(
    values=st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=50),
    share=st.floats(0, 1),
    power=st.integers(-6, 6),
)
def test_it_rises_with_the_intensities_whatever_their_unit(values, share, power):
    volume = volume_of(values)
    assume(np.ptp(volume) > 1)
    found = equalised(volume, share)
    assert found.dtype == np.float32
    order = np.argsort(volume.ravel(), kind="stable")
    steps = np.diff(found.ravel()[order].astype(np.float64))
    assert np.all(steps >= -1e-6 * max(1.0, float(np.abs(found).max())))
    other = equalised(volume * np.float32(2.0**power), share)
    if found is volume:
        np.testing.assert_array_equal(other, volume * np.float32(2.0**power))
    else:
        np.testing.assert_allclose(other, found, atol=1e-6)


@pytest.mark.parametrize("offset", [30_000, -5_000])
def test_a_narrow_range_far_from_zero(offset):
    """Where 32 bits leave only some values."""
    found = equalised(NARROW / 1000 + offset, 1.0)
    assert np.all(np.diff(found.ravel()) >= 0)
    assert (float(found.min()), float(found.max())) == pytest.approx((0.0, 1.0), abs=0.3)


def test_one_value_is_no_error():
    flat = volume_of([3.0, 3.0])
    assert equalised(flat, 0.5) is flat


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        *(({"elastix": share}, "of elastix must be a number from 0 to 1") for share in (-0.1, 1.5, "half", True, None)),
        ({"elastics": 0.5}, "Did you mean elastix"),
        (0.5, "a number for each engine"),
    ],
)
def test_a_share_that_is_none_is_refused(shares, words):
    preset = find_preset("rigid")
    with pytest.raises(InputError, match=f"'equalised_shares'.*{words}"):
        preset_of({**preset_content(preset), "equalised_shares": shares}, preset.path)


def test_a_preset_without_it_leaves_intensities_alone():
    content = preset_content(find_preset("rigid"))
    del content["equalised_shares"]
    assert preset_of(json.loads(json.dumps(content)), find_preset("rigid").path).histogram_equalization_shares == {}


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_engine_gets_them_and_the_verdict_does_not(head_ct, head_mr, share):
    """The pair, from which the search and the verdict are made, stays as it is."""

    jobs: list[EngineJob] = []

    class Asked:
        engine = "elastix"
        closed = False

        def run(self, job, **_):
            jobs.append(job)
            return EngineResult(SpatialTransform.of_matrix("found", np.eye(4)), 0.0, "")

    preset = replace(find_preset("rigid"), histogram_equalization_shares={"elastix": share, "ants": 0.9})
    pair = make_pair(
        head_ct, head_mr, np.eye(4), fixed_mask=None, moving_mask=None, winsorize_percentiles=(0.01, 99.99)
    )
    mask = (pair.sampled.voxels > 20).astype(np.uint8)
    narrow = replace(pair, sampled=replace(pair.sampled, voxels=np.exp(pair.sampled.voxels / 40), mask=mask))
    before = narrow.sampled.voxels.copy(), narrow.other.voxels.copy()
    engines = EngineSessions()
    engines._running["elastix"] = Asked()
    poses = [rigid([1, 2, 3], 20, [4, 5, 6])]
    run_fine_stage(narrow, poses, preset, "elastix", Run(engines), seed=1, crop_margin_mm=None)
    in_job, kept, masks = (jobs[0].metric_fixed, jobs[0].metric_moving), (narrow.sampled, narrow.other), (mask, None)
    for one, same, was, where in zip(in_job, kept, before, masks, strict=True):
        np.testing.assert_array_equal(same.voxels, was)
        np.testing.assert_array_equal(one.voxels, equalised(was, share, mask=where))
    assert (jobs[0].metric_fixed.voxels.max() <= 1) == (share > 0)
