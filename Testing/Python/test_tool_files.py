"""Linear transforms in the files of FSL, FreeSurfer, SPM, RIRE, and as plain text."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_GRID, MR_GRID, rigid
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.frames import flip_ijk_to_space, flip_matrix_lps_ras
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.io.outputs import OutputFiles
from MultimodalRegistrationLib.io.tools.common import Context, Scan
from MultimodalRegistrationLib.io.transforms import read_as, read_transform, recognised_format, write_as
from nitransforms.io.fsl import FSLLinearTransform
from nitransforms.io.lta import FSLinearTransform
from scipy.io import loadmat, savemat

CT, MR = Scan(Path("ct.nii.gz"), CT_GRID), Scan(Path("mr.nii.gz"), MR_GRID)
PAIRS = [(CT, MR), (MR, CT), (CT, CT), (MR, MR)]
FIXED_TO_MOVING_LPS = rigid([0.3, -0.8, 0.5], 37, [12, -45, 78]) @ np.diag([1.1, 0.9, 1.05, 1])
SUFFIXES = {
    "itk": ".h5",
    "elastix": ".txt",
    "ants": ".mat",
    "flirt": ".mat",
    "lta": ".lta",
    "tkregister": ".dat",
    "spm": ".mat",
    "matrix": ".txt",
}
# A table of corners has four digits after the point.
RIRE_MM = 1e-3

# Within 1e-6 mm, up to 200 mm away and half a turn, with scales of up to 1.5 and shears.
vectors = st.tuples(*[st.floats(-1, 1, allow_subnormal=False)] * 3)


@st.composite
def affine_matrices(draw):
    axis, shift, scales, shears = (np.array(draw(vectors)) for _ in range(4))
    if np.linalg.norm(axis) < 1e-3:
        axis = np.array([1.0, 0, 0])
    matrix = rigid(axis.tolist(), draw(st.floats(-180, 180)), (200 * shift).tolist())
    matrix[:3, :3] = matrix[:3, :3] @ (np.diag(1.5**scales) + np.diag(0.3 * shears[:2], 1))
    return matrix


def write(path, name, matrix, context):
    with OutputFiles() as outputs:
        error_mm = write_as(outputs, path, name, SpatialTransform.of_matrix("T", matrix), context)
        outputs.commit()
    return error_mm


def nifti(scan):
    return nibabel.Nifti1Image(np.zeros(scan.grid.size, np.uint8), flip_ijk_to_space(scan.grid.ijk_to_lps))


@pytest.mark.parametrize("name", SUFFIXES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    matrix=affine_matrices(), pair=st.sampled_from(PAIRS), frame=st.sampled_from(["LPS", "RAS"]), forth=st.booleans()
)
def test_what_is_written_is_read_again(tmp_path, name, matrix, pair, frame, forth):
    context = Context(*pair, frame, "fixed-to-moving" if forth else "moving-to-fixed")
    path = tmp_path / f"T{SUFFIXES[name]}"
    assert write(path, name, matrix, context) == 0
    found = read_as(path, name, context)
    assert displacement_mm(found.matrix, matrix, pair[0].grid.corners_lps).max() < 1e-6


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(matrix=affine_matrices(), pair=st.sampled_from(PAIRS), forth=st.booleans())
def test_a_table_of_corners_is_read_again_within_its_digits(tmp_path, matrix, pair, forth):
    context = Context(*pair, None, "fixed-to-moving" if forth else "moving-to-fixed")
    assert write(tmp_path / "T.standard", "rire", matrix, context) < 1e-4
    found = read_as(tmp_path / "T.standard", None, context)
    assert displacement_mm(found.matrix, matrix, pair[0].grid.corners_lps).max() < RIRE_MM


@pytest.mark.parametrize("pair", PAIRS, ids=["left-right", "right-left", "left-left", "right-right"])
def test_flirt_as_nitransforms_writes_and_reads_it(tmp_path, pair):
    fixed, moving = pair
    ras = flip_matrix_lps_ras(FIXED_TO_MOVING_LPS)
    FSLLinearTransform.from_ras(ras, moving=nifti(moving), reference=nifti(fixed)).to_filename(tmp_path / "theirs.mat")
    found = read_as(tmp_path / "theirs.mat", "flirt", Context(*pair))
    # Their file has six digits or more.
    assert displacement_mm(found.matrix, FIXED_TO_MOVING_LPS, fixed.grid.corners_lps).max() < 1e-4
    write(tmp_path / "ours.mat", "flirt", FIXED_TO_MOVING_LPS, Context(*pair))
    theirs = FSLLinearTransform.from_filename(tmp_path / "ours.mat").to_ras(
        moving=nifti(moving), reference=nifti(fixed)
    )
    points_ras = apply_matrix(np.diag([-1, -1, 1, 1]), fixed.grid.corners_lps)
    assert displacement_mm(theirs, ras, points_ras).max() < 1e-4


def test_flirt_by_hand(tmp_path):
    """A voxel of the reference goes to the voxel of the input that FSL's definition says."""
    matrix = rigid([1, 2, 3], 20, [5, -6, 7])
    np.savetxt(tmp_path / "T.mat", matrix)
    found = read_as(tmp_path / "T.mat", "flirt", Context(CT, MR))
    moving_index = np.array([10.0, 20.0, 30.0])
    in_fsl = moving_index * MR_GRID.spacing_mm
    assert (
        np.linalg.det(np.reshape(MR_GRID.direction, (3, 3))) > 0 > np.linalg.det(np.reshape(CT_GRID.direction, (3, 3)))
    )
    in_fsl[0] = (MR_GRID.size[0] - 1 - moving_index[0]) * MR_GRID.spacing_mm[0]
    fixed_index = apply_matrix(matrix, in_fsl) / CT_GRID.spacing_mm
    fixed_lps, moving_lps = (
        apply_matrix(CT_GRID.ijk_to_lps, fixed_index),
        apply_matrix(MR_GRID.ijk_to_lps, moving_index),
    )
    np.testing.assert_allclose(apply_matrix(found.matrix, fixed_lps), moving_lps, atol=1e-9)


