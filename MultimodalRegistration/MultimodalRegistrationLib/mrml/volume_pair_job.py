"""What tasks on two volumes that another process carries out have in common: where they lie, and where one starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.grid import VolumeGrid
from ..core.points import Pairing
from ..io.landmarks import write_landmarks
from ..io.transforms import write_linear_transform
from .child_job import ChildJob
from .landmarks import landmarks_of_node
from .prealign import pairs_of_nodes
from .registration_inputs import Inputs
from .transforms import start_from_node
from .voxel_slabs import slabs_of_node

__all__ = ["VolumePairJob"]


class VolumePairJob(ChildJob):
    """A task on two volumes that may start at a transform or at landmarks."""

    def __init__(self, folder: Path, nodes: Mapping[str, Any]) -> None:
        super().__init__(folder, nodes)
        self._places: dict[str, VolumeGrid] = {}
        """Where volumes lay in the world when the job was made, by role."""

    def moved_meanwhile(self) -> list[str]:
        """Names of the volumes that are still there, but not where they lay when the job was made."""
        return [
            self.node_names[role]
            for role, grid in self._places.items()
            if (node := self.node(role)) is not None and not slabs_of_node(node).grid.coincides_with(grid)
        ]

    def _add_start(self, inputs: Inputs, pairing: Pairing) -> None:
        if inputs.initial_transform is not None:
            path = self._file("initial_transform", ".h5", field="initial_transform")
            write_linear_transform(path, start_from_node(inputs.initial_transform))
        lists = {"fixed_landmarks": inputs.fixed_landmarks, "moving_landmarks": inputs.moving_landmarks}
        # Paired here for the sake of an early message only.
        if pairs_of_nodes(*lists.values(), how=pairing) is not None:
            for name, node in lists.items():
                path = self._file(name, ".mrk.json", field=name)
                write_landmarks(path, landmarks_of_node(node))
            self._fields["pairing"] = pairing
