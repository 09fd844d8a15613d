"""How good transform nodes are, measured in this process or another one.

The scene changes only when the result is added, so a run that is cancelled or fails leaves it as it was.
"""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
import threading
import uuid
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from ..assess.request import AssessOutputs, AssessRequest
from ..assess.targets import TG_132, own_tolerance
from ..cli.jobs import Context, Job
from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.progress import Progress
from ..core.spatial import SpatialTransform
from ..core.volume import Volume
from ..io.landmarks import write_landmarks
from ..io.outputs import output_folder
from ..io.run_records import RunRecord, describes
from ..landmarks.pairing import pair_targets
from .child_job import ChildJob
from .landmarks import both_given, landmarks_of_node
from .node_files import SegmentFile, write_nrrd, write_transform_node
from .placement import applied_results, placement_in_world, placement_without, result_held_by
from .quality_nodes import QualityNodes, quality_node_steps, remove_quality_nodes
from .segments import mask_slabs
from .spatial import GOOD_ENOUGH_MM, spatial_transform_of_node
from .steps import drained, in_thread, in_turn, shares
from .transforms import SETTINGS_ATTRIBUTE
from .volume_kinds import check_kind
from .volumes import Slabs, slabs_of_node


@dataclass(frozen=True, eq=False)
class QualityInputs:
    """The nodes of an assessment; roles as of :func:`assess_nodes`."""

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