def test_lta_as_nitransforms_writes_and_reads_it(tmp_path):
    ras = flip_matrix_lps_ras(FIXED_TO_MOVING_LPS)
    theirs = FSLinearTransform.from_ras(ras, moving=nifti(MR), reference=nifti(CT))
    theirs.to_filename(tmp_path / "theirs.lta")
    found = read_transform(tmp_path / "theirs.lta")
    assert displacement_mm(found.matrix, FIXED_TO_MOVING_LPS, CT_GRID.corners_lps).max() < 1e-4
    write(tmp_path / "ours.lta", "lta", FIXED_TO_MOVING_LPS, Context(CT, MR))
    back = FSLinearTransform.from_filename(tmp_path / "ours.lta").to_ras()
    # Their reader keeps 32 bit.
    assert displacement_mm(back, ras, apply_matrix(np.diag([-1, -1, 1, 1]), CT_GRID.corners_lps)).max() < 1e-3


def test_lta_between_voxels(tmp_path):
    """By the definition: a voxel of the source goes to a voxel of the destination."""
    write(tmp_path / "ras.lta", "lta", FIXED_TO_MOVING_LPS, Context(CT, MR))
    lines = (tmp_path / "ras.lta").read_text().splitlines()
    voxels = np.linalg.inv(CT_GRID.ijk_to_lps) @ np.linalg.inv(FIXED_TO_MOVING_LPS) @ MR_GRID.ijk_to_lps
    lines[0] = "type      = 0 # LINEAR_VOX_TO_VOX"
    lines[5:9] = [" ".join(map(repr, row)) for row in voxels.tolist()]
    (tmp_path / "vox.lta").write_text("# transform file\n# created by hand\n\n" + "\n".join(lines) + "\nsubject x\n")
    found = read_transform(tmp_path / "vox.lta")
    assert displacement_mm(found.matrix, FIXED_TO_MOVING_LPS, CT_GRID.corners_lps).max() < 1e-9


