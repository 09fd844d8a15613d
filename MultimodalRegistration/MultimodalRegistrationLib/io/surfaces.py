"""Surfaces from model files, label maps and thresholds: the one file below the nodes that uses vtk.

Slicer writes into a model which frame it is in: ``SPACE=LPS`` or ``SPACE=RAS`` in the header of ``.stl`` and ``.vtk``
and in the comments of ``.ply`` and ``.obj``, a text array ``SPACE`` in ``.vtp``
(``vtkMRMLModelStorageNode::ReadDataInternal``). A file that says nothing may be in either; nothing is guessed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError, install_remedy
from ..core.frames import Space, flip_points_lps_ras
from ..core.linear import translation_matrix
from ..core.surface import Surface
from ..core.volume import Volume
from .input_files import refuse_special_files
from .volumes import VOLUME_SUFFIXES, read_segment

MODEL_SUFFIXES = (".stl", ".ply", ".obj", ".vtk", ".vtp")
# Slicer's defaults for the closed surface of a segment (smoothing factor 0.5).
_PASS_BAND = 0.01
_ROUNDS = 40
# Written by Materialise's programs; Slicer honours it.
_OBJ_UNIT = re.compile(
    r"vertex coordinates are measured in units, where 1 unit =\s*([-+.\deE]+)\s*(\w+)", re.IGNORECASE
)


def read_surface(path: str | Path, *, space: Space | None = None, label: int | None = None) -> Surface:
    """Read a surface model, or make the surface of a label map.

    Parameters
    ----------
    path : str or Path
        A model with one of :data:`MODEL_SUFFIXES`, or a label map or segmentation in a volume file.
    space : {"LPS", "RAS"}, optional
        The frame of a model that does not say it itself.
    label : int, optional
        The label of a label map; all voxels above zero by default.

    Returns
    -------
    Surface
        World coordinates, LPS, mm.

    Raises
    ------
    InputError
        No such file, not a surface, an unknown or contradicting frame, vtk missing, or a surface without a shape.
    """
    path = Path(path)
    if path.is_dir() or path.name.lower().endswith(VOLUME_SUFFIXES):
        if space is not None:
            raise InputError(path, f"its frame was given as {space}", "A volume says its place; leave this option out.")
        return surface_of_mask(read_segment(path, label))
    if not path.exists():
        raise InputError(path, "no such file or folder", "Check the spelling and the folder.")
    suffix = path.suffix.lower()
    if suffix not in MODEL_SUFFIXES:
        known = ", ".join((*MODEL_SUFFIXES, *VOLUME_SUFFIXES))
        raise InputError(path, "the file type is not that of a surface or a label map", f"Save it as one of {known}.")
    if label is not None:
        raise InputError(path, f"label {label} was given for a model", "Only label maps have labels; leave it out.")
    data, header = read_model(path, suffix)
    surface = surface_of_polydata(data, str(path), space=space_of_model(path, header, space))
    scale = mm_per_unit_of_model(path, header) if suffix == ".obj" else 1.0
    return surface if scale == 1.0 else surface.moved(np.diag([scale, scale, scale, 1.0]))


def surface_of_polydata(data: Any, name: str, *, space: Space) -> Surface:
    """Copy the polygons of a ``vtkPolyData``.

    Parameters
    ----------
    data : vtkPolyData
        Polygons and strips are cut into triangles; lines and points are left out. Not changed.
    name : str
        File or node, for messages.
    space : {"LPS", "RAS"}
        Frame of its points.

    Returns
    -------
    Surface
        LPS, mm.

    Raises
    ------
    InputError
        vtk is missing, or the surface is empty or damaged.
    """
    vtk = load_vtk(name)
    from vtk.util.numpy_support import vtk_to_numpy

    cut = vtk.vtkTriangleFilter()
    cut.SetInputData(data)
    cut.PassVertsOff()
    cut.PassLinesOff()
    cut.Update()
    points, polygons = cut.GetOutput().GetPoints(), cut.GetOutput().GetPolys()
    vertices, triangles = np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
    if points is not None and points.GetNumberOfPoints() and polygons.GetNumberOfCells():
        vertices = vtk_to_numpy(points.GetData()).astype(np.float64)
        triangles = vtk_to_numpy(polygons.GetConnectivityArray()).astype(np.int64).reshape(-1, 3)
    return Surface(name, flip_points_lps_ras(vertices) if space == "RAS" else vertices, triangles)


def surface_of_mask(mask: Volume, *, closed: bool = True) -> Surface:
    """Closed, smoothed surface of a mask, as Slicer makes it of a segment.

    Discrete flying edges, then a windowed sinc filter (Taubin, Zhang and Golub 1996, IBM report RC-20404), which hardly
    shrinks. On spheres of 10 to 40 voxels radius the mean radius falls by 0.01 voxels or less and the surface lies
    0.04 voxels from the true one on average, 0.35 at most; with slices three voxels thick by 0.06, and 0.2 and 1.5. A
    sphere of 5 voxels radius loses 0.07, and 0.3 with thick slices.

    Parameters
    ----------
    mask : Volume
        Voxels above zero are inside.
    closed : bool
        Whether a structure that is cut off at the border of the volume is closed there.

    Returns
    -------
    Surface
        World coordinates, LPS, mm, with normals outward.

    Raises
    ------
    InputError
        vtk is missing, or too few voxels for a shape.
    """
    vtk = load_vtk(mask.name)
    padding = 1 if closed else 0
    edges = vtk.vtkDiscreteFlyingEdges3D()
    edges.SetInputData(_index_image(vtk, np.pad((mask.voxels > 0).astype(np.uint8), padding)))
    edges.SetValue(0, 1)
    smooth = vtk.vtkWindowedSincPolyDataFilter()
    smooth.SetInputConnection(edges.GetOutputPort())
    smooth.SetNumberOfIterations(_ROUNDS)
    smooth.SetPassBand(_PASS_BAND)
    smooth.BoundarySmoothingOff()
    smooth.FeatureEdgeSmoothingOff()
    smooth.NonManifoldSmoothingOn()
    smooth.NormalizeCoordinatesOn()
    smooth.Update()
    return _placed(smooth.GetOutput(), mask, padding=padding)


def surface_of_threshold(volume: Volume, lower: float) -> Surface:
    """Surface where the intensity of a scan passes a threshold, interpolated between voxels.

    Parameters
    ----------
    volume : Volume
        A scan.
    lower : float
        Brighter voxels are inside. The surface is left open at the border of the volume.

    Returns
    -------
    Surface
        World coordinates, LPS, mm, with normals outward.

    Raises
    ------
    InputError
        vtk is missing, or no voxel, or every one, is brighter.
    """
    vtk = load_vtk(volume.name)
    low, high = volume.voxels.min(), volume.voxels.max()
    if not low < lower <= high:
        raise InputError(
            volume.name,
            f"no surface at the threshold {lower:g}: its intensities reach from {low:g} to {high:g}",
            "Give a threshold between the structure and its surroundings, for bone in CT about 300.",
        )
    edges = vtk.vtkFlyingEdges3D()
    edges.SetInputData(_index_image(vtk, np.ascontiguousarray(volume.voxels)))
    edges.SetValue(0, lower)
    edges.ComputeNormalsOff()
    edges.ComputeScalarsOff()
    edges.Update()
    return _placed(edges.GetOutput(), volume, padding=0)


def simplified(surface: Surface, most_triangles: int) -> Surface:
    """A surface of fewer triangles, by quadric decimation.

    Parameters
    ----------
    surface : Surface
        Not changed.
    most_triangles : int
        Roughly how many are left; a surface that has no more is returned as it is.
    """
    count = len(surface.triangles)
    if count <= most_triangles:
        return surface
    vtk = load_vtk(surface.name)
    fewer = vtk.vtkQuadricDecimation()
    fewer.SetInputData(polydata_of_surface(surface, space="LPS"))
    fewer.SetTargetReduction(1 - most_triangles / count)
    fewer.Update()
    return surface_of_polydata(fewer.GetOutput(), surface.name, space="LPS")


def polydata_of_surface(surface: Surface, *, space: Space) -> Any:
    """A surface as ``vtkPolyData``, in the frame that is asked for."""
    vtk = load_vtk(surface.name)
    from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray

    vertices = flip_points_lps_ras(surface.vertices_lps) if space == "RAS" else surface.vertices_lps
    points = vtk.vtkPoints()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(vertices, dtype=np.float32), deep=True))
    cells = vtk.vtkCellArray()
    offsets = np.arange(0, 3 * len(surface.triangles) + 1, 3, dtype=np.int64)
    connectivity = np.ascontiguousarray(surface.triangles, dtype=np.int64).ravel()
    cells.SetData(numpy_to_vtkIdTypeArray(offsets, deep=True), numpy_to_vtkIdTypeArray(connectivity, deep=True))
    data = vtk.vtkPolyData()
    data.SetPoints(points)
    data.SetPolys(cells)
    return data


def load_vtk(subject: str | Path) -> Any:
    """The package vtk; an error names what it is needed for."""
    try:
        import vtk
    except ImportError as error:
        raise InputError(
            subject,
            "vtk, which reads and makes surfaces, is not installed",
            install_remedy("vtk"),
        ) from error
    return vtk


def _index_image(vtk: Any, voxels: NDArray[Any]) -> Any:
    """Voxels of shape (K, J, I) as an image whose coordinates are indices."""
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    image.SetDimensions(*voxels.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True))
    return image


def _placed(data: Any, volume: Volume, *, padding: int) -> Surface:
    """A surface in indices of the padded volume, put into the world."""
    padded_to_lps = volume.grid.ijk_to_lps @ translation_matrix([-padding] * 3)
    return surface_of_polydata(data, volume.name, space="LPS").moved(padded_to_lps)


def read_model(path: Path, suffix: str) -> tuple[Any, str]:
    """The ``vtkPolyData`` of a model file and what its header or comments say.

    Raises
    ------
    InputError
        Not a surface, unreadable, or vtk is missing.
    """
    refuse_special_files(path)
    vtk = load_vtk(path)
    readers = {
        ".stl": "vtkSTLReader",
        ".ply": "vtkPLYReader",
        ".obj": "vtkOBJReader",
        ".vtk": "vtkPolyDataReader",
        ".vtp": "vtkXMLPolyDataReader",
    }
    reader = getattr(vtk, readers[suffix])()
    errors: list[str] = []

    def on_error(_: Any, __: str, text: str) -> None:
        errors.append(text)

    on_error.CallDataType = vtk.VTK_STRING  # type: ignore[attr-defined]
    reader.AddObserver("ErrorEvent", on_error)
    reader.SetFileName(str(path))
    if suffix == ".vtk" and not reader.IsFilePolyData():
        raise InputError(path, "this is not a surface (vtkPolyData)", "Save the surface of it as a model.")
    reader.Update()
    if errors:
        found = " ".join(errors[0].split())
        raise InputError(path, f"the file cannot be read ({found})", "Save the model again.")
    data = reader.GetOutput()
    return data, _header(reader, data, suffix)


def _header(reader: Any, data: Any, suffix: str) -> str:
    if suffix in (".stl", ".vtk"):
        return reader.GetHeader() or ""
    if suffix == ".obj":
        return reader.GetComment() or ""
    if suffix == ".ply":
        comments = reader.GetComments()
        return "\n".join(comments.GetValue(i) for i in range(comments.GetNumberOfValues()))
    space = data.GetFieldData().GetAbstractArray("SPACE")
    return "" if space is None or not space.GetNumberOfValues() else f"SPACE={space.GetValue(0)}"


def space_of_model(path: Path, header: str, given: Space | None) -> Space:
    """The frame of a model: what its header says, or what was given.

    Raises
    ------
    InputError
        Neither says it, or they contradict each other.
    """
    said: list[Space] = [space for space in ("LPS", "RAS") if f"SPACE={space}" in header]
    if len(said) > 1 or (said and given not in (None, said[0])):
        asked = "" if len(said) > 1 else f", but {given} was given"
        raise InputError(
            path,
            f"the file says that it is in {' and in '.join(said)}{asked}",
            "Leave out --fixed-space or --moving-space where the file is right; otherwise save the model again.",
        )
    if said:
        return said[0]
    if given is None:
        raise InputError(
            path,
            "the file does not say whether it is in LPS or RAS",
            "State it with --fixed-space or --moving-space, LPS or RAS; a model saved by Slicer says it itself.",
        )
    return given


def mm_per_unit_of_model(path: str | Path, header: str) -> float:
    """What a unit of the coordinates in an ``.obj`` file is, from its comments.

    Raises
    ------
    InputError
        Not millimetres.
    """
    unit = _OBJ_UNIT.search(header)
    if unit is None:
        return 1.0
    if unit[2].lower() != "mm" or not float(unit[1]) > 0:
        raise InputError(path, f"its coordinates are in units of {unit[1]} {unit[2]}", "Export it in mm.")
    return float(unit[1])
