"""The volumes that one press of the button registers, one after the other, and what becomes of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...core.errors import InputError, RegistrationError
from ...core.grid import VolumeGrid
from ...mrml.moved_nodes import SceneChange, check_output
from ...mrml.registration_job import Inputs, RegistrationJob, Settings
from ...mrml.structures_job import StructuresJob
from ...register.verdict.trust import least_trusted
from ..common.texts import problem_words
from . import texts

__all__ = ["Series"]


@dataclasses.dataclass(frozen=True, eq=False)
class _Result:
    node: Any
    content: dict[str, Any]


class Series:
    """Makes the jobs of one press of the button, and gathers what they give.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the results.
    inputs : Inputs
        With the first of the moving volumes.
    further : sequence of vtkMRMLScalarVolumeNode
        The other moving volumes.
    settings : Settings
        The same for all.
    output : vtkMRMLTransformNode or None
        Gets the result of the first moving volume; None for a new node, as the others get.
    apply : bool
        Put each moving volume under its result.
    carried : sequence of vtkMRMLTransformableNode
        Nodes that go with the first moving volume.

    Raises
    ------
    InputError
        The result cannot be written to the output.
    """

    def __init__(
        self,
        scene: Any,
        inputs: Inputs,
        further: Sequence[Any],
        settings: Settings,
        *,
        output: Any,
        apply: bool,
        carried: Sequence[Any],
    ) -> None:
        self._scene, self._inputs, self._settings = scene, inputs, settings
        self._apply = apply
        self._moving = [inputs.moving, *further]
        self._names = [str(node.GetName()) for node in self._moving]
        self._carried = {str(node.GetID()): str(node.GetName()) for node in carried}
        self._output_id = None
        if output is not None:
            self._check_output(output)
            self._output_id = str(output.GetID())
        self._begun = 0
        self._fixed_grid: VolumeGrid | None = None
        self._results: list[_Result] = []
        self._notes: list[str] = []
        self._problems: list[str] = []
        self.change = SceneChange(scene)

    @property
    def left(self) -> bool:
        """Whether there is a volume that no job was made for."""
        return self._begun < len(self._moving)

    @property
    def begun(self) -> bool:
        """Whether a job was made."""
        return self._begun > 0

    @property
    def subject(self) -> str:
        """What the next job is about, where there are several."""
        if len(self._moving) == 1:
            return ""
        return texts.one_of_several(self._names[self._begun], self._begun + 1, len(self._moving))

    def next_job(self, folder: Path) -> RegistrationJob:
        """Make the job of the next volume.

        Parameters
        ----------
        folder : Path
            An empty folder.

        Raises
        ------
        RegistrationError
            A node cannot be used. One that all volumes need, and that was removed or moved meanwhile, ends the series.
        """
        number, self._begun = self._begun, self._begun + 1
        moving = self._moving[number]
        if moving.GetScene() is None:
            raise InputError(self._names[number], *texts.removed_meanwhile())
        for node in vars(self._inputs).values():
            if node not in (None, self._inputs.moving) and node.GetScene() is None:
                raise self._end(node, texts.REMOVED, number)
        inputs = dataclasses.replace(self._inputs, moving=moving)
        make = RegistrationJob if inputs.structures is None else StructuresJob
        job = make(inputs, self._settings, folder)
        if self._fixed_grid is not None and not job.fixed_grid.coincides_with(self._fixed_grid):
            raise self._end(inputs.fixed, texts.MOVED, number)
        self._fixed_grid = job.fixed_grid
        return job

    def _end(self, node: Any, found: str, first_left_out: int) -> InputError:
        self._begun = len(self._moving)
        return InputError(node.GetName(), found, texts.not_registered(self._names[first_left_out:]))

    def take(self, job: RegistrationJob) -> None:
        """Add what a job gives to the scene, and move what is to be moved.

        Raises
        ------
        RegistrationError
            A volume was removed meanwhile; nothing was added.
        """
        moved = job.moved_meanwhile()
        output = self._output()
        if output is not None:
            self.change.overwrite(output)
        node, others, content = job.finish(self._scene, output)
        self._results.append(_Result(node, content))
        for added in others if node is output else (node, *others):
            self.change.add(added)
        moving = job.node("moving")
        if not job.moves_all:
            self._notes.append(texts.not_combined(node.GetName(), content["not_combined"]))
        elif self._apply and not moved:
            self.change.apply(node, moving)
            if self._begun == 1:
                self._apply_to_carried(node)
        elif self._apply:
            self._notes.append(texts.volume_moved(moved[0]))

    def _check_output(self, output: Any) -> None:
        """Refuse an output that the result cannot be written to; nodes that were removed do not count."""
        carried = [self._scene.GetNodeByID(identifier) for identifier in self._carried]
        nodes = [*vars(self._inputs).values(), *self._moving[1:], *carried]
        check_output(output, *[node for node in nodes if node is not None and node.GetScene() is not None])

    def _output(self) -> Any:
        """The chosen node, for the first volume; None, with a note, where it cannot take the result any more."""
        if self._begun > 1 or self._output_id is None:
            return None
        output = self._scene.GetNodeByID(self._output_id)
        if output is None:
            self._notes.append(texts.OUTPUT_REMOVED)
            return None
        try:
            self._check_output(output)
        except InputError as error:
            self._notes.append(texts.output_refused(error))
            return None
        return output

    def _apply_to_carried(self, result_node: Any) -> None:
        there = {identifier: self._scene.GetNodeByID(identifier) for identifier in self._carried}
        for node in there.values():
            if node is not None:
                self.change.apply(result_node, node)
        gone = [self._carried[identifier] for identifier, node in there.items() if node is None]
        if gone:
            self._notes.append(texts.carried_skipped(gone))

    def miss(self, error: RegistrationError) -> None:
        """Take note that a volume has no result."""
        self._problems.append(problem_words(error))

    def cancel(self) -> None:
        """Take back what was added so far."""
        self.change.undo()

    @property
    def results(self) -> list[Any]:
        """The transforms that are still in the scene, in the order of the volumes."""
        return [one.node for one in self._there()]

    @property
    def worst(self) -> Any:
        """The one of these that is trusted least; None where there is none."""
        there = self._there()
        judged = [one for one in there if one.content.get("verdict") is not None]
        if judged:
            return judged[least_trusted([one.content["verdict"] for one in judged])].node
        return there[0].node if there else None

    @property
    def words(self) -> str | None:
        """What is to be said at the end, or None."""
        words = [*self._notes, *self._problems]
        if len(self._moving) == 1:
            return " ".join(words) or None
        there = self._there()
        lines = [texts.verdict_on(one.node.GetName(), one.content) for one in there]
        shown = [] if len(there) <= 1 else [texts.trusted_least(self.worst.GetName())]
        return "\n".join([*lines, *shown, *words])

    @property
    def has_problem(self) -> bool:
        """Whether what is to be said needs attention."""
        failed = any((one.content.get("verdict") or {}).get("word") == "failed" for one in self._there())
        return bool(self._notes or self._problems or (failed and len(self._moving) > 1))

    def _there(self) -> list[_Result]:
        return [one for one in self._results if one.node.GetScene() is not None]
