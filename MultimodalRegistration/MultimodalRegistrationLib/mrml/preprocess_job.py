"""Looking at and preparing volume nodes in another process: what it is handed over, and what becomes of its result.

The scene changes only when a result is added, so a job that is cancelled or fails leaves it as it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk

from ..cli.jobs import Job
from ..core.box import OrientedBox
from ..core.errors import InputError
from ..core.exit_codes import ExitCode
from ..core.points import Pairing
from ..core.volume import Volume
from ..io.roi import write_roi
from ..io.voxel_source import grid_of_header
from ..preprocess.findings import Finding
from ..preprocess.region import DEFAULT_MARGIN_MM, Region
from ..preprocess.request import PreprocessOutputs, PreprocessRequest
from ..preprocess.run import PreparedVolume, Preprocessed
from ..preprocess.steps import ROLES, Role
from .child_job import in_turn
from .prepared_nodes import PreparedNodes, RegionNodes, add_prepared, add_region
from .preprocess import refuse_wrong_kinds
from .registration_inputs import Inputs as PairInputs
from .roi import box_of_roi_node
from .segments import segment_slabs
from .steps import in_thread
from .volume_findings import NodeFinding, with_remedies
from .volume_pair_job import VolumePairJob
from .voxel_slabs import read_gzip_nrrd, slabs_of_node, write_nrrd

__all__ = ["Inputs", "PreprocessJob", "Settings", "Task"]

Task = Literal["check", "region", "prepare"]


@dataclass(frozen=True, eq=False)
class Inputs(PairInputs):
    """The nodes of a job; see :func:`~MultimodalRegistrationLib.mrml.preprocess.preprocess_nodes`.

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
    bias_correct : tuple of str
        ``"fixed"``, ``"moving"``.
    isotropic_mm : float or None
        Cubic voxels of this size.
    pairing : str
        Of the landmarks.
    """

    margin_mm: float = DEFAULT_MARGIN_MM
    masks: bool = True
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
        slabs = slabs_of_node(self._present(role))
        for share in write_nrrd(self._file(role, ".nrrd", field=role), slabs):
            yield 0.7 * share
        for part_role, field in self._parts(role):
            node = self._present(part_role)
            is_segmentation = node.IsA("vtkMRMLSegmentationNode")
            parts = segment_slabs(node, slabs.grid) if is_segmentation else slabs_of_node(node, nearest=True)
            for share in write_nrrd(self._file(part_role, ".nrrd", field=field), parts):
                yield 0.7 + 0.3 * share

    def _parts(self, role: Role) -> list[tuple[str, str]]:
        """Segmentations and label maps that go with a volume, each with its field of the request."""
        if self.task == "check":
            return []
        found = [(f"{role}_mask", "mask" if role == "fixed" else "moving_mask")] if self.settings.masks else []
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
        if not self.settings.masks:
            fields["mask"] = "none"
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
            for share, volume in _volume_in_steps(self._output / f"{name}.nrrd"):
                yield (number + share) / len(names)
                if volume is not None:
                    volumes[name] = volume
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


def _volume_in_steps(path: Path) -> Iterator[tuple[float, Volume | None]]:
    """Read a file of the command's own: how much is read, and in the end the volume."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    grid = grid_of_header(reader)
    # An image of one voxel knows the type of the array.
    kind = sitk.GetArrayViewFromImage(sitk.Image([1, 1, 1], reader.GetPixelID())).dtype
    voxels = np.empty(grid.size[::-1], dtype=kind)
    for share in read_gzip_nrrd(path, voxels):
        yield share, None
    copying = in_thread(lambda: sitk.GetImageFromArray(voxels))
    while True:
        try:
            next(copying)
        except StopIteration as end:
            image = end.value
            break
        yield 1.0, None
    grid.place(image)
    yield 1.0, Volume(image, path.stem)


def _box(content: dict[str, Any]) -> OrientedBox:
    return OrientedBox(*(np.array(content[key]) for key in ("center_lps", "axes_lps", "size_mm")))


def _renamed_finding(content: dict[str, Any], named: Callable[[str], str]) -> Finding:
    return Finding(content["code"], content["severity"], named(content["message"]), named(content["remedy"]))
