"""Real pairs with known truth: the default run as their headers lie, and of some of each kind both ways round."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import real_cases
from MultimodalRegistrationLib.api import register
from MultimodalRegistrationLib.core.linear import displacement_mm
from MultimodalRegistrationLib.engines.presets.preset import DEFAULT_PRESET, find_preset
from MultimodalRegistrationLib.io.volumes import read_volume

pytestmark = pytest.mark.slow
# The table of Testing/Benchmarks/capture_range.py has all of them exchanged.
EXCHANGED = ("porcine", "sarcoma-048", "sarcoma-035-pet", "stroke-t2", "template-ct")


@pytest.mark.story("U1", "U15")
@pytest.mark.parametrize("name", sorted(real_cases()) or ["data missing"])
def test_default_run(real_data, name):
    """The porcine phantom lay the other way up on the second scanner: 180 degrees and 129 mm off."""
    case = real_cases()[name]
    fixed, moving = read_volume(real_data / case["fixed"]), read_volume(real_data / case["moving"])
    truth = np.asarray(case["truth_matrix_lps"])
    points = np.loadtxt(real_data / case["points"], delimiter=",", skiprows=1)
    preset = find_preset(DEFAULT_PRESET)
    forward = register(fixed, moving, preset=preset)
    assert displacement_mm(forward.fixed_to_moving_lps, truth, points).mean() <= case["limit_mean_tre_mm"]
    assert forward.verdict.word == "verified", forward.verdict.against
    if name not in EXCHANGED:
        return
    backward = register(moving, fixed, preset=preset, verdict=False)
    back = np.linalg.inv(backward.fixed_to_moving_lps)
    assert displacement_mm(forward.fixed_to_moving_lps, back, points).mean() <= 1.0
