"""Transform parameter files of elastix: real ones of short runs, against where elastix itself takes the points."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from conftest import MR_GRID, rigid
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.frames import flip_points_lps_ras
from MultimodalRegistrationLib.core.linear import sitk_from_matrix
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.io.outputs import OutputFiles
from MultimodalRegistrationLib.io.tools.common import Context, Scan
from MultimodalRegistrationLib.io.tools.elastix import KERNELS, KernelSpline
from MultimodalRegistrationLib.io.tools.elastix_file import read_elastix_file
from MultimodalRegistrationLib.io.transforms import files_of, read_as, read_transform, write_as

SCRIPT = Path(__file__).with_name("elastix_reference.py")
EXACT_MM = 1e-4
LINEAR = ("TranslationTransform", "EulerTransform", "SimilarityTransform", "AffineTransform", "AffineLogTransform")
SPLINES = ("cubic", "quadratic", "straight", "recursive", "coarse")
EXACT = (
    *(f"{kind}/{name}.txt" for kind in LINEAR for name in ("TransformParameters.0", "strong")),
    *(f"{kind}/{name}.txt" for kind in SPLINES for name in ("TransformParameters.1", "strong-Compose", "strong-Add")),
    *(f"cubic/{name}.txt" for name in ("same-grid", "linear-on-top", "linear-sum", "third")),
    "EulerTransform/zyx.txt",
    "toml/TransformParameters.1.toml",
    "itk/TransformParameters.1.txt",
)
KERNEL_FILES = tuple(f"{kind}/{name}.txt" for kind in KERNELS for name in ("TransformParameters.0", "strong", "stiff"))


def run_elastix_script(*arguments, folder=None):
    environment = {**os.environ, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def elastix_runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("elastix")
    run_elastix_script(folder)
    return folder


@pytest.fixture(scope="session")
def points(elastix_runs):
    return np.load(elastix_runs / "points.npy").astype(float)


@pytest.fixture(scope="session")
def mapped(elastix_runs):
    return dict(np.load(elastix_runs / "mapped.npz"))


def test_every_file_of_the_runs_is_looked_at(mapped):
    assert set(mapped) == {*EXACT, *KERNEL_FILES, "cubic/other-grid.txt"}


@pytest.mark.parametrize("name", EXACT)
def test_points_go_where_elastix_takes_them(elastix_runs, points, mapped, name):
    if name.endswith(".toml"):
        pytest.importorskip("tomllib")
    transform = read_transform(elastix_runs / name)
    assert transform.error_mm == 0
    assert np.linalg.norm(mapped[name] - points, axis=1).max() > 0.1
    np.testing.assert_allclose(transform.to_moving(points), mapped[name], atol=EXACT_MM)


@pytest.mark.parametrize("name", KERNEL_FILES)
def test_splines_through_landmarks_are_those_of_elastix(elastix_runs, points, mapped, name):
    file = read_elastix_file(elastix_runs / name)
    spline = KernelSpline(
        file.text("SplineKernelType"),
        np.reshape(file.numbers("FixedImageLandmarks"), (-1, 3)),
        np.reshape(file.numbers("TransformParameters"), (-1, 3)),
        file.numbers("SplineRelaxationFactor")[0],
        file.numbers("SplinePoissonRatio")[0],
    )
    np.testing.assert_allclose(spline.to_moving(points), mapped[name], atol=EXACT_MM)


@pytest.mark.parametrize("name", ["ThinPlateSpline/strong.txt", "ElasticBodySpline/strong.txt", "cubic/other-grid.txt"])
def test_what_simpleitk_has_no_transform_for_states_its_error(elastix_runs, points, mapped, name):
    transform = read_transform(elastix_runs / name)
    assert 0 < transform.error_mm < 0.02
    file = read_elastix_file(elastix_runs / name)
    axes = np.reshape(file.numbers("Direction"), (3, 3)).T
    index = (points - file.numbers("Origin")) @ axes / file.numbers("Spacing")
    inside = np.all((index > -0.5) & (index < np.array(file.numbers("Size")) - 0.5), axis=1)
    assert inside.sum() > 20
    error = np.linalg.norm(transform.to_moving(points) - mapped[name], axis=1)
    # The stated error is the largest at 2000 points, and these are others.
    assert error[inside].max() < 1.5 * transform.error_mm


def test_without_direction_cosines_the_volumes_are_taken_as_elastix_took_them(elastix_runs, tmp_path, points):
    source = (elastix_runs / "EulerTransform" / "strong.txt").read_text()
    file = tmp_path / "T.txt"
    file.write_text(source.replace('UseDirectionCosines "true"', 'UseDirectionCosines "false"'))
    with pytest.raises(InputError, match=r"line \d+: elastix was told.*--moving"):
        read_transform(file)
    found = read_as(file, "elastix", Context(moving=Scan(Path("m.nrrd"), MR_GRID)))
    known = read_elastix_file(file)
    axes, origin = np.reshape(known.numbers("Direction"), (3, 3)).T, np.array(known.numbers("Origin"))
    inner = read_transform(elastix_runs / "EulerTransform" / "strong.txt")
    # By voxels of the fixed volume, as if its axes were those of the world.
    without = inner.to_moving(origin + (points - origin) @ axes) - MR_GRID.origin_lps
    expected = MR_GRID.origin_lps + without @ np.reshape(MR_GRID.direction, (3, 3)).T
    np.testing.assert_allclose(found.to_moving(points), expected, atol=1e-9)


def bspline(seed):
    transform = sitk.BSplineTransform(3, 3)
    axes = rigid([0.2, 1, -0.3], 33, [0, 0, 0])[:3, :3]
    transform.SetFixedParameters([9, 8, 10, -60, -70, -40, 21, 19, 23, *axes.ravel().tolist()])
    random = np.random.default_rng(seed)
    transform.SetParameters(random.normal(0, 3, transform.GetNumberOfParameters()).tolist())
    return transform


def field(seed):
    random = np.random.default_rng(seed)
    image = sitk.GetImageFromArray(random.normal(0, 1, (*MR_GRID.size[::-1], 3)), isVector=True)
    MR_GRID.place(image)
    return sitk.DisplacementFieldTransform(image)


AFFINE = sitk_from_matrix(rigid([0.3, -0.8, 0.5], 37, [12, -45, 78]) @ np.diag([1.1, 0.9, 1.05, 1]))


@pytest.mark.story("U28")
@pytest.mark.parametrize(
    "transform",
    [
        AFFINE,
        sitk.CompositeTransform([AFFINE, bspline(1)]),
        sitk.CompositeTransform([bspline(2), AFFINE, sitk.TranslationTransform(3, (3, 4, 5))]),
        sitk.CompositeTransform([AFFINE, field(3)]),
        sitk.CompositeTransform([bspline(4), sitk.CompositeTransform([AFFINE, field(5)])]),
    ],
    ids=["affine", "affine-bspline", "bspline-two-linear", "affine-field", "nested"],
)
def test_files_that_we_write_mean_the_same_to_elastix_and_to_us(tmp_path, transform):
    spatial = SpatialTransform("T", transform)
    with OutputFiles() as outputs:
        error_mm = write_as(outputs, tmp_path / "T.txt", "elastix", spatial, Context(fixed=Scan(Path("f"), MR_GRID)))
        outputs.commit()
    assert error_mm == 0
    points = MR_GRID.sample_points_lps(4).astype(np.float32).astype(float)
    np.testing.assert_allclose(
        read_transform(tmp_path / "T.txt").to_moving(points), spatial.to_moving(points), atol=1e-5
    )
    np.save(tmp_path / "points.npy", points)
    run_elastix_script("T.txt", "points.npy", "mapped.npy", folder=tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "mapped.npy"), spatial.to_moving(points), atol=EXACT_MM)


@pytest.mark.parametrize(
    ("name", "initial"),
    [
        ("cubic/strong-Compose.txt", "AffineTransform/strong.txt"),
        ("coarse/strong-Add.txt", None),
        ("cubic/linear-sum.txt", None),
    ],
)
def test_slicer_loads_what_elastix_wrote(elastix_runs, tmp_path, points, mapped, name, initial):
    """By way of an ITK file; the node, applied to the moving volume, holds moving to fixed, RAS.

    Where a B-spline ends, ITK and elastix cut it off, while VTK lets it fade: such points are left out.
    """
    with OutputFiles() as outputs:
        write_as(outputs, tmp_path / "T.h5", "itk", read_transform(elastix_runs / name))
        outputs.commit()
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    storage = scene.AddNewNodeByClass("vtkMRMLTransformStorageNode")
    storage.SetFileName(str(tmp_path / "T.h5"))
    assert storage.ReadData(node) == 1
    general = vtk.vtkGeneralTransform()
    node.GetTransformFromWorld(general)
    ras = [general.TransformDoublePoint(*point) for point in flip_points_lps_ras(points).tolist()]
    spline = read_elastix_file(elastix_runs / name)
    inside = np.full(len(points), True)
    if "GridSize" in spline.entries:
        at = points if initial is None else read_transform(elastix_runs / initial).to_moving(points)
        axes = np.reshape(spline.numbers("GridDirection"), (3, 3)).T
        index = (at - spline.numbers("GridOrigin")) @ axes / spline.numbers("GridSpacing")
        inside = np.all((index >= 1) & (index <= np.array(spline.numbers("GridSize")) - 2), axis=1)
    assert inside.sum() > 20
    np.testing.assert_allclose(flip_points_lps_ras(ras)[inside], mapped[name][inside], atol=EXACT_MM)


def test_the_chain_is_found_beside_the_file_wherever_elastix_was_started(elastix_runs, tmp_path):
    for number in (0, 1):
        name = f"TransformParameters.{number}.txt"
        text = (elastix_runs / "cubic" / name).read_text()
        (tmp_path / name).write_text(
            re.sub(
                r'(InitialTransformParameterFileName) "[^"N][^"]*"',
                r'\1 "C:\\\\study\\\\out\\\\TransformParameters.0.txt"',
                text,
            )
        )
    assert [file.name for file in files_of(tmp_path / "TransformParameters.1.txt")] == [
        "TransformParameters.0.txt",
        "TransformParameters.1.txt",
    ]


def test_all_files_of_a_chain_are_known(elastix_runs):
    names = [file.name for file in files_of(elastix_runs / "itk" / "TransformParameters.1.txt")]
    assert names == [f"TransformParameters.{number}.{suffix}" for number in (0, 1) for suffix in ("txt", "h5")]


EULER = """(Transform "EulerTransform")
(NumberOfParameters 6)
(TransformParameters 0.1 0.2 0.3 4 5 6)
(InitialTransformParameterFileName "NoInitialTransform")
(HowToCombineTransforms "Compose")
(CenterOfRotationPoint 1 2 3)
(ComputeZYX "false")
"""


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (
            "(TransformParameters 0.1 0.2 0.3 4 5 6)",
            "(TransformParameters 0.1 0.2 0.3 4 5",
            r"line 3: .* is not of the form",
        ),
        ("0.3 4 5 6)", "0.3 4 5)", "line 3: 5 numbers instead of 6"),
        ("0.3 4 5 6)", "0.3 4 five 6)", "line 3: 'five' is not a number"),
        ("0.3 4 5 6)", "0.3 4 nan 6)", "line 3: 'nan' is not finite"),
        ("(CenterOfRotationPoint 1 2 3)\n", "", "the parameter CenterOfRotationPoint is missing"),
        ("(NumberOfParameters 6)", "(NumberOfParameters 7)", "line 2: 7 parameters"),
        ("EulerTransform", "EulerStackTransform", "line 1: a EulerStackTransform cannot be read"),
        ('"NoInitialTransform"', '"T.txt"', "line 4: the initial transforms go round in a circle at T.txt"),
        ('"NoInitialTransform"', '"absent.txt"', "line 4: it builds on absent.txt, which is not there"),
        ('"NoInitialTransform"', '"../../etc/absent.txt"', "line 4: it builds on ../../etc/absent.txt"),
        ('(ComputeZYX "false")', '(ComputeZYX "false")\n(ComputeZYX "true")', "line 8: ComputeZYX is given twice"),
        ("(NumberOfParameters 6)", "(NumberOfParameters 6)\n(FixedImageDimension 2)", "line 3: this is a 2D"),
    ],
)
def test_damaged_files_are_refused_with_the_line(tmp_path, old, new, found):
    assert old in EULER
    (tmp_path / "T.txt").write_text(EULER.replace(old, new))
    with pytest.raises(InputError, match=re.compile(rf"T\.txt: {found}")):
        read_transform(tmp_path / "T.txt")


def test_old_names_and_folders_in_another_code_page(tmp_path):
    text = EULER.replace("InitialTransformParameterFileName", "InitialTransformParametersFileName")
    (tmp_path / "T.0.txt").write_text(EULER)
    (tmp_path / "T.1.txt").write_bytes(text.replace("NoInitialTransform", "C:\\Müller\\T.0.txt").encode("cp1252"))
    one, two = (read_transform(tmp_path / f"T.{number}.txt").matrix for number in (0, 1))
    np.testing.assert_allclose(two, one @ one, atol=1e-12)


def test_a_longer_circle_and_an_unknown_combination(tmp_path):
    (tmp_path / "A.txt").write_text(EULER.replace("NoInitialTransform", "B.txt"))
    (tmp_path / "B.txt").write_text(EULER.replace("NoInitialTransform", "A.txt"))
    with pytest.raises(InputError, match="circle"):
        read_transform(tmp_path / "A.txt")
    (tmp_path / "B.txt").write_text(EULER)
    (tmp_path / "A.txt").write_text(EULER.replace("NoInitialTransform", "B.txt").replace("Compose", "Multiply"))
    with pytest.raises(InputError, match="line 5: Multiply is neither Compose nor Add"):
        read_transform(tmp_path / "A.txt")


def test_a_file_outside_of_the_folder_is_not_read(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "outside.txt").write_text(EULER)
    (tmp_path / "inner" / "T.txt").write_text(EULER.replace("NoInitialTransform", "../outside.txt"))
    with pytest.raises(InputError, match="which is not there"):
        read_transform(tmp_path / "inner" / "T.txt")
    (tmp_path / "inner" / "T.txt").write_text(EULER.replace("NoInitialTransform", str(tmp_path / "outside.txt")))
    assert read_transform(tmp_path / "inner" / "T.txt").matrix is not None


def test_damaged_toml_is_refused(tmp_path):
    pytest.importorskip("tomllib")
    (tmp_path / "T.toml").write_text('Transform = "EulerTransform"\nTransformParameters = [0.1, 0.2\n')
    with pytest.raises(InputError, match=r"T\.toml: not TOML: Unclosed array"):
        read_transform(tmp_path / "T.toml")
    (tmp_path / "T.toml").write_text('Transform = "EulerTransform"\nTransformParameters = [0.1, 0.2]\n')
    with pytest.raises(InputError, match="line 2: 2 numbers instead of 6"):
        read_transform(tmp_path / "T.toml")
