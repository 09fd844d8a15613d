"""Real pairs with known truth: the default preset from the given start, both ways round."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import real_cases, rigid
from MultimodalRegistrationLib.geometry.linear import displacement_mm
from MultimodalRegistrationLib.io.volumes import read_volume
from MultimodalRegistrationLib.presets.store import DEFAULT_PRESET, find_preset
from MultimodalRegistrationLib.registration.run import register

pytestmark = pytest.mark.slow


def start_of(name, case, fixed):
    """None, as given; porcine lay the other way up and starts from its right orientation, 20 degrees and 30 mm off."""
    if name != "porcine":
        return None
    off = rigid([1, 2, -1.5], 20, [0, 0, 0])
    off[:3, 3] = fixed.grid.center_lps - off[:3, :3] @ fixed.grid.center_lps + 30 * np.array([0.6, -0.48, 0.64])
    return np.asarray(case["truth_matrix_lps"]) @ off


@pytest.mark.parametrize("name", sorted(real_cases()) or ["data missing"])
def test_default_preset(real_data, name):
    case = real_cases()[name]
    fixed, moving = read_volume(real_data / case["fixed"]), read_volume(real_data / case["moving"])
    truth = np.asarray(case["truth_matrix_lps"])
    points = np.loadtxt(real_data / case["points"], delimiter=",", skiprows=1)
    start = start_of(name, case, fixed)
    preset = find_preset(DEFAULT_PRESET)
    forward = register(fixed, moving, preset=preset, initial_fixed_to_moving_lps=start).fixed_to_moving_lps
    assert displacement_mm(forward, truth, points).mean() <= case["limit_mean_tre_mm"]
    inverse_start = None if start is None else np.linalg.inv(start)
    backward = register(moving, fixed, preset=preset, initial_fixed_to_moving_lps=inverse_start).fixed_to_moving_lps
    assert displacement_mm(forward, np.linalg.inv(backward), points).mean() <= 1.0
