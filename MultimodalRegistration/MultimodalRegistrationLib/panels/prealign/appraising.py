"""From the points in the scene to everything that is said about them; no widgets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...core.errors import InputError
from ...landmarks.accuracy import PointErrors
from ...landmarks.evaluation import PairEvaluation, evaluate_pairs, fiducial_errors
from ...landmarks.models import ModelName
from ...mrml.live_pairs import LivePairs, match_nodes, points_over_volume, read_pairs, read_targets
from . import texts

__all__ = ["Appraising"]

_SAMPLES_PER_AXIS = 10
# Finding partners by position takes a second for thirty points, and nearly a minute for a hundred.
_MOST_MATCHED = 40


class Appraising:
    """The latest reading of the points and the latest judgement.

    Parameters
    ----------
    parameters : FiducialPrealignParameterNode
        What the user chose; both lists are there and differ.
    """

    def __init__(self, parameters: Any) -> None:
        self._parameters = parameters
        self._partners: dict[str, str] = {}
        self._matched: tuple[Any, ...] = ()
        self._match_problem: InputError | None = None
        self.live: LivePairs | None = None
        self.appraisal: PairEvaluation | None = None
        self.problem: InputError | None = None
        self.targets_problem: str | None = None
        self._model: ModelName = "rigid"

    def read(self) -> LivePairs:
        """Read the points."""
        parameters = self._parameters
        self.live = read_pairs(
            parameters.fixedPoints,
            parameters.movingPoints,
            how=parameters.pairing.how,
            partners=self._partners,
            without=parameters.outputTransform,
        )
        return self.live

    def own_fit(self) -> list[float | None]:
        """The fiducial errors of the points as they are now, row by row."""
        live, parameters = self.read(), self._parameters
        model = parameters.model.model
        errors = fiducial_errors(
            live.pairs,
            self._model if model == "auto" else model,
            stiffness_mm=parameters.stiffness,
            reflection=parameters.mirrorAllowed,
        )
        return self.by_row(errors)

    def judge(self) -> None:
        """Find everything that can be said."""
        parameters = self._parameters
        if parameters.pairing.how == "auto":
            self._match()
        live = self.read()
        self.problem = self._match_problem if parameters.pairing.how == "auto" else live.problem
        self.appraisal, self.targets_problem = None, None
        if len(live.pairs) == 0:
            return
        self.appraisal = evaluate_pairs(
            live.pairs,
            model=parameters.model.model,
            stiffness_mm=parameters.stiffness,
            reflection=parameters.mirrorAllowed,
            localisation_error_mm=parameters.localisationError or None,
            targets=self._targets(),
            over_fixed_lps=self._over_volume(),
            over_name=None if parameters.fixedVolume is None else parameters.fixedVolume.GetName(),
        )
        self._model = self.appraisal.model
        if self.appraisal.targets_refused is not None:
            self.targets_problem = texts.problem_words(self.appraisal.targets_refused)

    def by_row(self, errors: PointErrors | None) -> list[float | None]:
        """Errors of the pairs, put beside the rows; None where a row is not used."""
        assert self.live is not None
        values = iter(() if errors is None else errors.per_point_mm)
        return [next(values, None) if row.state == "used" else None for row in self.live.rows]

    def pair_of_row(self) -> list[int | None]:
        """Which pair each row is; None where a row is not used."""
        assert self.live is not None
        numbers = iter(range(len(self.live.rows)))
        return [next(numbers) if row.state == "used" else None for row in self.live.rows]

    def _match(self) -> None:
        """Find partners anew where points came, went, or were placed, selected or unselected; not for every move."""
        parameters = self._parameters
        nodes: Sequence[Any] = (parameters.fixedPoints, parameters.movingPoints)
        matched = (parameters.mirrorAllowed, *(_placed(node) for node in nodes))
        if matched == self._matched:
            return
        self._matched, self._match_problem = matched, None
        longest = max(nodes, key=lambda node: len(_placed(node)))
        if len(_placed(longest)) > _MOST_MATCHED:
            self._match_problem = InputError(longest.GetName(), *texts.too_many(len(_placed(longest))))
            return
        try:
            self._partners |= match_nodes(
                *nodes, mirrored_allowed=parameters.mirrorAllowed, without=parameters.outputTransform
            )
        except InputError as error:
            self._match_problem = error

    def _targets(self) -> Any:
        parameters = self._parameters
        fixed, moving = parameters.fixedTargets, parameters.movingTargets
        if fixed is None and moving is None:
            return None
        if fixed is None or moving is None:
            self.targets_problem = texts.targets_missing(fixed or moving)
            return None
        try:
            return read_targets(fixed, moving, without=parameters.outputTransform)
        except InputError as error:
            self.targets_problem = texts.problem_words(error)
            return None

    def _over_volume(self) -> Any:
        volume = self._parameters.fixedVolume
        if volume is None or volume.GetImageData() is None:
            return None
        return points_over_volume(volume, _SAMPLES_PER_AXIS, without=self._parameters.outputTransform)


def _placed(node: Any) -> tuple[str, ...]:
    """Identifiers of the points that a fit would use."""
    return tuple(
        node.GetNthControlPointID(i)
        for i in range(node.GetNumberOfControlPoints())
        if node.GetNthControlPointPositionStatus(i) == node.PositionDefined and node.GetNthControlPointSelected(i)
    )
