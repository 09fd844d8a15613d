"""The search for the transform that a volume was resampled with, which another process carries out on nodes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.frames import modelling_ras_from_resampling_lps
from .child_job import ChildJob
from .node_files import write_nrrd
from .transforms import add_linear_transform_node
from .volume_kinds import check_kind
from .volumes import slabs_of_node


class RecoverJob(ChildJob):
    """What one search needs and gives.

    Making it checks the nodes; nothing is written yet.

    Parameters
    ----------
    original, resampled : vtkMRMLScalarVolumeNode
        The volume as it was, and what was saved of it on another grid. Not changed.
    folder : Path
        An empty folder, which the caller removes.

    Raises
    ------
    InputError
        A node that cannot be used, by name.
    """

    def __init__(self, original: Any, resampled: Any, folder: Path) -> None:
        super().__init__(folder, {"original": original, "resampled": resampled})
        if original is resampled:
            raise InputError(original.GetName(), "it was chosen as both volumes", "Choose the resampled volume too.")
        for node in (original, resampled):
            check_kind(node)
        self._result_file = folder / "recovered.json"
        self._writers = [
            write_nrrd(self._file("original", ".nrrd", field="original"), slabs_of_node(original)),
            write_nrrd(self._file("resampled", ".nrrd", field="resampled"), slabs_of_node(resampled)),
        ]

    @property
    def arguments(self) -> list[str]:
        """Of the command, which writes nothing outside the folder."""
        options = [f"--{name}={value}" for name, value in self._fields.items()]
        return ["--events", "transform", "recover", *options, "--json", str(self._result_file)]

    def read(self) -> Iterator[float]:
        """Nothing has to be read before :meth:`finish`."""
        yield from ()

    def finish(self, scene: Any) -> tuple[Any, dict[str, Any]]:
        """Add the transform to a scene.

        Parameters
        ----------
        scene : vtkMRMLScene
            That of the nodes.

        Returns
        -------
        node : vtkMRMLTransformNode
            Moves the original, from where it lies in the world, onto the resampled volume; applied to nothing.
        content : dict
            What the command says about it, with the names of the nodes.

        Raises
        ------
        InputError
            A volume was removed meanwhile; the scene is as it was.
        """
        original, resampled = self._present("original"), self._present("resampled")
        content: dict[str, Any] = self.renamed(json.loads(self._result_file.read_text(encoding="utf-8")))
        node = add_linear_transform_node(
            scene,
            modelling_ras_from_resampling_lps(np.asarray(content["transform"]["matrix_lps"])),
            name=f"{original.GetName()} to {resampled.GetName()} (recovered)",
            fixed_node=resampled,
            moving_node=original,
            settings={"made_by": "recover", **content},
        )
        return node, content
