"""The same transform makes the same file, which still reads."""

from __future__ import annotations

import time

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import rigid
from MultimodalRegistrationLib.core.linear import sitk_from_matrix
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.io.tools.itk import erase_times, lookup3, write_transform
from MultimodalRegistrationLib.io.transforms import read_transform


@pytest.mark.parametrize(
    ("text", "known"),
    # From the self-test of lookup3.c (Jenkins, 2006).
    [(b"", 0xDEADBEEF), (b"Four score and seven years ago", 0x17770551)],
)
def test_the_checksum_is_lookup3(text, known):
    assert lookup3(text) == known


def transforms():
    spline = sitk.BSplineTransform(3, 3)
    spline.SetTransformDomainMeshSize([3, 4, 5])
    spline.SetParameters(np.random.default_rng(1).normal(size=len(spline.GetParameters())).tolist())
    matrix = rigid([1, -2, 0.3], 41, [5, 6, -7])
    composite = sitk.CompositeTransform([sitk_from_matrix(matrix), spline])
    return [SpatialTransform.of_matrix("T", matrix), SpatialTransform("T", spline), SpatialTransform("T", composite)]


@pytest.mark.parametrize("transform", transforms(), ids=["linear", "spline", "composite"])
def test_two_files_of_one_transform_are_the_same_bytes(transform, tmp_path):
    for name in ("a.h5", "b.h5"):
        write_transform(tmp_path / name, transform)
        time.sleep(1.1)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    points = np.random.default_rng(2).uniform(-30, 30, (50, 3))
    np.testing.assert_allclose(
        read_transform(tmp_path / "a.h5").to_moving(points), transform.to_moving(points), atol=1e-9
    )


def test_what_only_looks_like_a_header_is_left_alone(tmp_path):
    path = tmp_path / "x.h5"
    for content in (b"OHDR\x02\x21" + bytes(range(40)), b"abc OHDR\x02", b""):
        path.write_bytes(content)
        erase_times(path)
        assert path.read_bytes() == content
