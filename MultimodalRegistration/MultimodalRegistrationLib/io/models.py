"""Models that are read, moved and written again, with whatever values their points have.

A file stays in the frame it was in, LPS or RAS, and says so in the way of Slicer
(``vtkMRMLModelStorageNode::WriteDataInternal``).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.frames import Space, flip_points_lps_ras
from .surfaces import MODEL_SUFFIXES, load_vtk, mm_per_unit_of_model, read_model, space_of_model

_WRITERS = {
    ".stl": "vtkSTLWriter",
    ".ply": "vtkPLYWriter",
    ".obj": "vtkOBJWriter",
    ".vtk": "vtkPolyDataWriter",
    ".vtp": "vtkXMLPolyDataWriter",
}


class Model:
    """A ``vtkPolyData`` with its frame.

    Parameters
    ----------
    name : str
        File, for messages.
    data : vtkPolyData
        Points, cells and their values.
    space : {"LPS", "RAS"}
        Frame of its points.
    """

    def __init__(self, name: str, data: Any, space: Space) -> None:
        self.name, self.data, self.space = name, data, space

    @property
    def points_lps(self) -> NDArray[np.float64]:
        """Its points, shape (N, 3), LPS, mm."""
        from vtk.util.numpy_support import vtk_to_numpy

        points = vtk_to_numpy(self.data.GetPoints().GetData()).astype(np.float64)
        return flip_points_lps_ras(points) if self.space == "RAS" else points

    def moved(self, move: Callable[[NDArray[np.float64]], NDArray[np.float64]], *, mirrored: bool = False) -> Model:
        """A copy with other points.

        Parameters
        ----------
        move : callable
            Of points, shape (N, 3), LPS, mm.
        mirrored : bool
            Whether it turns right into left; the cells then run the other way round.

        Returns
        -------
        Model
            Normals, if there were any, are those of the moved surface.
        """
        vtk = load_vtk(self.name)
        from vtk.util.numpy_support import numpy_to_vtk

        points = move(self.points_lps)
        points = flip_points_lps_ras(points) if self.space == "RAS" else points
        data = vtk.vtkPolyData()
        data.DeepCopy(self.data)
        # Models far from the origin need the digits, and files of 32 bits stay so.
        single = self.data.GetPoints().GetDataType() == vtk.VTK_FLOAT
        array = numpy_to_vtk(np.ascontiguousarray(points, dtype=np.float32 if single else np.float64), deep=True)
        data.GetPoints().SetData(array)
        if mirrored:
            reverse = vtk.vtkReverseSense()
            reverse.SetInputData(data)
            reverse.ReverseNormalsOff()
            reverse.Update()
            data = reverse.GetOutput()
        of_points, of_cells = (where.GetNormals() is not None for where in (data.GetPointData(), data.GetCellData()))
        if of_points or of_cells:
            normals = vtk.vtkPolyDataNormals()
            normals.SetInputData(data)
            normals.SplittingOff()
            normals.ConsistencyOff()
            normals.SetComputePointNormals(of_points)
            normals.SetComputeCellNormals(of_cells)
            normals.Update()
            data = normals.GetOutput()
        return Model(self.name, data, self.space)


def read_whole_model(path: str | Path, *, space: Space | None = None) -> Model:
    """Read a model with everything in it.

    Parameters
    ----------
    path : str or Path
        A file with one of :data:`~MultimodalRegistrationLib.io.surfaces.MODEL_SUFFIXES`.
    space : {"LPS", "RAS"}, optional
        The frame of a model that does not say it itself.

    Raises
    ------
    InputError
        No such file, not a surface, without points, an unknown or contradicting frame, or vtk missing.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(path, "no such file", "Check the spelling and the folder.")
    suffix = path.suffix.lower()
    if suffix not in MODEL_SUFFIXES:
        raise InputError(
            path, "the file type is not that of a model", f"Save it as one of {', '.join(MODEL_SUFFIXES)}."
        )
    data, header = read_model(path, suffix)
    if data.GetNumberOfPoints() == 0:
        raise InputError(path, "the model has no points", "Check that the right one was saved.")
    model = Model(str(path), data, space_of_model(path, header, space))
    scale = mm_per_unit_of_model(path, header) if suffix == ".obj" else 1.0
    return model if scale == 1.0 else model.moved(lambda points: points * scale)


def write_model(path: str | Path, model: Model) -> None:
    """Write a model.

    Parameters
    ----------
    path : str or Path
        A file with one of :data:`~MultimodalRegistrationLib.io.surfaces.MODEL_SUFFIXES`.
    model : Model
        What to write.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    vtk = load_vtk(path)
    suffix = Path(path).suffix.lower()
    writer, data = getattr(vtk, _WRITERS[suffix])(), model.data
    says = f"SPACE={model.space}"
    if suffix == ".ply":
        writer.AddComment(says)
        _keep_colours(writer, data)
    elif suffix == ".vtp":
        said = vtk.vtkStringArray()
        said.SetName("SPACE")
        said.InsertNextValue(model.space)
        data.GetFieldData().RemoveArray("SPACE")
        data.GetFieldData().AddArray(said)
    elif suffix == ".obj":
        _write_obj(vtk, Path(path), data, says)
        return
    else:
        writer.SetHeader(f"3D Slicer output. {says}")
    if suffix in (".stl", ".ply"):
        writer.SetFileTypeToBinary()
    writer.SetInputData(data)
    writer.SetFileName(str(path))
    if not writer.Write():
        raise InputError(path, "the model cannot be written", "Free disk space, or choose another folder.")


def _keep_colours(writer: Any, data: Any) -> None:
    scalars = data.GetPointData().GetScalars()
    if scalars is not None and scalars.GetDataTypeAsString() == "unsigned char":
        writer.SetArrayName(scalars.GetName())
        writer.SetEnableAlpha(scalars.GetNumberOfComponents() == 4)


def _write_obj(vtk: Any, path: Path, data: Any, says: str) -> None:
    """Vtk's writer cannot write comments, and Slicer's exporter needs a window."""
    writer = vtk.vtkOBJWriter()
    writer.SetInputData(data)
    writer.SetFileName(str(path))
    if not writer.Write():
        raise InputError(path, "the model cannot be written", "Free disk space, or choose another folder.")
    path.write_bytes(f"# {says}\n".encode() + path.read_bytes())
