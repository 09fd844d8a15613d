"""Registration with nodes in and a transform node out: the way of the panel, in this process."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..cli.jobs import Context
from ..core.progress import Progress
from ..core.request import accepts_fields
from ..register.request import LANDMARK_FIELDS, OUTPUT_FIELDS, STAGE_FILES, RegisterRequest, Stage
from .registration_inputs import Inputs, Settings
from .registration_job import RegistrationJob
from .scene_result import SceneRegistration
from .structures_job import StructuresJob

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
