"""An assessment of nodes that another process carries out: what it is handed over, and what becomes of its result.

The scene changes only when the result is added, so a run that is cancelled or fails leaves it as it was.
"""

from __future__ import annotations

import functools
import json
import uuid
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from ..assess.request import AssessOutputs, AssessRequest
from ..assess.targets import TG_132, Tolerance
from ..cli.jobs import Job
from ..core.errors import InputError
from ..core.spatial import SpatialTransform
from ..core.volume import Volume
from ..io.landmarks import write_landmarks
from ..io.run_records import RunRecord
from ..landmarks.pairing import pair_targets
from .child_job import ChildJob, in_turn
from .landmarks import landmarks_of_node
from .placement import placement_in_world, placement_without
from .prealign import both_given
from .quality_inputs import check_fixed, command_of, names_of, record_of
from .quality_nodes import QualityNodes, quality_node_steps, remove_quality_nodes
from .segment_files import SegmentFile
from .segments import segment_slabs
from .spatial import GOOD_ENOUGH_MM
from .steps import in_thread, shares
from .transform_file import write_transform_node
from .volume_kinds import check_kind
from .voxel_slabs import Slabs, slabs_of_node, write_nrrd

__all__ = ["QualityInputs", "QualityJob"]


@dataclass(frozen=True, eq=False)
class QualityInputs:
    """The nodes of an assessment; roles as of :func:`~MultimodalRegistrationLib.mrml.quality.assess_nodes`."""

    fixed: Any
    moving: Any
    transforms: tuple[Any, ...]
    targets_fixed: Any = None
    targets_moving: Any = None
    fixed_segmentation: Any = None
    moving_segmentation: Any = None
    reference: Any = None
    region: Any = None

    def by_role(self) -> dict[str, Any]:
        """All but the transforms, None where there is no node."""
        return {role: node for role, node in vars(self).items() if role != "transforms"}


