"""A registration of structures that move separately, which another process carries out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..cli.jobs import Job
from ..core.request import fields_of
from ..polyrigid.report import COMBINED_FILE, RESAMPLED_FILE, RESULT_FILE, joint_content, worst_structure
from ..polyrigid.request import PolyrigidOutputs, PolyrigidRequest
from .node_files import SegmentFile
from .placement import placement_in_world
from .registration_job import Inputs, RegistrationJob, Settings, add_registration_node, result_name

_SEGMENTS_SHARE = 0.2


class StructuresJob(RegistrationJob):
    """What one run needs and gives: a rigid transform for each segment, and one that combines them.

    Parameters
    ----------
    inputs, settings, folder
        As for :class:`~MultimodalRegistrationLib.mrml.registration_job.RegistrationJob`; with structures, and without
        masks, region of interest or second stage.

    Raises
    ------
    InputError
        A node that cannot be used, by name.
    """

    def __init__(self, inputs: Inputs, settings: Settings, folder: Path) -> None:
        super().__init__(inputs, settings, folder)
        self._results = folder / "results"
        self._result_file, self._transform_file = self._results / RESULT_FILE, self._results / COMBINED_FILE
        self._resampled_file = self._results / RESAMPLED_FILE
        self._segments = SegmentFile(inputs.structures, placement_in_world(inputs.structures))
        self._segments_path = self._file("structures", ".seg.nrrd", field="segmentation")

    def write(self) -> Iterator[float]:
        """Write the volumes and the segments.

        Yields
        ------
        float
            How much is written, 0 to 1; a step takes some milliseconds.
        """
        for share in super().write():
            yield (1 - _SEGMENTS_SHARE) * share
        for share in self._segments.write(self._segments_path):
            yield 1 - _SEGMENTS_SHARE + _SEGMENTS_SHARE * share

    def job(self) -> Job:
        """The request, which writes nothing outside the folder; once everything is written."""
        known = {one.name for one in fields_of(PolyrigidRequest)}
        options = {name: value for name, value in self.settings.options.items() if name in known}
        request = PolyrigidRequest(keep_failed=True, **{**options, **self._fields})
        return Job("structures", request, PolyrigidOutputs(output_dir=str(self._results)))

    def read(self) -> Iterator[float]:
        """Read the resampled volume, where one was asked for and there is one.

        Yields
        ------
        float
            How much is read, 0 to 1.
        """
        if self._resampled_file.exists():
            yield from super().read()

    def finish(self, scene: Any, output: Any = None) -> tuple[Any, list[Any], dict[str, Any]]:
        """Add the results to a scene.

        Parameters
        ----------
        scene : vtkMRMLScene
            That of the nodes.
        output : vtkMRMLTransformNode, optional
            Gets the combined transform in place of a new node; that of one structure alone always gets a new one.

        Returns
        -------
        transform_node : vtkMRMLTransformNode
            The combined transform; where there is none, as of structures that collide, that of the structure that is
            trusted least.
        others : list of vtkMRMLNode
            The transforms of the structures, and the resampled volume.
        content : dict
            The whole run, as ``RESULT.json`` of the command.

        Raises
        ------
        InputError
            A volume was removed while the registration ran; the scene is as it was.
        """
        fixed, moving = self._present("fixed"), self._present("moving")
        content = self.renamed(json.loads(self._result_file.read_text(encoding="utf-8")))
        common = {"fixed_node": fixed, "moving_node": moving}
        title = result_name(fixed, moving)
        structures = content["structures"]
        combined = None
        if content["combined"] is not None:
            combined = add_registration_node(
                scene, joint_content(content), self._transform_file, name=title, node=output, **common
            )
        nodes = [
            add_registration_node(
                scene,
                {**one["registration"], "inputs": content["inputs"]},
                self._results / one["file"],
                name=f"{title}: {one['name']}",
                **common,
            )
            for one in structures
        ]
        result = nodes.pop(structures.index(worst_structure(structures))) if combined is None else combined
        return result, [*nodes, *self._add_resampled(scene, moving)], content

    @property
    def moves_all(self) -> bool:
        """Whether the result holds for the whole moving volume: a transform of one structure does not."""
        return self._transform_file.exists()
