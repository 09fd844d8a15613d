"""The result of a registration in a scene: its node, its verdict, and the report on it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cli.jobs import Context
from ..core.errors import InputError
from ..core.spatial import SpatialTransform
from .spatial import spatial_transform_of_node
from .transforms import (
    SETTINGS_ATTRIBUTE,
    add_file_transform_node,
    add_linear_transform_node,
    volumes_of_result,
)
from .voxel_slabs import slabs_of_node


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
        from .quality_job import QualityInputs, QualityJob

        with tempfile.TemporaryDirectory() as temporary:
            job = QualityJob(QualityInputs(*volumes_of_result(self.node), (self.node,)), Path(temporary))
            job.output_folder = Path(folder)
            job.carry_out(Context.of_callbacks())
        return Path(folder) / "report.html"


def result_name(fixed_node: Any, moving_node: Any) -> str:
    """What a result is called where no name is given."""
    return f"{moving_node.GetName()} to {fixed_node.GetName()}"


def add_registration_node(
    scene: Any,
    content: dict[str, Any],
    file: Path,
    *,
    fixed_node: Any,
    moving_node: Any,
    name: str | None = None,
    node: Any = None,
) -> Any:
    """Add the transform of a registration to a scene.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node.
    content : dict
        From :func:`~MultimodalRegistrationLib.register.report.result_content`; kept in the node.
    file : Path
        The transform; read where it is not linear, and not needed afterwards.
    fixed_node, moving_node : vtkMRMLScalarVolumeNode
        Referenced by the node.
    name : str, optional
        Of the node; by default of the two volumes.
    node : vtkMRMLTransformNode, optional
        Gets the result in place of a new node, and keeps its name.

    Returns
    -------
    vtkMRMLTransformNode
        Linear, unless a stage bends. Its parent is the world.
    """
    common: dict[str, Any] = {
        "name": name or result_name(fixed_node, moving_node),
        "fixed_node": fixed_node,
        "moving_node": moving_node,
        "settings": content,
        "node": node,
    }
    if content["transform"]["type"] == "linear":
        return add_linear_transform_node(scene, content["transform"]["moving_to_fixed_ras"], **common)
    return add_file_transform_node(scene, file, **common)