@dataclass(eq=False)
class _Handover:
    records: dict[str, RunRecord] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class QualityJob(ChildJob):
    """What one assessment needs and gives.

    Making it checks the nodes; nothing is written yet.

    Parameters
    ----------
    inputs : QualityInputs
        Nodes of one scene; not changed.
    folder : Path
        An empty folder, which the caller removes.
    tolerance : Tolerance, optional
        Acceptable mean error.

    Raises
    ------
    InputError
        A node that cannot be used, by name.
    """

    _removed = (
        "the volume was removed while it was measured",
        "Load it and measure again; nothing was added to the scene.",
    )

    def __init__(self, inputs: QualityInputs, folder: Path, tolerance: Tolerance = TG_132) -> None:
        nodes = inputs.by_role()
        super().__init__(folder, nodes)
        self._tolerance = tolerance
        self._scene, self._run_id = inputs.fixed.GetScene(), uuid.uuid4().hex
        self.nodes: QualityNodes | None = None
        self.output_folder = folder / "report"
        self._handover = _Handover()
        self._writers: list[Iterator[float]] = []
        self.content: dict[str, Any] = {}
        self._maps: dict[str, Volume] = {}
        self._command = command_of(nodes, inputs.transforms, tolerance)
        results = [*inputs.transforms, inputs.reference]
        for role in ("fixed", "targets_fixed", "fixed_segmentation", "region"):
            check_fixed(nodes[role], results)
        for node in (inputs.fixed, inputs.moving):
            check_kind(node)
        fixed = slabs_of_node(inputs.fixed)
        moving = slabs_of_node(inputs.moving, placement=placement_without(inputs.moving, results))
        self._add("fixed", inputs.fixed, ".nrrd", lambda path: write_nrrd(path, fixed))
        self._add("moving", inputs.moving, ".nrrd", lambda path: write_nrrd(path, moving))
        names = names_of(inputs.transforms)
        for node, name in zip(inputs.transforms, names, strict=True):
            self._add_transform("transform", node, name, fixed)
        if inputs.reference is not None:
            self._add_transform("reference", inputs.reference, inputs.reference.GetName(), fixed)
        self._add_targets(inputs, results)
        self._add_segmentations(inputs, results)
        if inputs.region is not None:
            region = _region(inputs.region, fixed)
            self._add("region", inputs.region, ".nrrd", lambda path: write_nrrd(path, region))

    def _next_file(self, role: str, name: str, suffix: str) -> Path:
        """A file of its own for each of the nodes that have the same role."""
        path = self._file(f"{role}-{len(self._names)}", suffix, name=name)
        known = self._fields.get(role, ())
        self._fields[role] = (*known, str(path)) if role == "transform" else str(path)
        return path

    def _add(self, role: str, node: Any, suffix: str, write: Any) -> None:
        self._writers.append(write(self._next_file(role, node.GetName(), suffix)))

    def _add_transform(self, role: str, node: Any, name: str, fixed: Slabs) -> None:
        if not node.IsA("vtkMRMLTransformNode"):
            raise InputError(node.GetName(), f"this is no transform ({node.GetClassName()})", "Choose a transform.")
        self._writers.append(self._write_transform(self._next_file(role, name, ".h5"), role, node, name, fixed))

    def _write_transform(self, path: Path, role: str, node: Any, name: str, fixed: Slabs) -> Iterator[float]:
        def note(spatial: SpatialTransform, error_mm: float) -> None:
            if error_mm > GOOD_ENOUGH_MM:
                self._handover.warnings.append(
                    f"{name} bends so sharply that it was sampled to within {error_mm:.2f} mm only."
                )
            if role == "transform":
                record, warnings = record_of(node, spatial, fixed.grid)
                self._handover.warnings += warnings
                if record is not None:
                    self._handover.records[str(path)] = record

        yield from write_transform_node(path, node, fixed.grid, note)

    def _add_targets(self, inputs: QualityInputs, results: list[Any]) -> None:
        if not both_given("The targets", inputs.targets_fixed, inputs.targets_moving):
            return
        fixed = landmarks_of_node(inputs.targets_fixed)
        moving = landmarks_of_node(inputs.targets_moving, placement_without(inputs.targets_moving, results))
        # Paired here for the sake of an early message only.
        pair_targets(fixed, moving)
        write_landmarks(self._next_file("targets_fixed", inputs.targets_fixed.GetName(), ".mrk.json"), fixed)
        write_landmarks(self._next_file("targets_moving", inputs.targets_moving.GetName(), ".mrk.json"), moving)

    def _add_segmentations(self, inputs: QualityInputs, results: list[Any]) -> None:
        fixed, moving = inputs.fixed_segmentation, inputs.moving_segmentation
        if both_given("The segmentations", fixed, moving):
            for role, node, placement in (
                ("fixed_segmentation", fixed, placement_in_world(fixed)),
                ("moving_segmentation", moving, placement_without(moving, results)),
            ):
                self._add(role, node, ".seg.nrrd", SegmentFile(node, placement).write)

    def write(self) -> Iterator[float]:
        """Write the files.

        Yields
        ------
        float
            How much is written, 0 to 1; a step takes some milliseconds.
        """
        yield from in_turn(self._writers)
        content = {
            "names": self._names,
            "records": {path: vars(record) for path, record in self._handover.records.items()},
            "warnings": self._handover.warnings,
            "command": self._command,
        }
        (self._folder / "handover.json").write_text(json.dumps(content), encoding="utf-8")

    def job(self) -> Job:
        """The request, which writes nothing outside the folder; once everything is written."""
        tolerance_mm = None if self._tolerance == TG_132 else self._tolerance.mm
        outputs = AssessOutputs(output_dir=str(self.output_folder), handover=str(self._folder / "handover.json"))
        return Job("qa", AssessRequest(tolerance_mm=tolerance_mm, **self._fields), outputs)

    def read(self) -> Iterator[float]:
        """Read the result and add it to the scene of the volumes: :attr:`nodes`.

        Yields
        ------
        float
            How much is read, 0 to 1.

        Raises
        ------
        InputError
            A volume was removed while the assessment ran.
        """
        for share in self.read_report():
            yield 0.5 * share
        adding = self.add()
        while True:
            try:
                share = next(adding)
            except StopIteration as end:
                self.nodes = end.value
                return
            yield 0.5 + 0.5 * share

    def withdraw(self) -> None:
        """Remove what was added to the scene."""
        remove_quality_nodes(self._scene, self._run_id)

    def read_report(self) -> Iterator[float]:
        """Read the files of the result; nothing is added to the scene.

        Yields
        ------
        float
            How much is read, 0 to 1.
        """
        self.content = json.loads((self.output_folder / "quality.json").read_text(encoding="utf-8"))
        yield 0.0
        files = sorted(self.output_folder.glob("*.nrrd"))
        for number, file in enumerate(files, start=1):
            image = yield from shares(
                in_thread(functools.partial(sitk.ReadImage, str(file))), (number - 1) / len(files)
            )
            self._maps[file.stem] = Volume(image, file.stem)

    def add(self) -> Generator[float, None, QualityNodes]:
        """Add it to the scene as :func:`~MultimodalRegistrationLib.mrml.quality_nodes.quality_node_steps` does.

        Raises
        ------
        InputError
            A volume was removed while the assessment ran.
        """
        fixed, moving = self._present("fixed"), self._present("moving")
        return (
            yield from quality_node_steps(self._scene, self.content, self._maps, fixed, moving, run_id=self._run_id)
        )


def _region(node: Any, fixed: Slabs) -> Slabs:
    if node.IsA("vtkMRMLSegmentationNode"):
        return segment_slabs(node, fixed.grid)
    return slabs_of_node(node, nearest=True)
