"""The upper part of the panel: pairs, what stands out about them, models, errors, targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...landmarks.findings import Finding
from ...landmarks.models import MIN_PAIRS
from ...mrml.live_pairs import LivePairs, exchange_points, jump_to_point, select_pair
from . import texts
from .appraising import Appraising
from .rows_view import ListedPoint
from .tables import PairTable, RowNote, show_evidence, show_targets
from .watch import PointWatch

__all__ = ["PointsView"]

# Other parameters change nothing about what is said.
_JUDGED = (
    *("fixedPoints", "movingPoints", "fixedTargets", "movingTargets", "pairing", "model", "mirrorAllowed"),
    *("stiffness", "localisationError", "fixedVolume", "outputTransform"),
)


class PointsView:
    """Shows the points of a parameter node and what can be said about them, and follows them.

    Parameters
    ----------
    ui : namespace
        Widgets of the .ui file by name.
    on_judged : callable
        Called after everything was judged anew.
    show_in_rows : callable
        Called with a list and an index, or None, for the fixed and for the moving side; True where rows of views show
        these points, each its own.
    """

    def __init__(
        self, ui: Any, on_judged: Callable[[], None], show_in_rows: Callable[[ListedPoint, ListedPoint], bool]
    ) -> None:
        self._ui = ui
        self._on_judged = on_judged
        self._show_in_rows = show_in_rows
        self._parameters: Any = None
        self._chosen: tuple[Any, ...] = ()
        self.appraising: Appraising | None = None
        self._table = PairTable(ui.pairTable, self._use, self._show_point)
        self._watch = PointWatch(ui.pairTable, self._follow, self._judge)
        ui.targetTable.connect("cellClicked(int,int)", self._show_target)
        ui.findingsLabel.connect("linkActivated(QString)", self._exchange)
        for places in self._place_widgets():
            places.setPlaceMultipleMarkups(places.ForcePlaceMultipleMarkups)
        self._clear()

    def _place_widgets(self) -> tuple[Any, ...]:
        ui = self._ui
        return (ui.fixedPlaceWidget, ui.movingPlaceWidget, ui.fixedTargetPlaceWidget, ui.movingTargetPlaceWidget)

    def show(self, parameters: Any) -> None:
        """Show what a parameter node holds, and judge it at once; None shows nothing."""
        before = self._parameters
        self._parameters = parameters
        nodes = (None,) * 4
        if parameters is not None:
            nodes = (
                parameters.fixedPoints,
                parameters.movingPoints,
                parameters.fixedTargets,
                parameters.movingTargets,
            )
        for places, node in zip(self._place_widgets(), nodes, strict=True):
            if places.currentNode() is not node:
                places.setCurrentNode(node)
        self._watch.watch(nodes)
        if parameters is None or texts.missing_words(*nodes[:2]) is not None:
            self.appraising = None
            self._clear()
            return
        chosen = tuple(getattr(parameters, name) for name in _JUDGED)
        if self.appraising is None or parameters is not before:
            self.appraising = Appraising(parameters)
        elif chosen == self._chosen:
            return
        self._chosen = chosen
        self._watch.settle_now()

    def stop(self) -> None:
        """Follow the points no more, and let the mouse go."""
        self._watch.stop()
        for places in self._place_widgets():
            places.setPlaceModeEnabled(False)

    def missing(self) -> str | None:
        """What is missing before the points can be used; None when nothing is."""
        parameters = self._parameters
        if parameters is None:
            return texts.missing_words(None, None)
        fixed, moving = parameters.fixedPoints, parameters.movingPoints
        words = texts.missing_words(fixed, moving)
        judged = self.appraising
        if words is not None or judged is None or judged.live is None:
            return words
        model = parameters.model.model
        fewest = MIN_PAIRS["rigid" if model == "auto" else model]
        words = texts.few_words(fixed, moving, len(judged.live.pairs), fewest)
        if words is None and judged.problem is not None:
            words = texts.problem_words(judged.problem)
        if words is None and judged.appraisal is not None and judged.appraisal.refused is not None:
            words = texts.problem_words(judged.appraisal.refused)
        return words

    def _clear(self) -> None:
        ui = self._ui
        self._table.show_rows((), (), ())
        show_evidence(ui.evidenceTable, None)
        show_targets(ui.targetTable, None)
        labels = (ui.ownFitLabel, ui.leftOutLabel, ui.expectedLabel, ui.targetErrorLabel)
        for label in labels:
            label.text = texts.NO_VALUE
        ui.findingsLabel.text = texts.FIRST_STEPS
        ui.findingsLabel.visible = True
        ui.recommendationLabel.text = ""
        ui.recommendationLabel.visible = False
        self._show_headline("")

    def _show_headline(self, words: str) -> None:
        self._ui.headlineLabel.text = words
        self._ui.headlineLabel.visible = bool(words)

    def _follow(self) -> None:
        """A point moves: the errors at the points follow it."""
        judged = self.appraising
        if judged is None:
            return
        values = judged.own_fit()
        assert judged.live is not None
        self._show_rows(judged.live)
        self._table.show_own_fit(values)

    def _judge(self) -> None:
        judged = self.appraising
        if judged is not None:
            judged.judge()
            assert judged.live is not None
            self._show_rows(judged.live)
            self._show_judgement(judged, judged.live)
        self._on_judged()

    def _show_rows(self, live: LivePairs) -> None:
        labels, reasons = [], []
        for row in live.rows:
            fixed = "" if row.fixed_index is None else live.fixed.called(row.fixed_index).strip("'")
            moving = "" if row.moving_index is None else live.moving.called(row.moving_index).strip("'")
            labels.append(((_short(fixed, live.fixed.name), fixed), (_short(moving, live.moving.name), moving)))
            reasons.append(texts.row_words(row, live.fixed.name, live.moving.name))
        self._table.show_rows(live.rows, labels, reasons)

    def _show_judgement(self, judged: Appraising, live: LivePairs) -> None:
        ui, appraisal = self._ui, judged.appraisal
        fiducial = None if appraisal is None else appraisal.fiducial
        left_out = None if appraisal is None else appraisal.left_out
        findings = () if appraisal is None else appraisal.findings
        names = live.pairs.labels
        notes = [[] if pair is None else _notes(findings, names[pair], len(names)) for pair in judged.pair_of_row()]
        self._table.show_judgement(judged.by_row(fiducial), judged.by_row(left_out), notes)
        problem = [] if judged.problem is None else [texts.problem_words(judged.problem)]
        ui.findingsLabel.text = (
            texts.findings_html(findings, problem, _links(findings, live))
            if appraisal is not None or problem
            else texts.FIRST_STEPS
        )
        show_evidence(ui.evidenceTable, appraisal)
        result = None if appraisal is None else appraisal.result
        ui.recommendationLabel.text = "" if result is None else texts.recommendation_words(result.recommendation.words)
        ui.recommendationLabel.visible = result is not None
        ui.ownFitLabel.text = texts.own_fit_words(fiducial, len(live.pairs))
        ui.leftOutLabel.text = texts.NO_VALUE if appraisal is None else texts.left_out_words(left_out)
        ui.expectedLabel.text = texts.NO_VALUE if appraisal is None else texts.expected_words(appraisal)
        self._show_headline(texts.headline_words(appraisal))
        targets = None if result is None else result.targets
        ui.targetErrorLabel.text = texts.target_words(targets, judged.targets_problem)
        show_targets(ui.targetTable, targets)

    def _use(self, number: int, used: bool) -> None:
        judged = self.appraising
        if judged is None or judged.live is None:
            return
        parameters, row = self._parameters, judged.live.rows[number]
        select_pair(row, parameters.fixedPoints, parameters.movingPoints, selected=used)
        self._watch.settle_now()

    def _exchange(self, target: str) -> None:
        """The two pairs of an exchange, as the link names them, are put right on the moving side."""
        judged = self.appraising
        if judged is not None and judged.live is not None:
            first, second = (judged.live.pairs.moving_index[int(number)] for number in target.split(","))
            exchange_points(self._parameters.movingPoints, first, second)
            self._watch.settle_now()

    def _show_point(self, number: int, side: str) -> None:
        judged = self.appraising
        if judged is None or judged.live is None:
            return
        row, parameters = judged.live.rows[number], self._parameters
        if self._show_in_rows((parameters.fixedPoints, row.fixed_index), (parameters.movingPoints, row.moving_index)):
            return
        if row.moving_index is not None and (side == "moving" or row.fixed_index is None):
            jump_to_point(parameters.movingPoints, row.moving_index)
        elif row.fixed_index is not None:
            jump_to_point(parameters.fixedPoints, row.fixed_index)

    def _show_target(self, number: int, _column: int) -> None:
        judged = self.appraising
        result = None if judged is None or judged.appraisal is None else judged.appraisal.result
        if result is not None and result.targets is not None:
            pairs, parameters = result.targets.pairs, self._parameters
            fixed = (parameters.fixedTargets, pairs.fixed_index[number])
            if not self._show_in_rows(fixed, (parameters.movingTargets, pairs.moving_index[number])):
                jump_to_point(*fixed)


def _short(label: str, name: str) -> str:
    """A label without the name of its list, which Slicer puts before the number of each point."""
    rest = label.removeprefix(f"{name}-")
    return rest if rest.isdigit() else label


def _notes(findings: tuple[Finding, ...], name: str, count: int) -> list[RowNote]:
    """What was found about one pair; what holds for all pairs is said below the table only."""
    return [
        RowNote(words, one.severity, f"{one.message} {one.remedy}")
        for one in findings
        if name in one.points and (words := texts.finding_words(one.code)) and (len(one.points) < count or count < 3)
    ]


def _links(findings: tuple[Finding, ...], live: LivePairs) -> dict[str, str]:
    """What a click can do about a finding, by its code."""
    names = live.pairs.labels
    return {
        one.code: texts.exchange_link(",".join(str(names.index(name)) for name in one.points), live.moving.name)
        for one in findings
        if one.code == "swapped"
    }
