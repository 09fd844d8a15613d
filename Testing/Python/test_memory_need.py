"""The estimate of the memory against peaks that were measured."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from conftest import centered_grid, rotation
from MultimodalRegistrationLib.preprocess.steps import AUTOMATIC
from MultimodalRegistrationLib.register.memory_need import needed_memory_bytes

NONE = dataclasses.replace(AUTOMATIC, mask="none")
BIAS = dataclasses.replace(AUTOMATIC, bias_correct=("moving",))
BOTH = ("fixed", "moving")
# Testing/Benchmarks/memory.md: all processes of the command with elastix, two 32-bit volumes of 256 x 256 x slices.
MEASURED = [
    (150, NONE, (), 934e6),
    (150, AUTOMATIC, (), 974e6),
    (150, AUTOMATIC, BOTH, 1023e6),
    (150, BIAS, BOTH, 1081e6),
    (300, NONE, (), 1566e6),
    (300, AUTOMATIC, (), 1646e6),
    (300, AUTOMATIC, BOTH, 1743e6),
    (300, BIAS, BOTH, 1786e6),
]


def grid_of(slices):
    return centered_grid([256, 256, slices], [0.9, 0.9, 210 / slices], rotation([1, 0.3, -0.2], 12), [3, -9, 12])


@pytest.mark.parametrize(("slices", "steps", "masks", "peak"), MEASURED)
def test_the_estimate_is_at_least_the_measured_peak_and_not_far_above(slices, steps, masks, peak):
    grid = grid_of(slices)
    loaded = 2 * 4 * math.prod(grid.size)
    estimate = loaded + needed_memory_bytes("elastix", grid, grid, steps=steps, given_masks=masks)
    assert 1.0 <= estimate / peak <= 1.6


@pytest.mark.parametrize("engine", ["elastix", "ants", "simpleitk"])
def test_masks_and_correction_cost_what_their_own_volume_has_in_voxels(engine):
    small, large = grid_of(20), grid_of(150)
    voxels = np.prod(small.size), np.prod(large.size)

    def need(steps, masks=()):
        return needed_memory_bytes(engine, small, large, steps=steps, given_masks=masks)

    plain = need(NONE)
    assert need(NONE, ("fixed",)) - plain == 4 * voxels[0]
    assert need(NONE, ("moving",)) - plain == 4 * voxels[1]
    assert need(AUTOMATIC) == need(AUTOMATIC, BOTH) == need(NONE, BOTH), "an automatic mask may be made on either side"
    assert need(BIAS) - need(AUTOMATIC) == 6 * voxels[1]