class QualityJob(ChildJob):
    """What one assessment needs and gives.

    Making it checks the nodes; nothing is written yet.

    Parameters
    ----------
    inputs : QualityInputs
        Nodes of one scene; not changed.
    folder : Path
        An empty folder, which the caller removes.
    tolerance_mm : float
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

    def __init__(self, inputs: QualityInputs, folder: Path, tolerance_mm: float = TG_132.mm) -> None:
        nodes = inputs.by_role()
        super().__init__(folder, nodes)
        # For the sake of an early message.
        own_tolerance(tolerance_mm)
        self._tolerance_mm = None if tolerance_mm == TG_132.mm else tolerance_mm
        self._scene, self._run_id = inputs.fixed.GetScene(), uuid.uuid4().hex
        self.nodes: QualityNodes | None = None
        self.output_folder = folder / "report"
        self._records: dict[str, RunRecord] = {}
        self._warnings: list[str] = []
        self.content: dict[str, Any] = {}
        self._maps: dict[str, Volume] = {}
        self._command = _command_of(nodes, inputs.transforms, self._tolerance_mm)
        results = [*inputs.transforms, inputs.reference]
        for role in ("fixed", "targets_fixed", "fixed_segmentation", "region"):
            check_fixed(nodes[role], results)
        for node in (inputs.fixed, inputs.moving):
            check_kind(node)
        fixed = slabs_of_node(inputs.fixed)
        moving = slabs_of_node(inputs.moving, placement=placement_without(inputs.moving, results))
        self._add("fixed", inputs.fixed, ".nrrd", lambda path: write_nrrd(path, fixed))
        self._add("moving", inputs.moving, ".nrrd", lambda path: write_nrrd(path, moving))
        names = _names_of(inputs.transforms)
        for node, name in zip(inputs.transforms, names, strict=True):
            self._add_transform("transform", node, name, fixed)
        if inputs.reference is not None:
            self._add_transform("reference", inputs.reference, inputs.reference.GetName(), fixed)
        self._add_targets(inputs, results)
        self._add_segmentations(inputs, results)
        if inputs.region is not None:
            region = mask_slabs(inputs.region, inputs.fixed)
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
                self._warnings.append(f"{name} bends so sharply that it was sampled to within {error_mm:.2f} mm only.")
            if role == "transform":
                record, warnings = record_of(node, spatial, fixed.grid)
                self._warnings += warnings
                if record is not None:
                    self._records[str(path)] = record

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
            "records": {path: vars(record) for path, record in self._records.items()},
            "warnings": self._warnings,
            "command": self._command,
        }
        (self._folder / "handover.json").write_text(json.dumps(content), encoding="utf-8")

    def job(self) -> Job:
        """The request, which writes nothing outside the folder; once everything is written."""
        outputs = AssessOutputs(output_dir=str(self.output_folder), handover=str(self._folder / "handover.json"))
        return Job("qa", AssessRequest(tolerance_mm=self._tolerance_mm, **self._fields), outputs)

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
        yield from shares(self.read_report(), 0.0, 0.5)
        self.nodes = yield from shares(self.add(), 0.5, 1.0)

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


class SceneAssessment:
    """What was measured.

    Parameters
    ----------
    content : dict
        Every number, as in ``quality.json`` of the command, with the names of nodes.
    nodes : QualityNodes or None
        What was added to the scene, if that was asked for; to be removed with
        :func:`~MultimodalRegistrationLib.mrml.quality_nodes.remove_quality_nodes`.
    folder : Path
        The report, tables and maps; removed with this object.
    """

    def __init__(self, content: dict[str, Any], nodes: QualityNodes | None, folder: Path) -> None:
        self.content, self.nodes, self._folder = content, nodes, folder
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    @property
    def verdict(self) -> dict[str, Any]:
        """Word, method, sentence, reasons, facts."""
        return dict(self.content["verdict"])

    def report(self, folder: Path | str) -> Path:
        """Write the report, the tables and the maps into a new or empty folder; returns the page."""
        shutil.copytree(self._folder, output_folder(folder), dirs_exist_ok=True)
        return Path(folder) / "report.html"


def assess_nodes(
    fixed_node: Any,
    moving_node: Any,
    transform_nodes: Sequence[Any],
    *,
    targets_fixed_node: Any = None,
    targets_moving_node: Any = None,
    fixed_segmentation_node: Any = None,
    moving_segmentation_node: Any = None,
    reference_node: Any = None,
    region_node: Any = None,
    tolerance_mm: float = TG_132.mm,
    add_nodes: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    cancel: threading.Event | None = None,
) -> SceneAssessment:
    """Measure how good transform nodes are.

    Everything is computed in world coordinates, parent transforms included. Whether a transform is applied to the
    moving nodes or not makes no difference: they are read where they lay before.

    Parameters
    ----------
    fixed_node, moving_node : vtkMRMLScalarVolumeNode
        The volumes.
    transform_nodes : sequence of vtkMRMLTransformNode
        One or more. Each maps what lies on the moving volume onto the fixed one.
    targets_fixed_node, targets_moving_node : vtkMRMLMarkupsNode, optional
        Independent points, paired by label where both lists have the same, else by order; both or none.
    fixed_segmentation_node, moving_segmentation_node : optional
        vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode with the same structures; both or none.
    reference_node : vtkMRMLTransformNode, optional
        A transform that is known to be right.
    region_node : vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode, optional
        The part of the fixed volume that counts.
    tolerance_mm : float
        Acceptable mean error.
    add_nodes : bool
        Add tables, charts, maps and markups to the scene of the volumes; else nothing in it changes.
    on_progress, on_warning : callable, optional
        Called as the run goes on.
    cancel : threading.Event, optional
        Set it to stop.

    Returns
    -------
    SceneAssessment
        The numbers, the verdict, the report, and the nodes that were added.

    Raises
    ------
    InputError
        A node that cannot be used, one of a pair without its partner, a transform that is applied to the fixed side,
        several that are applied to the moving side one upon the other, or as
        :func:`~MultimodalRegistrationLib.assess.assess.assess`.
    """
    inputs = QualityInputs(
        fixed_node,
        moving_node,
        tuple(transform_nodes),
        targets_fixed_node,
        targets_moving_node,
        fixed_segmentation_node,
        moving_segmentation_node,
        reference_node,
        region_node,
    )
    report = Path(tempfile.mkdtemp())
    try:
        with tempfile.TemporaryDirectory() as folder:
            job = QualityJob(inputs, Path(folder), tolerance_mm)
            job.output_folder = report
            context = Context.of_callbacks(on_progress, on_warning, cancel)
            if add_nodes:
                job.run_here(context)
            else:
                job.carry_out(context)
                drained(job.read_report())
    except BaseException:
        shutil.rmtree(report, ignore_errors=True)
        raise
    return SceneAssessment(job.content, job.nodes, report)


def check_fixed(node: Any, results: Sequence[Any]) -> None:
    """Refuse a node of the fixed side that a result moves.

    Raises
    ------
    InputError
        Names both.
    """
    applied = () if node is None else applied_results(node, results)
    if applied:
        raise InputError(
            node.GetName(),
            f"it is on the fixed side, but {applied[0].GetName()}, which is to be assessed, is applied to it",
            "Take it out of that transform, or exchange the fixed and the moving side.",
        )


def _names_of(nodes: Sequence[Any]) -> list[str]:
    """Nodes of the same name are told apart by their identifiers."""
    names = [node.GetName() for node in nodes]
    return [
        f"{name} ({node.GetID()})" if names.count(name) > 1 else name for name, node in zip(names, nodes, strict=True)
    ]


def record_of(node: Any, transform: SpatialTransform, over: VolumeGrid) -> tuple[RunRecord | None, tuple[str, ...]]:
    """How a node was made, and what is to be said about that."""
    result = result_held_by(node)
    text = result.GetAttribute(SETTINGS_ATTRIBUTE)
    if text is None:
        return None, ()
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(
            result.GetName(), f"its attribute {SETTINGS_ATTRIBUTE} is no JSON ({error})", "Remove the attribute."
        ) from error
    if "made_by" in content:
        # Recovered, or of the preprocessing: nothing is known about it that would count here.
        return None, ()
    made = transform if result is node else spatial_transform_of_node(result, over)[0]
    if describes(content, made):
        return RunRecord(result.GetName(), content), ()
    warning = f"{result.GetName()} was changed after it was computed"
    if "pairs" not in content:
        return None, (f"{warning}; what was known about it no longer counts.",)
    # Points that it was once computed from still are no independent targets.
    return RunRecord(result.GetName(), {"pairs": content["pairs"]}), (f"{warning} from landmarks.",)


def _command_of(nodes: Mapping[str, Any], transform_nodes: Sequence[Any], tolerance_mm: float | None) -> str:
    """What repeats the run in Slicer's Python console."""

    def found(node: Any) -> str:
        alone = node.GetScene().GetNodesByName(node.GetName()).GetNumberOfItems() == 1
        return f"slicer.util.getNode({(node.GetName() if alone else node.GetID())!r})"

    options = [
        f"{role}_node={found(node)}"
        for role, node in nodes.items()
        if node is not None and role not in ("fixed", "moving")
    ]
    if tolerance_mm is not None:
        options.append(f"tolerance_mm={tolerance_mm!r}")
    transforms = ", ".join(found(node) for node in transform_nodes)
    return f"assess_nodes({', '.join([found(nodes['fixed']), found(nodes['moving']), f'[{transforms}]', *options])})"
