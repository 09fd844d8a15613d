"""A picture of two volume nodes, which another process draws."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..io.outputs import OutputFiles
from .child_job import ChildJob
from .node_files import write_nrrd, write_transform_node
from .placement import placement_without
from .quality import check_fixed
from .volume_kinds import check_kind
from .volumes import slabs_of_node


@dataclass(frozen=True)
class PictureSettings:
    """What a picture shows.

    Parameters
    ----------
    mode : str
        One of :data:`~MultimodalRegistrationLib.assess.pictures.picture.MODES`.
    center_ras : sequence of 3 float, optional
        Where the planes cross, world, mm; None for the centre of the fixed volume.
    field_mm : float, optional
        Side of a square part around it; None for all of the fixed volume.
    """

    mode: str
    center_ras: Sequence[float] | None = None
    field_mm: float | None = None


class PictureJob(ChildJob):
    """What one picture needs.

    Making it checks the nodes; nothing is written yet.

    Parameters
    ----------
    fixed, moving : vtkMRMLScalarVolumeNode
        The volumes; not changed.
    transform : vtkMRMLTransformNode
        Applied to the moving volume or not: the picture shows before and after.
    settings : PictureSettings
        What is shown.
    folder : Path
        An empty folder, which the caller removes.

    Raises
    ------
    InputError
        A node that cannot be used, by name.
    """

    def __init__(self, fixed: Any, moving: Any, transform: Any, settings: PictureSettings, folder: Path) -> None:
        super().__init__(folder, {"fixed": fixed, "moving": moving, "transform": transform})
        check_fixed(fixed, [transform])
        for node in (fixed, moving):
            check_kind(node)
        of_fixed = slabs_of_node(fixed)
        of_moving = slabs_of_node(moving, placement=placement_without(moving, [transform]))
        self._picture = folder / "picture.png"
        self._writers = [
            write_nrrd(self._file("fixed", ".nrrd", field="fixed"), of_fixed),
            write_nrrd(self._file("moving", ".nrrd", field="moving"), of_moving),
            write_transform_node(self._file("transform", ".h5", field="transform"), transform, of_fixed.grid),
        ]
        self._fields["mode"] = settings.mode
        if settings.center_ras is not None:
            self._fields["at"] = ",".join(repr(float(mm)) for mm in settings.center_ras)
        if settings.field_mm is not None:
            self._fields["field"] = repr(settings.field_mm)

    @property
    def arguments(self) -> list[str]:
        """Of the command, which writes nothing outside the folder."""
        options = [f"--{name}={value}" for name, value in self._fields.items()]
        return ["--events", "picture", *options, "--output", str(self._picture)]

    def read(self) -> Iterator[float]:
        """Nothing is added to the scene."""
        yield from ()

    def save(self, target: Path) -> None:
        """Put the picture where the user wants it, whole or not at all.

        Raises
        ------
        InputError
            No file can be made there.
        OSError
            The disk is full, say.
        """
        with OutputFiles() as outputs:
            shutil.copyfile(self._picture, outputs.add(target, (".png",)))
            outputs.commit()