@pytest.mark.parametrize("pair", PAIRS[:2], ids=["left-right", "right-left"])
def test_register_dat_by_nibabels_matrices(tmp_path, pair):
    """The matrix takes tkregister points of the target to those of the movable, as nibabel has them."""

    def to_tkregister(scan):
        image = nibabel.MGHImage(np.zeros(scan.grid.size, np.uint8), flip_ijk_to_space(scan.grid.ijk_to_lps))
        return image.header.get_vox2ras_tkr() @ np.linalg.inv(flip_ijk_to_space(scan.grid.ijk_to_lps))

    fixed, moving = pair
    matrix = to_tkregister(moving) @ flip_matrix_lps_ras(FIXED_TO_MOVING_LPS) @ np.linalg.inv(to_tkregister(fixed))
    rows = [" ".join(map(repr, row)) for row in matrix.tolist()]
    (tmp_path / "register.dat").write_text("\n".join(["bert", "2.2", "4.5", "0.15", *rows, "round", ""]))
    found = read_as(tmp_path / "register.dat", None, Context(*pair))
    # Headers of MGH files hold 32 bit.
    assert displacement_mm(found.matrix, FIXED_TO_MOVING_LPS, fixed.grid.corners_lps).max() < 1e-3


def test_spm_moves_the_voxels_where_its_matrix_says(tmp_path):
    """``M`` takes the first voxel, which MATLAB calls 1 1 1, to mm in RAS."""
    placed = flip_ijk_to_space(np.linalg.inv(FIXED_TO_MOVING_LPS) @ MR_GRID.ijk_to_lps)
    placed[:3, 3] -= placed[:3, :3].sum(axis=1)
    for version in ("4", "5"):
        savemat(tmp_path / f"v{version}.mat", {"M": placed, "mat": np.eye(4)}, format=version)
        found = read_as(tmp_path / f"v{version}.mat", "spm", Context(moving=MR))
        assert displacement_mm(found.matrix, FIXED_TO_MOVING_LPS, CT_GRID.corners_lps).max() < 1e-9
    write(tmp_path / "ours.mat", "spm", FIXED_TO_MOVING_LPS, Context(moving=MR))
    np.testing.assert_allclose(loadmat(tmp_path / "ours.mat")["M"], placed, atol=1e-9)


# The head of the training pair: a CT of 512 x 512 x 29 voxels and where its corners lie in the T1.
RIRE_CT = [(x, y, z) for z, y, x in itertools.product((0, 112.0), (0, 333.987), (0, 333.987))]


def test_rire_table_between_the_volumes_of_the_project(tmp_path):
    """The volumes of the project have no directions and lie at the origin: the table maps LPS points as they are."""
    matrix = rigid([0.1, -0.2, 1], 4.5, [5.0369, -17.497, -27.165])
    moved = apply_matrix(matrix, RIRE_CT)
    rows = [
        f"  {n}  " + " ".join(f"{value:10.4f}" for value in (*before, *after))
        for n, (before, after) in enumerate(zip(RIRE_CT, moved, strict=True), start=1)
    ]
    head = ["-" * 73, "Transformation Parameters", "", "Patient number: 001", "From: CT", "To: mr_T1", ""]
    names = "Point      x          y          z        new_x       new_y       new_z"
    (tmp_path / "ct_T1.standard").write_text(
        "\n".join([*head, names, "", *rows, "", "(All distances are in millimeters.)"])
    )
    image = sitk.Image((512, 512, 29), sitk.sitkUInt8)
    image.SetSpacing((0.653595, 0.653595, 4.0))
    sitk.WriteImage(image, str(tmp_path / "ct.mha"))
    scan = Scan(tmp_path / "ct.mha", CT_GRID.of_image(image))
    as_fixed = read_as(tmp_path / "ct_T1.standard", None, Context(scan, scan, None, "fixed-to-moving"))
    assert displacement_mm(as_fixed.matrix, matrix, RIRE_CT).max() < RIRE_MM
    as_moving = read_as(tmp_path / "ct_T1.standard", None, Context(scan, scan))
    assert displacement_mm(as_moving.matrix, np.linalg.inv(matrix), moved).max() < RIRE_MM


def test_a_plain_matrix_with_its_convention(tmp_path):
    moving_to_fixed_ras = flip_matrix_lps_ras(np.linalg.inv(FIXED_TO_MOVING_LPS))
    for name, text in {
        "rows.txt": "\n".join(" ".join(map(repr, row)) for row in moving_to_fixed_ras.tolist()),
        "three.csv": "# note\n" + "\n".join(",".join(map(repr, row)) for row in moving_to_fixed_ras[:3].tolist()),
        "numpy.txt": str(moving_to_fixed_ras.tolist()).replace("],", "],\n"),
    }.items():
        (tmp_path / name).write_text(text)
        found = read_as(tmp_path / name, "matrix", Context(frame="RAS", direction="moving-to-fixed"))
        np.testing.assert_allclose(found.matrix, FIXED_TO_MOVING_LPS, atol=1e-9)


