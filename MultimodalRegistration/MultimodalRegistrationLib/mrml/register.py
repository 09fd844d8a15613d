"""Registration with nodes in and a transform node out: the way of the panel, in this process."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cli.jobs import Context
from ..core.errors import InputError
from ..core.progress import Progress
from ..core.request import accepts_fields
from ..core.spatial import SpatialTransform
from ..register.request import LANDMARK_FIELDS, OUTPUT_FIELDS, STAGE_FILES, RegisterRequest, Stage
from .registration_job import Inputs, RegistrationJob, Settings
from .spatial import spatial_transform_of_node
from .structures_job import StructuresJob
from .transforms import (
    SETTINGS_ATTRIBUTE,
    volumes_of_result,
)
from .volumes import slabs_of_node


@dataclass(frozen=True, eq=False)
class SceneRegistration:
    """A registration of nodes.

    Parameters
    ----------
    node : vtkMRMLTransformNode
        Maps the moving volume, from where it lay in the world, onto the fixed one; references both and keeps the
        settings. Apply it with :func:`~MultimodalRegistrationLib.mrml.transforms.apply_to_moving`.
    others : tuple of vtkMRMLNode
        The resampled volume and transforms of single structures, where they were asked for.
    content : dict
        Everything about the run, as in ``RESULT.json`` of the command, with the names of nodes.
    """

    node: Any
    others: tuple[Any, ...]
    content: dict[str, Any]

    @classmethod
    def of_node(cls, node: Any) -> SceneRegistration:
        """The result that a transform node keeps.

        Raises
        ------
        InputError
            The node is no result of a registration.
        """
        settings = node.GetAttribute(SETTINGS_ATTRIBUTE)
        if settings is None:
            raise InputError(node.GetName(), "this is no result of a registration", "Choose one.")
        return cls(node, (), json.loads(settings))

    @property
    def verdict(self) -> dict[str, Any] | None:
        """Word, against, facts, estimated_error_mm; None where the result was not judged."""
        return self.content.get("verdict")

    @property
    def transform(self) -> SpatialTransform:
        """The transform as the node holds it now, from points of the fixed volume to the moving one."""
        fixed, _moving = volumes_of_result(self.node)
        return spatial_transform_of_node(self.node, slabs_of_node(fixed).grid)[0]

    def report(self, folder: Path | str) -> Path:
        """Measure the result, and write the report into a new or empty folder; returns the page."""
        # Loaded with the result of every registration otherwise.
        from .quality import assess_nodes

        return assess_nodes(*volumes_of_result(self.node), [self.node]).report(folder)


# Nodes take the place of files, and the scene that of outputs.
_FILES = {"fixed", "moving", "then", "initial_transform", *LANDMARK_FIELDS, *STAGE_FILES, *OUTPUT_FIELDS} - {"pairing"}


@accepts_fields(RegisterRequest, without=_FILES)
def register_nodes(
    scene: Any,
    fixed_node: Any,
    moving_node: Any,
    *,
    then: Sequence[str | Stage] = (),
    initial_transform_node: Any = None,
    fixed_landmarks_node: Any = None,
    moving_landmarks_node: Any = None,
    fixed_mask_node: Any = None,
    moving_mask_node: Any = None,
    fixed_mask_segments: Sequence[str] | None = None,
    moving_mask_segments: Sequence[str] | None = None,
    fixed_mask_outside: bool = False,
    moving_mask_outside: bool = False,
    roi_node: Any = None,
    structures_node: Any = None,
    resampled_volume: bool = False,
    output_node: Any = None,
    threads: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    cancel: threading.Event | None = None,
    **options: Any,
) -> SceneRegistration:
    """Register one volume node to another, and wait for it.

    Everything is computed in world coordinates: parent transforms of the inputs are honoured, hardened or not.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the results; nothing else in it changes.
    fixed_node, moving_node : vtkMRMLScalarVolumeNode
        The volumes.
    then : sequence of str or Stage
        Presets of further stages, on the result of those before.
    initial_transform_node : vtkMRMLTransformNode, optional
        Linear; moves the moving volume, from where it lies, towards the fixed one.
    fixed_landmarks_node, moving_landmarks_node : vtkMRMLMarkupsNode, optional
        The run starts at their rigid fit; both or none.
    fixed_mask_node, moving_mask_node : vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode, optional
        What is used of the volume: inside the segments, or where the label map is above zero.
    fixed_mask_segments, moving_mask_segments : sequence of str, optional
        Identifiers or names of segments; by default all visible ones. Of segmentations only.
    fixed_mask_outside, moving_mask_outside : bool
        Use everything but what the mask marks.
    roi_node : vtkMRMLMarkupsROINode, optional
        Only what lies in it is used of the fixed volume.
    structures_node : vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode, optional
        Of the fixed volume; each segment moves on its own.
    resampled_volume : bool
        Also make the moving volume on the fixed grid.
    output_node : vtkMRMLTransformNode, optional
        Gets the result in place of a new node.
    threads : int, optional
        By default all usable cores, or for an engine as many as leave the result reproducible.
    on_progress, on_warning : callable, optional
        Called as the run goes on.
    cancel : threading.Event, optional
        Set it to stop.
    **options
        Fields of :class:`~MultimodalRegistrationLib.register.request.RegisterRequest`, as below.

    Returns
    -------
    SceneRegistration
        The transform node, which maps the moving volume, from where it lies in the world, onto the fixed one, with the
        verdict and everything else that is known.

    Raises
    ------
    RegistrationError
        Names the node, what was found and the remedy; the scene is as it was.
    """
    stages = tuple(stage if isinstance(stage, Stage) else Stage.from_text(stage) for stage in then)
    inputs = Inputs(
        fixed_node,
        moving_node,
        initial_transform_node,
        fixed_landmarks_node,
        moving_landmarks_node,
        fixed_mask_node,
        moving_mask_node,
        roi_node,
        structures_node,
    )
    settings = Settings(
        {**options, "then": stages},
        resampled_volume,
        fixed_mask_segments,
        moving_mask_segments,
        fixed_mask_outside,
        moving_mask_outside,
    )
    kind = RegistrationJob if structures_node is None else StructuresJob
    with tempfile.TemporaryDirectory() as folder:
        job = kind(inputs, settings, Path(folder))
        job.threads = threads
        job.run_here(Context.of_callbacks(on_progress, on_warning, cancel))
        node, others, content = job.finish(scene, output_node)
    return SceneRegistration(node, tuple(others), content)
