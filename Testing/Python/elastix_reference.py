"""Run by itself: short elastix registrations of small oblique volumes, and where elastix takes points by their files.

In a process of its own, because ITK must not be loaded beside SimpleITK's. Usage: elastix_reference.py FOLDER, or
elastix_reference.py FILE POINTS.npy MAPPED.npy
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import numpy as np
from itk import elxParameterObjectPython as elx_parameters
from itk import itkElastixRegistrationMethodPython as elx_registration
from itk import itkMatrixPython as itk_matrix
from itk import itkMeshBasePython as itk_mesh
from itk import itkPyBufferPython as itk_buffer
from itk import itkTransformixFilterPython as itk_transformix
from itk import vnl_matrix_fixedPython as vnl_matrix
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

SIZE, SPACING, ORIGIN = (28, 24, 20), (1.5, 2.0, 3.0), (10.0, -20.0, 30.0)
AXES = Rotation.from_rotvec([0.3, -0.2, 0.4]).as_matrix() @ np.diag([1.0, 1.0, -1.0])
QUICK = {
    "NumberOfResolutions": ["1"],
    "MaximumNumberOfIterations": ["3"],
    "NumberOfSpatialSamples": ["300"],
    "AutomaticTransformInitialization": ["false"],
    "WriteResultImage": ["false"],
    "RandomSeed": ["7"],
    "RequiredRatioOfValidSamples": ["0.05"],
    "Metric": ["AdvancedMattesMutualInformation"],
}
LINEAR = ("TranslationTransform", "EulerTransform", "SimilarityTransform", "AffineTransform", "AffineLogTransform")
KERNELS = ("ThinPlateSpline", "VolumeSpline", "ElasticBodySpline", "ElasticBodyReciprocalSpline")


def image(size, spacing, origin, axes, seed):
    voxels = gaussian_filter(np.random.default_rng(seed).normal(size=size[::-1]), 2).astype(np.float32) * 1000
    made = itk_buffer.itkPyBufferIF3.GetImageFromArray(voxels)
    made.SetSpacing(spacing)
    made.SetOrigin(origin)
    direction = vnl_matrix.vnl_matrix_fixedD_3_3()
    for entry, value in enumerate(axes.ravel()):
        direction.put(entry // 3, entry % 3, value)
    made.SetDirection(itk_matrix.itkMatrixD33(direction))
    return made


FIXED = image(SIZE, SPACING, ORIGIN, AXES, 1)
MOVING_AXES = Rotation.from_rotvec([-0.1, 0.5, 0.2]).as_matrix()
# Its centre is that of the fixed volume.
MOVING_SIZE, MOVING_SPACING = np.array([24, 30, 26]), np.array([2.5, 2.0, 2.5])
CENTER = np.array(ORIGIN) + AXES @ ((np.array(SIZE) - 1) / 2 * SPACING)
MOVING_ORIGIN = CENTER - MOVING_AXES @ ((MOVING_SIZE - 1) / 2 * MOVING_SPACING)
MOVING = image(MOVING_SIZE.tolist(), MOVING_SPACING.tolist(), MOVING_ORIGIN.tolist(), MOVING_AXES, 2)


def run(folder, stages):
    """A real registration; its files are in the folder."""
    folder.mkdir()
    method = elx_registration.itkElastixRegistrationMethodIF3IF3_New()
    method.SetFixedImage(FIXED)
    method.SetMovingImage(MOVING)
    parameters = elx_parameters.elastixParameterObject_New()
    for stage in stages:
        base = dict(parameters.GetDefaultParameterMap("rigid"))
        parameters.AddParameterMap({**base, **QUICK, **stage})
    method.SetParameterObject(parameters)
    method.SetLogToConsole(True)
    method.SetOutputDirectory(str(folder))
    if (folder.parent / f"{folder.name}.pts").exists():
        method.SetFixedPointSetFileName(str(folder.parent / f"{folder.name}.pts"))
        method.SetMovingPointSetFileName(str(folder.parent / f"{folder.name}.pts"))
    method.Update()


def changed(source, target, **entries):
    """A copy of a file with other values."""
    text = source.read_text()
    for key, value in entries.items():
        values = value if isinstance(value, str) else " ".join(repr(float(v)) for v in np.ravel(value))
        text = re.sub(rf"^\({key} .*\)$", f"({key} {values})", text, flags=re.MULTILINE)
    target.write_text(text)


def mapped_by_elastix(file, points):
    mesh = itk_mesh.itkMeshF3_New()
    for number, point in enumerate(points):
        mesh.SetPoint(number, point.tolist())
    transformix = itk_transformix.itkTransformixFilterIF3_New()
    transformix.SetMovingImage(MOVING)
    transformix.SetInputMesh(mesh)
    transformix.SetTransformParameterFileName(str(file))
    transformix.Update()
    found = transformix.GetOutputMesh()
    return np.array([[found.GetPoint(number)[axis] for axis in range(3)] for number in range(len(points))])


def numbers(file, key):
    return np.array(re.search(rf"^\({key} (.*)\)$", file.read_text(), re.MULTILINE)[1].split(), dtype=float)


def main(folder):
    random = np.random.default_rng(3)
    index = random.uniform(-3, np.array(SIZE) + 2, (60, 3))
    points = (np.array(ORIGIN) + (index * SPACING) @ AXES.T).astype(np.float32)
    np.save(folder / "points.npy", points)
    files = []
    for kind in LINEAR:
        run(folder / kind, [{"Transform": [kind]}])
        files.append(folder / kind / "TransformParameters.0.txt")
        strong = folder / kind / "strong.txt"
        parameters = {
            "TranslationTransform": [11, -7, 5],
            "EulerTransform": [0.5, -0.3, 0.9, 4, -6, 8],
            "SimilarityTransform": [0.2, -0.1, 0.3, 4, -6, 8, 1.2],
            "AffineTransform": [1.1, 0.1, -0.2, 0.05, 0.9, 0.3, -0.1, 0.2, 1.05, 4, -6, 8],
            "AffineLogTransform": [0.1, 0.2, -0.3, 0.05, -0.1, 0.3, -0.1, 0.2, 0.05, 4, -6, 8],
        }[kind]
        changed(files[-1], strong, TransformParameters=parameters)
        files.append(strong)
    zyx = folder / "EulerTransform" / "zyx.txt"
    changed(folder / "EulerTransform" / "strong.txt", zyx, ComputeZYX='"true"')
    files.append(zyx)

    affine = folder / "AffineTransform" / "strong.txt"
    for name, kind, order in (
        ("cubic", "BSplineTransform", "3"),
        ("quadratic", "BSplineTransform", "2"),
        ("straight", "BSplineTransform", "1"),
        ("recursive", "RecursiveBSplineTransform", "3"),
        ("coarse", "BSplineTransform", "3"),
    ):
        stage = {"Transform": [kind], "BSplineTransformSplineOrder": [order]}
        stage["FinalGridSpacingInPhysicalUnits"] = ["16" if name == "coarse" else "11"]
        run(folder / name, [{"Transform": ["EulerTransform"]}, stage])
        files.append(folder / name / "TransformParameters.1.txt")
        shutil.copyfile(affine, folder / name / "TransformParameters.0.txt")
        values = random.normal(0, 2, int(numbers(files[-1], "NumberOfParameters")[0]))
        for how in ("Compose", "Add"):
            strong = folder / name / f"strong-{how}.txt"
            changed(
                folder / name / "TransformParameters.1.txt",
                strong,
                TransformParameters=values,
                HowToCombineTransforms=f'"{how}"',
                InitialTransformParameterFileName='"TransformParameters.0.txt"',
            )
            files.append(strong)
    # Sums of two B-splines: on the same grid, on other grids; and a linear transform added to a B-spline.
    for name, initial in (("same-grid", "cubic"), ("other-grid", "coarse")):
        changed(
            folder / initial / "strong-Add.txt",
            folder / "cubic" / f"{name}-0.txt",
            InitialTransformParameterFileName='"NoInitialTransform"',
        )
        changed(
            folder / "cubic" / "strong-Add.txt",
            folder / "cubic" / f"{name}.txt",
            InitialTransformParameterFileName=f'"{name}-0.txt"',
        )
        files.append(folder / "cubic" / f"{name}.txt")
    changed(
        affine,
        folder / "cubic" / "linear-on-top.txt",
        InitialTransformParameterFileName='"same-grid-0.txt"',
        HowToCombineTransforms='"Add"',
    )
    changed(
        affine,
        folder / "cubic" / "linear-sum.txt",
        InitialTransformParameterFileName='"TransformParameters.0.txt"',
        HowToCombineTransforms='"Add"',
    )
    # Three in a row, and axes that are not those of the world.
    changed(
        folder / "EulerTransform" / "strong.txt",
        folder / "cubic" / "third.txt",
        InitialTransformParameterFileName='"strong-Compose.txt"',
    )
    files += [folder / "cubic" / name for name in ("linear-on-top.txt", "linear-sum.txt", "third.txt")]

    landmarks = np.array(ORIGIN) + (random.uniform(0, np.array(SIZE) - 1, (9, 3)) * SPACING) @ AXES.T
    for kind in KERNELS:
        lines = ["point", str(len(landmarks)), *(" ".join(map(repr, row)) for row in landmarks.tolist())]
        (folder / f"{kind}.pts").write_text("\n".join(lines))
        run(folder / kind, [{"Transform": ["SplineKernelTransform"], "SplineKernelType": [kind]}])
        weak = folder / kind / "TransformParameters.0.txt"
        files.append(weak)
        moved = numbers(weak, "FixedImageLandmarks").reshape(-1, 3) @ np.diag([1.05, 0.97, 1.1])
        for name, stiffness in (("strong.txt", "0"), ("stiff.txt", "0.5")):
            changed(
                weak,
                folder / kind / name,
                TransformParameters=moved + random.normal(0, 2, moved.shape),
                SplineRelaxationFactor=stiffness,
            )
            files.append(folder / kind / name)
    run(
        folder / "toml",
        [
            {"Transform": ["EulerTransform"], "OutputTransformParameterFileFormat": ["TOML"]},
            {
                "Transform": ["BSplineTransform"],
                "OutputTransformParameterFileFormat": ["TOML"],
                "FinalGridSpacingInPhysicalUnits": ["16"],
            },
        ],
    )
    files += sorted((folder / "toml").glob("TransformParameters.1.*"))
    # Transforms in files of ITK, to which those of elastix point.
    stage = {"ITKTransformOutputFileNameExtension": ["h5"], "FinalGridSpacingInPhysicalUnits": ["16"]}
    run(folder / "itk", [{**stage, "Transform": [kind]} for kind in ("EulerTransform", "BSplineTransform")])
    files.append(folder / "itk" / "TransformParameters.1.txt")
    mapped = {str(file.relative_to(folder)): mapped_by_elastix(file, points) for file in files}
    np.savez(folder / "mapped.npz", **mapped)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(Path(sys.argv[1]))
    else:
        np.save(sys.argv[3], mapped_by_elastix(Path(sys.argv[1]), np.load(sys.argv[2]).astype(np.float32)))