def test_formats_are_recognised_by_what_is_in_the_file(tmp_path):
    context = Context(CT, MR, "LPS", "fixed-to-moving")
    for name in ("itk", "elastix", "ants", "lta", "tkregister", "spm"):
        path = tmp_path / f"{name}{SUFFIXES[name]}"
        write(path, name, FIXED_TO_MOVING_LPS, context)
        assert recognised_format(path) == ("itk" if name == "ants" else name)
    write(tmp_path / "corners.txt", "rire", FIXED_TO_MOVING_LPS, context)
    assert recognised_format(tmp_path / "corners.txt") == "rire"
    for suffix in (".txt", ".mat"):
        write(tmp_path / f"m{suffix}", "matrix", FIXED_TO_MOVING_LPS, context)
        with pytest.raises(InputError, match=r"a matrix of numbers.*--from flirt --fixed F --moving M"):
            read_transform(tmp_path / f"m{suffix}")
    for name, words in {
        "tkregister.dat": "--fixed and --moving",
        "spm.mat": "--moving",
        "corners.txt": "--fixed",
    }.items():
        with pytest.raises(InputError, match=words):
            read_transform(tmp_path / name)


def test_lta_between_voxels_needs_the_geometry_of_both_volumes(tmp_path):
    write(tmp_path / "T.lta", "lta", FIXED_TO_MOVING_LPS, Context(CT, MR))
    text = (tmp_path / "T.lta").read_text().replace("type      = 1", "type      = 0")
    source, destination = text.split("dst volume info")
    for damaged, found in {
        text.replace("valid = 1", "valid = 0", 1): "line 11: the geometry is not valid",
        source.replace("voxelsize", "size") + "dst volume info" + destination: "'voxelsize' is missing after line 10",
        source: "'dst volume info' is missing",
        text[:-40]: r"line 2[78]: \d numbers instead of 3",
    }.items():
        (tmp_path / "T.lta").write_text(damaged)
        with pytest.raises(InputError, match=found):
            read_transform(tmp_path / "T.lta")


@pytest.mark.parametrize("kind", ["MatrixOffsetTransformBase_double_3_3", "AffineTransform_float_3_3"])
def test_names_that_older_versions_of_ants_write(tmp_path, kind):
    matrix, center = FIXED_TO_MOVING_LPS, np.array([10, -20, 30])
    translation = matrix[:3, :3] @ center + matrix[:3, 3] - center
    numbers = " ".join(map(repr, [*matrix[:3, :3].ravel().tolist(), *translation.tolist()]))
    head = f"#Insight Transform File V1.0\n#Transform 0\nTransform: {kind}\n"
    (tmp_path / "a.txt").write_text(f"{head}Parameters: {numbers}\nFixedParameters: 10 -20 30\n")
    found = read_transform(tmp_path / "a.txt")
    assert displacement_mm(found.matrix, matrix, CT_GRID.corners_lps).max() < (1e-9 if "double" in kind else 1e-3)


LTA = "lta", "T.lta"
FLIRT = "flirt", "T.mat"


@pytest.mark.parametrize(
    ("kind", "old", "new", "found"),
    [
        (LTA, "type      = 1", "type      = 14", r"line 1: type 14, only 0 and 1"),
        (LTA, "nxforms   = 1", "nxforms   = 2", "line 2: 2 transforms"),
        (LTA, "1 4 4\n", "", "before its matrix"),
        (LTA, "0.0 0.0 0.0 1.0\n", "0 0 0 1 0\n", "line 9: 5 numbers instead of 4"),
        (FLIRT, "0.0 0.0 0.0 1.0\n", "", "the file ends at line 3, within its 4x4 matrix"),
        (FLIRT, "0.0 0.0 0.0 1.0\n", "0 0 0 1\n0 0 0 1\n", "5 lines instead of 4"),
        (FLIRT, "0.0 0.0 0.0 1.0", "0 0 0.1 1", "line 4: the last row of the matrix is 0 0 0.1 1"),
        (FLIRT, "0.0 0.0 0.0 1.0", "0 0 1", "line 4: 3 numbers instead of 4"),
        (FLIRT, "0.0 0.0 0.0 1.0", "0 0 zero 1", "line 4: 'zero' is not a number"),
        (("tkregister", "T.dat"), "0.15\n", "0.15 0.2\n", "line 4: 2 numbers instead of 1"),
        (("rire", "T.standard"), "  8 ", "  9 ", "7 rows of points instead of 8"),
        (("matrix", "T.txt"), "0.0 0.0 0.0 1.0", "inf 0 0 1", "line 4: 'inf' is not finite"),
    ],
)
def test_damaged_files_are_refused_with_the_line(tmp_path, kind, old, new, found):
    name, file = kind
    context = Context(CT, MR, "RAS", "fixed-to-moving")
    write(tmp_path / file, name, FIXED_TO_MOVING_LPS, context)
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    with pytest.raises(InputError, match=found) as caught:
        read_as(tmp_path / file, name, context)
    assert file in str(caught.value)


