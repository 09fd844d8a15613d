"""One transform of several rigid ones: rigid in each structure, without folds; what collides is named."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import centered_grid, rigid, rotation
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.io.segmentations import Segmentation
from MultimodalRegistrationLib.polyrigid.combine import combine_rigid
from MultimodalRegistrationLib.polyrigid.field import field_grid, field_jacobian, sample_displacements, structure_nodes
from MultimodalRegistrationLib.polyrigid.flow import DistanceMap, Flow, RigidPath, common_motion
from MultimodalRegistrationLib.polyrigid.structure import structures_of
from scipy.linalg import expm, logm

GRIDS = {
    "oblique": centered_grid([44, 40, 36], [1.5, 1.5, 1.5], rotation([1, 0.3, -0.2], 25), [12, -31, 40]),
    "anisotropic": centered_grid([44, 40, 18], [1.5, 1.5, 3.0], rotation([0.1, 1, 0.4], 50), [-60, 8, 200]),
    "flipped": centered_grid(
        [40, 36, 28], [1.6, 1.7, 2.0], rotation([0.3, -0.5, 1], 140) @ np.diag([1, 1, -1]), [5, 90, -300]
    ),
}


def indices_mm(grid):
    """Coordinates of the voxels along the axes of the grid, from its middle: three arrays, shape (K, J, I)."""
    k, j, i = np.indices(grid.size[::-1]).astype(float)
    return [(n - (c - 1) / 2) * h for n, c, h in zip((i, j, k), grid.size, grid.spacing_mm, strict=True)]


def segmentation(grid, masks):
    layers = [mask.astype(np.uint8) for mask in masks]
    return Segmentation.of_layers("bones", grid, layers, [(f"bone {n}", n, 1) for n in range(len(masks))])


def structures(grid, masks):
    return structures_of(segmentation(grid, masks))


def box(grid, middle_mm, half_mm):
    return np.logical_and.reduce(
        [abs(x - m) <= h for x, m, h in zip(indices_mm(grid), middle_mm, half_mm, strict=True)]
    )


def about(point_lps, motion):
    """A rigid transform that turns about a point."""
    there, back = np.eye(4), np.eye(4)
    there[:3, 3], back[:3, 3] = point_lps, -np.asarray(point_lps)
    return there @ motion @ back


def world(grid, middle_mm):
    index = np.asarray(middle_mm) / grid.spacing_mm + (np.asarray(grid.size) - 1) / 2
    return apply_matrix(grid.ijk_to_lps, index)


def node_points(nodes):
    k, j, i = np.indices(nodes.size[::-1])
    return apply_matrix(nodes.ijk_to_lps, np.stack([i, j, k], axis=-1).reshape(-1, 3))


@pytest.mark.parametrize("name", GRIDS)
def test_one_structure_gives_its_transform_everywhere(name):
    grid = GRIDS[name]
    motion = rigid([0.3, 1, -0.4], 33, [40, -12, 7])
    found = combine_rigid(grid, structures(grid, [box(grid, [0, 3, 1], [9, 7, 8])]), [motion])
    points = node_points(found.nodes)
    np.testing.assert_allclose(
        SpatialTransform("c", found.transform).to_moving(points), apply_matrix(motion, points), atol=1e-9
    )
    assert found.jacobian.minimum == pytest.approx(1, abs=1e-9)
    assert found.warnings == ()


@pytest.mark.parametrize("name", GRIDS)
def test_the_same_motion_for_all_is_the_motion_everywhere(name):
    """Also where they touch: structures that move alike may."""
    grid = GRIDS[name]
    motion = rigid([1, 0.2, 0.5], 170, [-80, 33, 21])
    masks = [box(grid, [-12, 0, 0], [8, 9, 9]), box(grid, [4, 2, 0], [7, 9, 9]), box(grid, [22, 0, 0], [5, 6, 6])]
    found = combine_rigid(grid, structures(grid, masks), [motion] * 3)
    points = node_points(found.nodes)
    np.testing.assert_allclose(
        SpatialTransform("c", found.transform).to_moving(points), apply_matrix(motion, points), atol=1e-6
    )
    assert found.round_trip.max_mm < 1e-6


vectors = st.tuples(*[st.floats(-1, 1)] * 3).map(np.array).filter(lambda v: np.linalg.norm(v) > 0.1)


@settings(max_examples=15, deadline=None)
@given(
    name=st.sampled_from(sorted(GRIDS)),
    axes=st.tuples(vectors, vectors, vectors),
    angles=st.tuples(*[st.floats(-15, 15)] * 3),
    shifts=st.tuples(vectors, vectors, vectors),
    common=st.tuples(vectors, st.floats(0, 170), vectors),
    count=st.integers(2, 3),
)
def test_rigid_inside_and_no_folds_whatever_the_motions(name, axes, angles, shifts, common, count):
    """Boxes with gaps of 9 mm, turned by up to 15 degrees and shifted by up to 5 mm each, after any common motion."""
    grid = GRIDS[name]
    middles = [[-21, -6, 0], [0, 8, 3], [21, -4, -4]][:count]
    masks = [box(grid, middle, [6, 7, 8]) for middle in middles]
    whole = rigid(list(common[0]), common[1], list(60 * common[2]))
    motions = [
        whole @ about(world(grid, middle), rigid(list(axis), angle, list(3 * shift)))
        for middle, axis, angle, shift in zip(middles, axes, angles, shifts, strict=False)
    ]
    try:
        found = combine_rigid(grid, structures(grid, masks), motions)
    except InputError as error:
        assert error.code == "collision"
        assume(False)
    for one in found.structures:
        # Two that come closer to each other than a node of the field yield where they do, and that is said.
        assert one.deviation_max_mm < 0.1 or any(f"'{one.name}'" in words for words in found.warnings)
    assert found.jacobian.minimum > 0
    assert found.jacobian.cell_minimum > 0
    assert found.warnings == ()
    assert found.round_trip.p95_mm < 0.2


def test_it_is_the_same_whichever_frame_and_order():
    """A common motion and the order of the structures change nothing but what they say."""
    grid = GRIDS["oblique"]
    masks = [box(grid, [-14, 0, 0], [8, 9, 9]), box(grid, [14, 4, 0], [7, 9, 9])]
    motions = [rigid([1, 0, 0], 4, [1, 2, 0]), rigid([0.2, 1, 0], -7, [0, -3, 3])]
    whole = rigid([0.3, 0.2, -1], 100, [200, 10, -50])
    there = combine_rigid(grid, structures(grid, masks), motions)
    other = combine_rigid(grid, structures(grid, masks[::-1]), [whole @ motion for motion in motions[::-1]])
    points = grid.sample_points_lps(12)
    np.testing.assert_allclose(
        SpatialTransform("", other.transform).to_moving(points),
        apply_matrix(whole, SpatialTransform("", there.transform).to_moving(points)),
        atol=0.1,
    )


def test_a_coarse_field_and_a_segmentation_on_another_grid():
    grid = GRIDS["oblique"]
    fine = centered_grid([60, 50, 50], [1.0, 1.1, 0.9], rotation([0.2, 1, -0.2], 60), list(grid.center_lps))
    masks = [box(fine, [-17, 0, 0], [7, 9, 9]), box(fine, [15, 4, 0], [7, 9, 9])]
    motions = [rigid([1, 0, 0], 3, [1, 2, 0]), rigid([0.2, 1, 0], -2, [0, -3, 3])]
    found = combine_rigid(grid, structures(fine, masks), motions, max_nodes=20_000)
    assert 10_000 < np.prod(found.nodes.size) <= 20_000
    assert max(one.deviation_max_mm for one in found.structures) < 1e-6
    assert found.jacobian.minimum > 0
    # The nodes reach as far as the voxels do.
    assert found.nodes.contains(grid.corners_lps).all()
    moved = SpatialTransform("", found.transform).to_moving(grid.corners_lps)
    assert (np.linalg.norm(moved - grid.corners_lps, axis=1) > 0.5).all()


def test_what_collides_is_named():
    grid = GRIDS["anisotropic"]
    masks = [box(grid, [-12, 0, 0], [7, 9, 9]), box(grid, [12, 0, 0], [7, 9, 9])]
    along = np.asarray(grid.direction).reshape(3, 3)[:, 0]
    onto = rigid([0, 0, 1], 0, list(16 * along))
    with pytest.raises(InputError, match=r"'bone 0' and 'bone 1': they would overlap by \d\.\d mm after") as caught:
        combine_rigid(grid, structures(grid, masks), [onto, np.eye(4)])
    assert caught.value.code == "collision"
    # Through each other, to where the other one was.
    through = rigid([0, 0, 1], 0, list(24 * along)), rigid([0, 0, 1], 0, list(-24 * along))
    with pytest.raises(InputError, match=r"'bone 0' and 'bone 1': .* on the way"):
        combine_rigid(grid, structures(grid, masks), through)
    masks[1] |= box(grid, [-2, 0, 0], [9, 6, 6])
    with pytest.raises(InputError, match=r"'bone 0' and 'bone 1': they overlap by \d\.\d mm and move") as caught:
        combine_rigid(grid, structures(grid, masks), [rigid([0, 0, 1], 4, [0, 0, 3]), np.eye(4)])
    assert caught.value.code == "overlap"


def test_a_bone_turns_in_its_socket():
    """The shaft is far from the joint; on a straight way of the centroid the head would be pressed into the socket."""
    grid = centered_grid([48, 40, 60], [1.0, 1.0, 1.5], rotation([1, 0.2, 0], 15), [0, 0, 0])
    x, y, z = indices_mm(grid)
    from_joint = np.sqrt(x**2 + y**2 + (z - 28) ** 2)
    femur = (from_joint <= 9) | ((abs(x) <= 4) & (abs(y) <= 4) & (z < 28) & (z > -38))
    socket = (from_joint >= 12) & (from_joint <= 17) & (z > 33)
    flexed = about(world(grid, [0, 0, 28]), rigid([1, 0.3, 0], 15, [0, 0, 0]))
    found = combine_rigid(grid, structures(grid, [femur, socket]), [flexed, np.eye(4)])
    assert max(one.deviation_max_mm for one in found.structures) < 0.1
    assert found.jacobian.minimum > 0
    assert found.jacobian.cell_minimum > 0


def test_what_touches_yields_a_little_and_is_told():
    """Segments without a gap, pressed into each other by 0.4 mm while they slide, as registrations leave them."""
    grid = GRIDS["oblique"]
    masks = [box(grid, [-8, 0, 0], [8, 12, 12]), box(grid, [9.5, 0, 0], [8, 12, 12])]
    axes = np.asarray(grid.direction).reshape(3, 3)
    press = rigid([0, 0, 1], 0, list(3.4 * axes[:, 0] + 2 * axes[:, 1]))
    found = combine_rigid(grid, structures(grid, masks), [press, np.eye(4)])
    assert found.jacobian.minimum > 0
    assert len(found.warnings) == 2
    assert "voxels of 'bone 0' are too close to a neighbour" in found.warnings[0]
    for one in found.structures:
        assert 0 < one.yielding_share < 0.3
        assert one.deviation_max_mm < 4


def test_bad_inputs():
    grid = GRIDS["oblique"]
    bones = structures(grid, [box(grid, [0, 0, 0], [5, 5, 5])])
    with pytest.raises(InputError, match="'bone 0': it is not rigid"):
        combine_rigid(grid, bones, [np.diag([1.1, 1, 1, 1])])
    with pytest.raises(InputError, match="there is none"):
        combine_rigid(grid, [], [])
    with pytest.raises(InputError, match="outside of the fixed volume"):
        combine_rigid(grid.moved(rigid([0, 0, 1], 0, [500, 0, 0])), bones, [np.eye(4)])
    found = segmentation(grid, [box(grid, [0, 0, 0], [5, 5, 5]), np.zeros(grid.size[::-1], dtype=bool)])
    assert [one.name for one in structures_of(found)] == ["bone 0"]
    for names, words in ((["x"], "no segment 'x'"), (["bone 1"], "no voxels"), (["bone 0", "Bone 0"], "given twice")):
        with pytest.raises(InputError, match=words):
            structures_of(found, names)


@settings(deadline=None)
@given(axis=vectors, angle=st.floats(0, 179), shift=vectors, time=st.floats(0, 1))
def test_the_way_of_a_structure_is_a_one_parameter_group(axis, angle, shift, time):
    motion = rigid(list(axis), angle, list(100 * shift))
    path = RigidPath.to(motion)
    np.testing.assert_allclose(path.at(1.0), motion, atol=1e-9)
    twist = np.vstack([path.velocity, np.zeros(4)])
    np.testing.assert_allclose(path.at(time), expm(time * twist), atol=1e-7)
    np.testing.assert_allclose(twist, np.real(logm(motion)), atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(motions=st.lists(st.tuples(vectors, st.floats(0, 60), vectors), min_size=1, max_size=5), moved=vectors)
def test_the_mean_motion_does_not_depend_on_the_frame(motions, moved):
    made = [rigid(list(axis), angle, list(50 * shift)) for axis, angle, shift in motions]
    other = rigid(list(moved), 77, list(90 * moved))
    mean = common_motion(made)
    np.testing.assert_allclose(common_motion([other @ one for one in made]), other @ mean, atol=1e-6)
    np.testing.assert_allclose(common_motion([one @ other for one in made]), mean @ other, atol=1e-6)
    np.testing.assert_allclose(common_motion([np.linalg.inv(one) for one in made]), np.linalg.inv(mean), atol=1e-6)


def test_nodes_carry_the_points_in_their_cells():
    """At the points, the interpolation depends on no other node."""
    nodes = centered_grid([9, 8, 7], [2.0, 3.0, 4.0], rotation([1, 1, 0], 30), [3, 4, 5])
    rng = np.random.default_rng(0)
    points = apply_matrix(nodes.ijk_to_lps, rng.uniform(2, 5, (20, 3)))
    marked = structure_nodes(nodes, points)
    field = np.where(marked[..., None], 0.0, rng.normal(size=(*marked.shape, 3)))
    image = sitk.GetImageFromArray(field, isVector=True)
    nodes.place(image)
    mapped = SpatialTransform("", sitk.DisplacementFieldTransform(image)).to_moving(points)
    np.testing.assert_allclose(mapped, points, atol=1e-12)
    assert structure_nodes(nodes, apply_matrix(nodes.ijk_to_lps, [[2, 3, 4]])).sum() == 1


@pytest.mark.parametrize("most", [300, 5_000, 40_000, 10**6])
def test_nodes_over_the_box_of_a_volume(most):
    grid = GRIDS["flipped"]
    nodes = field_grid(grid, most)
    assert np.prod(nodes.size) <= most
    assert nodes.contains(grid.corners_lps).all()
    np.testing.assert_allclose(nodes.direction, grid.direction, atol=1e-12)
    if most == 10**6:
        # The voxels themselves, and one more on each side.
        assert nodes.size == tuple(n + 2 for n in grid.size)
        np.testing.assert_allclose(apply_matrix(nodes.ijk_to_lps, [1, 1, 1]), grid.origin_lps)


def test_sampling_computes_where_it_bends():
    nodes = centered_grid([61, 50, 43], [1, 1, 1.5], rotation([0, 1, 1], 20), [0, 0, 0])
    asked = []

    def displace(points):
        asked.append(len(points))
        return 8 / (1 + np.exp(-points)) + 0.01 * points[:, [1, 2, 0]]

    found = sample_displacements(displace, nodes, 0.05, on_fraction=lambda share: None)
    exact = displace(node_points(nodes)).reshape(found.shape)
    assert np.linalg.norm(found - exact, axis=-1).max() < 0.2
    assert sum(asked[:-1]) < 0.7 * asked[-1]


def test_the_inverse_of_the_flow_and_its_error_control():
    grid = GRIDS["oblique"]
    masks = [box(grid, [-14, 0, 0], [8, 9, 9]), box(grid, [14, 4, 0], [7, 9, 9])]
    paths = [RigidPath.to(rigid([1, 0, 0], 6, [1, 2, 0])), RigidPath.to(rigid([0, 1, 0], -9, [0, -3, 3]))]
    flow = Flow(paths, [DistanceMap.to(mask, grid) for mask in masks])
    points = grid.sample_points_lps(10)
    steps = flow.steps_for(points, 0.02)
    ends = flow.end(points, steps)
    assert np.linalg.norm(ends - flow.end(points, 8 * steps), axis=1).max() < 0.02
    np.testing.assert_allclose(flow.begin(ends, steps), points, atol=0.05)


def test_jacobians_are_those_of_the_mapping():
    grid = GRIDS["flipped"]
    points = node_points(grid)
    linear = np.array([[1.1, 0.2, 0], [0, 0.9, 0.1], [0.3, 0, -0.4]])
    found = field_jacobian((points @ linear.T - points).reshape(*grid.size[::-1], 3), grid)
    expected = np.linalg.det(linear)
    assert expected < 0
    np.testing.assert_allclose([found.minimum, found.maximum, found.cell_minimum], expected, atol=1e-9)
    assert found.folded_share == found.folded_cell_share == 1
    assert found.folded.all()
