"""The B-spline of elastix: axes column by column, the index of its first node, and the same in another frame."""

from __future__ import annotations

import numpy as np
from conftest import rigid, rotation
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.io.tools.elastix import elastix_bspline, moved_bspline

AXES = rotation([0.2, -1, 0.6], 40) @ np.diag([1, 1, -1])
SPACING, ORIGIN, INDEX = np.array([9.0, 7.0, 11.0]), np.array([-30.0, 12.0, 55.0]), np.array([2, -1, 3])
FIRST = ORIGIN + AXES @ (SPACING * INDEX)


def spline():
    coefficients = np.random.default_rng(0).normal(0, 3, 3 * 6 * 7 * 8)
    return elastix_bspline(
        3,
        size=[6, 7, 8],
        spacing_mm=SPACING,
        origin_lps=ORIGIN,
        direction_columns=AXES.T.ravel(),
        coefficients=coefficients,
        index=INDEX,
    ), coefficients.reshape(3, 8, 7, 6)


def test_a_node_moves_as_its_neighbours_say():
    """At a node a cubic spline is 1/6, 2/3 and 1/6 of the coefficients along each axis (de Boor 1978)."""
    transform, coefficients = spline()
    weights = np.array([1, 4, 1]) / 6
    at = np.array([3, 2, 4])
    around = coefficients[:, 3:6, 1:4, 2:5]
    expected = np.einsum("ckji,k,j,i->c", around, weights, weights, weights)
    node = FIRST + AXES @ (SPACING * at)
    np.testing.assert_allclose(transform.TransformPoint(node.tolist()) - node, expected, atol=1e-9)


def test_in_another_frame_it_bends_alike():
    transform, _ = spline()
    matrix = rigid([1, 2, -1], 70, [30, -80, 400])
    moved = moved_bspline(transform, matrix)
    inside = np.random.default_rng(1).uniform(1, [4, 5, 6], (200, 3))
    points = FIRST + (inside * SPACING) @ AXES.T
    bent = np.array([transform.TransformPoint(point) for point in points.tolist()])
    assert np.abs(bent - points).max() > 1
    found = [moved.TransformPoint(point) for point in apply_matrix(matrix, points).tolist()]
    np.testing.assert_allclose(found, apply_matrix(matrix, bent), atol=1e-9)