@pytest.mark.parametrize("name", ["flirt", "lta", "tkregister", "rire", "elastix", "itk", "matrix", "spm", "dicom"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_cut_off_and_binary_files_are_refused(tmp_path, name, share):
    context = Context(CT, MR, "RAS", "fixed-to-moving")
    source = name if name in SUFFIXES else "flirt"
    suffix = ".tfm" if name == "itk" else SUFFIXES[source]
    write(tmp_path / f"T{suffix}", source, FIXED_TO_MOVING_LPS, context)
    whole = (tmp_path / f"T{suffix}").read_bytes()
    (tmp_path / f"T{suffix}").write_bytes(whole[: int(share * len(whole))] + (b"\xff\xfe\x00" if share else b""))
    with pytest.raises(InputError, match=f"T{suffix}"):
        read_as(tmp_path / f"T{suffix}", name, context)


def test_what_cannot_be_inverted_and_what_is_not_linear(tmp_path):
    flat = FIXED_TO_MOVING_LPS @ np.diag([1, 1, 1e-9, 1])
    (tmp_path / "T.mat").write_text("\n".join(" ".join(map(repr, row)) for row in flat.tolist()))
    for name in ("flirt", "matrix"):
        with pytest.raises(InputError, match="cannot be inverted"):
            read_as(tmp_path / "T.mat", name, Context(CT, MR, "LPS", "fixed-to-moving"))
    warp = SpatialTransform("warp", sitk.BSplineTransform(3))
    for name, suffix in {**SUFFIXES, "rire": ".standard"}.items():
        if name not in ("itk", "elastix"):
            with pytest.raises(InputError, match=r"linear|non-linear"), OutputFiles() as outputs:
                write_as(outputs, tmp_path / f"W{suffix}", name, warp, Context(CT, MR, "LPS", "fixed-to-moving"))


def test_a_matlab_file_of_something_else(tmp_path):
    savemat(tmp_path / "other.mat", {"x": np.eye(3)})
    with pytest.raises(InputError, match="no matrix M or mat"):
        read_as(tmp_path / "other.mat", "spm", Context(moving=MR))
    savemat(tmp_path / "series.mat", {"mat": np.zeros((4, 4, 7))})
    with pytest.raises(InputError, match="mat is 4 x 4 x 7"):
        read_as(tmp_path / "series.mat", "spm", Context(moving=MR))


@pytest.mark.parametrize("suffix", [".tfm", ".txt", ".mat", ".h5"])
def test_itk_files_are_read_whole_or_not_at_all(tmp_path, suffix):
    """ITK itself reads a text that ends early as the identity, and a .mat with whatever is in memory."""
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(rigid([1, 2, 3], 40, [0, 0, 0])[:3, :3].ravel().tolist())
    transform.SetTranslation((3, 4, 5))
    transform.SetCenter((100.5, 50.25, -25.125))
    sitk.WriteTransform(transform, str(tmp_path / f"whole{suffix}"))
    whole = (tmp_path / f"whole{suffix}").read_bytes()
    expected = read_transform(tmp_path / f"whole{suffix}").matrix
    for end in range(0, len(whole), 1 + len(whole) // 300):
        (tmp_path / f"cut{suffix}").write_bytes(whole[:end])
        try:
            found = read_transform(tmp_path / f"cut{suffix}").matrix
        except InputError:
            continue
        # Digits of the last number may be missing: in a text nothing tells.
        assert suffix in (".tfm", ".txt")
        assert end >= len(whole) - 8
        assert displacement_mm(found, expected, [[0, 0, 0]]).max() < 30
