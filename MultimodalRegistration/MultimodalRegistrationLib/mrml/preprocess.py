"""Two volume nodes checked and prepared for a registration, in this process or another one.

The nodes themselves never change, and the scene only when a result is added: a job that is cancelled or fails leaves
it as it was.
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk

from ..cli.jobs import Context, Job
from ..core.errors import ExitCode, InputError
from ..core.grid import OrientedBox
from ..core.points import Pairing
from ..core.progress import Progress
from ..core.volume import Volume
from ..io.markups import write_roi
from ..io.voxel_source import grid_of_header
from ..preprocess.findings import Finding
from ..preprocess.region import DEFAULT_MARGIN_MM, Region
from ..preprocess.request import PreprocessOutputs, PreprocessRequest
from ..preprocess.run import PreparedVolume, Preprocessed
from ..preprocess.steps import ROLES, Role
from .node_files import read_gzip_nrrd, write_nrrd
from .prepared_nodes import PreparedNodes, RegionNodes, add_prepared, add_region
from .registration_job import Inputs as PairInputs
from .registration_job import VolumePairJob
from .roi import box_of_roi_node
from .segments import mask_slabs
from .steps import in_thread, in_turn, shares
from .volume_findings import NodeFinding, refuse_wrong_kinds, with_remedies
from .volumes import slabs_of_node

Task = Literal["check", "region", "prepare"]

_MASK_FIELDS: dict[Role, str] = {"fixed": "mask", "moving": "moving_mask"}


@dataclass(frozen=True, eq=False)
class Inputs(PairInputs):
    """The nodes of a job; see :func:`preprocess_nodes`.

    Parameters
    ----------
    region_parts : vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode, optional
        What a region is found around, where there is no ROI to cut to.
    """

    region_parts: Any = None


@dataclass(frozen=True)
class Settings:
    """How volumes are prepared.

    Parameters
    ----------
    margin_mm : float
        Around a region that is found.
    masks : bool
        Use the masks given, and make those that are not.
    automatic_masks : tuple of str
        ``"fixed"``, ``"moving"``: make a mask there where none is given.
    fixed_mask_segments, moving_mask_segments, region_segments : sequence of str or None
        Identifiers or names of the segments of a mask, or of the parts a region is found around; None for all visible
        ones. Of segmentations only.
    fixed_mask_outside, moving_mask_outside : bool
        Everything counts but what the mask marks.
    bias_correct : tuple of str
        ``"fixed"``, ``"moving"``.
    isotropic_mm : float or None
        Cubic voxels of this size.
    pairing : str
        Of the landmarks.
    """

    margin_mm: float = DEFAULT_MARGIN_MM
    masks: bool = True
    automatic_masks: tuple[Role, ...] = ROLES
    fixed_mask_segments: Sequence[str] | None = None
    moving_mask_segments: Sequence[str] | None = None
    region_segments: Sequence[str] | None = None
    fixed_mask_outside: bool = False
    moving_mask_outside: bool = False
    bias_correct: tuple[Role, ...] = ()
    isotropic_mm: float | None = None
    pairing: Pairing = "order"


class PreprocessJob(VolumePairJob):
    """What one run of the command needs and gives.

    Making it checks the nodes; nothing is written yet.

    Parameters
    ----------
    inputs : Inputs
        Nodes of one scene; not changed.
    settings : Settings
        How to do it.
    folder : Path
        An empty folder, which the caller removes.
    task : {"check", "region", "prepare"}
        Only look at the volumes, only find their common region, or everything.

    Raises
    ------
    InputError
        A node that cannot be used, by name.
    """

    def __init__(self, inputs: Inputs, settings: Settings, folder: Path, task: Task) -> None:
        super().__init__(folder, vars(inputs))
        self.settings, self.task = settings, task
        self._output, self._result_file = folder / "prepared", folder / "result.json"
        self._prepared: Preprocessed | None = None
        if task == "check":
            # An error in the volumes is what it was to find.
            self.result_codes = frozenset({ExitCode.DONE, ExitCode.INPUT})
        else:
            refuse_wrong_kinds(inputs.fixed, inputs.moving)
            self._places = {role: slabs_of_node(vars(inputs)[role]).grid for role in ROLES}
            self._add_start(inputs, settings.pairing)
            if inputs.roi is not None and task == "prepare":
                write_roi(self._file("roi", ".mrk.json", field="roi"), box_of_roi_node(inputs.roi), "ROI")

    def write(self) -> Iterator[float]:
        """Write the volumes and masks.

        Yields
        ------
        float
            How much is written, 0 to 1.

        Raises
        ------
        InputError
            A node that was removed meanwhile, or whose voxels cannot be used.
        """
        yield from in_turn([self._write_role(role) for role in ROLES])

    def _write_role(self, role: Role) -> Iterator[float]:
        yield 0.0
        volume_node = self._present(role)
        yield from shares(write_nrrd(self._file(role, ".nrrd", field=role), slabs_of_node(volume_node)), 0.0, 0.7)
        for part_role, field in self._parts(role):
            parts = mask_slabs(
                self._present(part_role),
                volume_node,
                segments=getattr(self.settings, part_role.replace("_parts", "") + "_segments"),
                outside=getattr(self.settings, f"{part_role}_outside", False),
            )
            yield from shares(write_nrrd(self._file(part_role, ".nrrd", field=field), parts), 0.7, 1.0)

    def _parts(self, role: Role) -> list[tuple[str, str]]:
        """Segmentations and label maps that go with a volume, each with its field of the request."""
        if self.task == "check":
            return []
        found = [(f"{role}_mask", _MASK_FIELDS[role])] if self.settings.masks else []
        if role == "fixed" and (self.task == "region" or "roi" not in self._nodes):
            found.append(("region_parts", "segment"))
        return [(part_role, field) for part_role, field in found if part_role in self._nodes]

    @property
    def arguments(self) -> list[str]:
        """Of the command, which writes nothing outside the folder."""
        if self.task == "check":
            volumes = [self._fields[role] for role in ROLES]
            return ["--events", "check", *volumes, "--json", str(self._result_file)]
        return super().arguments

    def job(self) -> Job:
        """The request, which writes nothing outside the folder; once everything is written."""
        fields: dict[str, Any] = {"margin_mm": self.settings.margin_mm, "isotropic_mm": self.settings.isotropic_mm}
        for role, field in _MASK_FIELDS.items():
            fields[field] = "auto" if self.settings.masks and role in self.settings.automatic_masks else "none"
        if self.task == "region":
            fields["only_region"] = True
        elif self.settings.bias_correct:
            both = len(self.settings.bias_correct) == len(ROLES)
            fields["bias_correct"] = "both" if both else self.settings.bias_correct[0]
        outputs = PreprocessOutputs(output_dir=str(self._output), json=str(self._result_file))
        return Job("preprocess", PreprocessRequest(**{**fields, **self._fields}), outputs)

    def read(self) -> Iterator[float]:
        """Read the result.

        Yields
        ------
        float
            How much is read, 0 to 1.
        """
        yield 0.0
        content = self._content()
        if self.task == "check":
            return
        region = content["region"]
        self._region = Region(_box(region["fixed"]), _box(region["moving"]), region["words"])
        self._fixed_to_moving_lps = np.array(content["prealignment"]["fixed_to_moving_lps"])
        self._facts = tuple(self.named(fact) for fact in content["facts"])
        if self.task == "region":
            return
        names: list[str] = [*ROLES]
        names += [f"{role}-mask" for role in ROLES if self.settings.masks]
        names += [f"{role}-bias-field" for role in self.settings.bias_correct]
        volumes: dict[str, Volume] = {}
        for number, name in enumerate(names):
            reading = _volume_in_steps(self._output / f"{name}.nrrd")
            volumes[name] = yield from shares(reading, number / len(names), (number + 1) / len(names))
        parts = [
            PreparedVolume(volumes[role], volumes.get(f"{role}-mask"), volumes.get(f"{role}-bias-field"))
            for role in ROLES
        ]
        self._prepared = Preprocessed(parts[0], parts[1], self._region, self._facts)

    def findings(self) -> tuple[NodeFinding, ...]:
        """What was noticed about the voxels: the result of the task ``"check"``."""
        content = self._content()
        found: list[NodeFinding] = []
        for role, report in zip(ROLES, content["volumes"], strict=True):
            found += with_remedies(role, self.node_names[role], self._findings(report["findings"]))
        both = f"{self.node_names['fixed']}, {self.node_names['moving']}"
        return (*found, *with_remedies(None, both, self._findings(content["pair"])))

    def _findings(self, content: list[dict[str, Any]]) -> tuple[Finding, ...]:
        return tuple(_renamed_finding(each, self.named) for each in content)

    def finish_region(self, scene: Any) -> RegionNodes:
        """Add the result of the task ``"region"`` to a scene.

        Raises
        ------
        InputError
            A volume was removed or moved meanwhile; the scene is as it was.
        """
        fixed, moving = self._both_in_place()
        return add_region(
            scene,
            self._region,
            self._fixed_to_moving_lps,
            fixed_node=fixed,
            moving_node=moving,
            roi_node=self.node("roi"),
            prealignment_node=self.node("initial_transform"),
            facts=self._facts,
        )

    def finish(self, scene: Any) -> PreparedNodes:
        """Add the result of the task ``"prepare"`` to a scene.

        Raises
        ------
        InputError
            A volume was removed or moved meanwhile; the scene is as it was.
        """
        assert self._prepared is not None
        fixed, moving = self._both_in_place()
        return add_prepared(
            scene,
            self._prepared,
            self._fixed_to_moving_lps,
            fixed_node=fixed,
            moving_node=moving,
            roi_node=self.node("roi"),
            prealignment_node=self.node("initial_transform"),
        )

    def _both_in_place(self) -> list[Any]:
        """Both volumes; what was found holds for where they lay."""
        nodes = [self._present(role) for role in ROLES]
        for name in self.moved_meanwhile():
            raise InputError(
                name, "it was moved while the volumes were looked at", "Try again; nothing was added to the scene."
            )
        return nodes

    def is_about(self, fixed_node: Any, moving_node: Any) -> bool:
        """Whether these are the volumes of the job."""
        nodes = zip(ROLES, (fixed_node, moving_node), strict=True)
        return all(node is not None and node is self.node(role) for role, node in nodes)

    def _content(self) -> dict[str, Any]:
        return dict(json.loads(self._result_file.read_text(encoding="utf-8")))


def preprocess_nodes(
    scene: Any,
    fixed_node: Any,
    moving_node: Any,
    *,
    initial_transform_node: Any = None,
    fixed_landmarks_node: Any = None,
    moving_landmarks_node: Any = None,
    pairing: Pairing = "order",
    roi_node: Any = None,
    segmentation_node: Any = None,
    segments: Sequence[str] | None = None,
    margin_mm: float = DEFAULT_MARGIN_MM,
    automatic_masks: tuple[Role, ...] = ROLES,
    fixed_mask_node: Any = None,
    moving_mask_node: Any = None,
    fixed_mask_segments: Sequence[str] | None = None,
    moving_mask_segments: Sequence[str] | None = None,
    fixed_mask_outside: bool = False,
    moving_mask_outside: bool = False,
    bias_correct: tuple[Role, ...] = (),
    isotropic_mm: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    cancel: threading.Event | None = None,
) -> PreparedNodes:
    """Cut two volumes to what both show, mask, correct and resample them.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the new nodes; nothing else in it changes.
    fixed_node, moving_node : vtkMRMLScalarVolumeNode
        The volumes, under any parents.
    initial_transform_node : vtkMRMLTransformNode, optional
        Linear; moves the moving volume, from where it lies, towards the fixed one.
    fixed_landmarks_node, moving_landmarks_node : vtkMRMLMarkupsNode, optional
        Or the rigid fit of these; both or none. Without either, all poses are searched.
    pairing : str
        How the landmarks are paired: ``"order"``, ``"label"`` or ``"auto"``.
    roi_node : vtkMRMLMarkupsROINode, optional
        What to cut to, in the fixed volume.
    segmentation_node : vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode, optional
        Or what to cut to with the margin. Without either, what both volumes show within the masks, with the margin.
    segments : sequence of str, optional
        Of the segmentation, by identifier or name; by default all visible ones.
    margin_mm : float
        Around the region that is found here.
    automatic_masks : tuple of str
        ``"fixed"``, ``"moving"``: make a mask there where none is given.
    fixed_mask_node, moving_mask_node : vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode, optional
        What counts of each volume: inside the segments, or where the label map is above zero.
    fixed_mask_segments, moving_mask_segments : sequence of str, optional
        Identifiers or names of segments; by default all visible ones. Of segmentations only.
    fixed_mask_outside, moving_mask_outside : bool
        Everything counts but what the mask marks.
    bias_correct : tuple of str
        ``"fixed"``, ``"moving"``: whose bias field is taken out.
    isotropic_mm : float, optional
        Resample both to cubic voxels of this size.
    on_progress, on_warning : callable, optional
        Called as the run goes on.
    cancel : threading.Event, optional
        Set it to stop.

    Returns
    -------
    PreparedNodes
        New volumes, masks and fields; the ROI and the prealignment that were given, or new ones.

    Raises
    ------
    InputError
        A node that cannot be used, by name; nothing was added to the scene.
    Cancelled
        Likewise.
    """
    if roi_node is not None and segmentation_node is not None:
        raise InputError(
            roi_node.GetName(), f"given together with {segmentation_node.GetName()}", "Leave one of them out."
        )
    inputs = Inputs(
        fixed_node,
        moving_node,
        initial_transform_node,
        fixed_landmarks_node,
        moving_landmarks_node,
        fixed_mask_node,
        moving_mask_node,
        roi_node,
        region_parts=segmentation_node,
    )
    settings = Settings(
        margin_mm=margin_mm,
        automatic_masks=automatic_masks,
        fixed_mask_segments=fixed_mask_segments,
        moving_mask_segments=moving_mask_segments,
        region_segments=segments,
        fixed_mask_outside=fixed_mask_outside,
        moving_mask_outside=moving_mask_outside,
        bias_correct=bias_correct,
        isotropic_mm=isotropic_mm,
        pairing=pairing,
    )
    with tempfile.TemporaryDirectory() as folder:
        job = PreprocessJob(inputs, settings, Path(folder), "prepare")
        job.run_here(Context.of_callbacks(on_progress, on_warning, cancel))
        return job.finish(scene)


def find_region_nodes(
    scene: Any,
    fixed_node: Any,
    moving_node: Any,
    *,
    segmentation_node: Any = None,
    segments: Sequence[str] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    cancel: threading.Event | None = None,
    **options: Any,
) -> RegionNodes:
    """Find what both volumes show, as a ROI in the fixed one that can be edited.

    Parameters
    ----------
    scene, fixed_node, moving_node, segmentation_node, segments, on_progress, on_warning, cancel
        As for :func:`preprocess_nodes`.
    **options
        Likewise, but for those of the bias field and the voxel size. A ``roi_node`` that was found here before is set
        anew.

    Returns
    -------
    RegionNodes
        Give both nodes to :func:`preprocess_nodes`.

    Raises
    ------
    InputError
        As :func:`preprocess_nodes`.
    """
    nodes = {name.removesuffix("_node"): options.pop(name) for name in [*options] if name.endswith("_node")}
    inputs = Inputs(fixed_node, moving_node, region_parts=segmentation_node, **nodes)
    with tempfile.TemporaryDirectory() as folder:
        job = PreprocessJob(inputs, Settings(region_segments=segments, **options), Path(folder), "region")
        job.run_here(Context.of_callbacks(on_progress, on_warning, cancel))
        return job.finish_region(scene)


def _volume_in_steps(path: Path) -> Generator[float, None, Volume]:
    """Read a file of the command's own; yields how much is read."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    grid = grid_of_header(reader)
    # An image of one voxel knows the type of the array.
    kind = sitk.GetArrayViewFromImage(sitk.Image([1, 1, 1], reader.GetPixelID())).dtype
    voxels = np.empty(grid.size[::-1], dtype=kind)
    yield from read_gzip_nrrd(path, voxels)
    image = yield from shares(in_thread(lambda: sitk.GetImageFromArray(voxels)), 1.0)
    grid.place(image)
    return Volume(image, path.stem)


def _box(content: dict[str, Any]) -> OrientedBox:
    return OrientedBox(*(np.array(content[key]) for key in ("center_lps", "axes_lps", "size_mm")))


def _renamed_finding(content: dict[str, Any], named: Callable[[str], str]) -> Finding:
    return Finding(content["code"], content["severity"], named(content["message"]), named(content["remedy"]))
