"""An initial transform given in the wrong direction is named; one that is right, or only of no help, is not."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import rigid
from MultimodalRegistrationLib.engines.presets.preset import find_preset
from MultimodalRegistrationLib.register.pair import make_pair
from MultimodalRegistrationLib.register.similarity import mutual_information
from MultimodalRegistrationLib.register.wrong_way_round import inverse_warning


def told(fixed, moving, start_lps):
    percentiles = find_preset("rigid").winsorize_percentiles
    pair = make_pair(fixed, moving, start_lps, fixed_mask=None, moving_mask=None, winsorize_percentiles=percentiles)
    at_start = mutual_information(pair.sampled, pair.other, np.eye(4))
    return inverse_warning(fixed, moving, pair, at_start, "T.tfm")


@pytest.mark.parametrize("swap", [False, True], ids=["forward", "swapped"])
@pytest.mark.parametrize("off_lps", [np.eye(4), rigid([1, -0.4, 0.2], 4, [5, -3, 6])], ids=["exact", "near"])
def test_the_inverse_of_a_good_start_is_named(head_ct, head_mr, truth_ct_to_mr_lps, swap, off_lps):
    truth = off_lps @ truth_ct_to_mr_lps
    fixed, moving, right = (head_mr, head_ct, np.linalg.inv(truth)) if swap else (head_ct, head_mr, truth)
    assert told(fixed, moving, right) is None
    words = told(fixed, moving, np.linalg.inv(right))
    assert words is not None
    assert words.startswith("The inverse of the initial transform T.tfm fits better")


def test_a_start_far_off_is_not_taken_for_its_inverse(head_ct, head_mr, truth_ct_to_mr_lps):
    for far in (rigid([0, 1, 0.2], 95, [10, 25, -10]), rigid([1, 0, 0], 30, [500, 0, 0])):
        assert told(head_ct, head_mr, far @ truth_ct_to_mr_lps) is None
