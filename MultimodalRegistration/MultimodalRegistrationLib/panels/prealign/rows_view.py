"""The fixed volume above and the moving one below, with one list of points in each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
import slicer
from slicer.util import VTKObservationMixin

from ...application.two_rows import ROW_VIEW_IDS, TwoRows
from ...landmarks.models import Fit
from ...mrml.linked_rows import Side, fit_as_shown
from ...mrml.live_pairs import placed_at
from ...mrml.views import ViewsOfNodes, leave_views
from ..common.buttons import offer, set_quietly
from ..common.texts import volumes_missing
from . import texts
from .appraising import Appraising

__all__ = ["ListedPoint", "RowsView"]

ListedPoint = tuple[Any, int | None]
_LISTS = ("fixedPoints", "movingPoints", "fixedTargets", "movingTargets")
_SIDES: tuple[Side, Side] = ("fixed", "moving")


class RowsView(VTKObservationMixin):  # type: ignore[misc]
    """Connects the button of the rows, and arms the placing of one list after the other.

    Parameters
    ----------
    ui : namespace
        Widgets of the .ui file by name.
    before_shown : callable
        Called without arguments before the rows are shown, to give back what else the views show.
    """

    def __init__(self, ui: Any, before_shown: Callable[[], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._ui, self._before_shown = ui, before_shown
        self._rows = TwoRows(self._layout_left)
        self._points_in_views = ViewsOfNodes()
        self._parameters: Any = None
        self._volumes: tuple[Any, Any] | None = None
        self._shown: tuple[Any, Any] | None = None
        self._judged: Appraising | None = None
        self._lists: tuple[Any, Any] | None = None
        # The application is in the middle of placing a point, or of a change of layout, when it tells about it.
        # Views have their sizes, which fitting them needs, only after that.
        self._arm_timer, self._leave_timer, self._fit_timer = (qt.QTimer(ui.rowsButton) for _ in range(3))
        for timer, called in (
            (self._arm_timer, self._arm),
            (self._leave_timer, self.leave),
            (self._fit_timer, self._rows.fit),
        ):
            timer.setSingleShot(True)
            timer.setInterval(0)
            timer.connect("timeout()", called)
        ui.rowsButton.connect("clicked(bool)", self._clicked)

    def update(self, parameters: Any, volumes: tuple[Any, Any] | None, judged: Appraising | None) -> None:
        """Bring the button and the rows up to date.

        Parameters
        ----------
        parameters : FiducialPrealignParameterNode or None
            What the user chose.
        volumes : tuple of two vtkMRMLScalarVolumeNode, or None
            Fixed and moving volume, where both can be shown.
        judged : Appraising or None
            The latest judgement of the points.
        """
        self._parameters, self._volumes, self._judged = parameters, volumes, judged
        missing = None
        if volumes is None:
            fixed, moving = (None, None) if parameters is None else (parameters.fixedVolume, parameters.movingVolume)
            missing = volumes_missing(fixed, moving, slicer.mrmlScene)
        offer(self._ui.rowsButton, texts.TWO_ROWS, missing if self._rows.available else texts.NO_VIEWS)
        if volumes is None:
            self._ui.rowsButton.enabled = False
            self.leave()
        elif self._rows.shown:
            self._refresh(volumes)
        if parameters is not None and not self._rows.shown:
            # Of a scene that was saved while the rows were shown.
            for node in (one for name in _LISTS if (one := getattr(parameters, name)) is not None):
                leave_views(node, ROW_VIEW_IDS)

    def leave(self) -> None:
        """Give back the layout, and show the points where they were shown before."""
        for timer in (self._arm_timer, self._leave_timer, self._fit_timer):
            timer.stop()
        set_quietly(self._ui.rowsButton, False)
        self.removeObservers()
        self._lists = self._shown = None
        self._points_in_views.give_back()
        self._rows.hide()

    def center(self, fixed: ListedPoint, moving: ListedPoint) -> bool:
        """Centre each row on its own point; False where there are no rows.

        Parameters
        ----------
        fixed, moving : tuple of vtkMRMLMarkupsNode or None, and int or None
            List and index of a point; where there is none or it is not placed, its row follows the other.
        """
        if self._rows.link is None:
            return False
        places: dict[Side, list[float]] = {}
        points: dict[Side, ListedPoint] = {"fixed": fixed, "moving": moving}
        for side, (node, index) in points.items():
            place = None if node is None or index is None else placed_at(node, index)
            if place is not None:
                places[side] = place
        self._rows.link.center(places)
        return True

    def _clicked(self, checked: bool) -> None:
        if checked and self._volumes is not None:
            self._before_shown()
            self._refresh(self._volumes)
        else:
            self.leave()

    def _refresh(self, volumes: tuple[Any, Any]) -> None:
        """Follow what was chosen and placed."""
        if volumes != self._shown:
            self._rows.show(*volumes)
            self._shown = volumes
            self._fit_timer.start()
        self._points_in_views.show_only_in(self._nodes_of_rows())
        self._watch()
        if self._rows.link is not None:
            self._rows.link.use(self._fit())

    def _nodes_of_rows(self) -> list[tuple[Any, Sequence[str]]]:
        """Lists of points and targets, and the views that show each; not one that is chosen on both sides."""
        parameters = self._parameters
        fixed = [node for node in (parameters.fixedPoints, parameters.fixedTargets) if node is not None]
        moving = [node for node in (parameters.movingPoints, parameters.movingTargets) if node is not None]
        above, below = ([node.GetID() for node in self._rows.slice_nodes(side)] for side in _SIDES)
        return [(node, above) for node in fixed if node not in moving] + [
            (node, below) for node in moving if node not in fixed
        ]

    def _fit(self) -> Fit | None:
        """The fit of the points where the views show them; None where there are too few."""
        parameters, judged = self._parameters, self._judged
        if judged is None or judged.live is None or judged.appraisal is None:
            return None
        if parameters.fixedPoints is None or parameters.movingPoints is None:
            return None
        return fit_as_shown(
            parameters.fixedPoints,
            parameters.movingPoints,
            judged.live.pairs,
            judged.appraisal.model,
            stiffness_mm=parameters.stiffness,
            reflection=parameters.mirrorAllowed,
        )

    def _watch(self) -> None:
        """Observe the lists that are placed."""
        lists = (self._parameters.fixedPoints, self._parameters.movingPoints)
        if lists == self._lists:
            return
        self.removeObservers()
        self._lists = lists
        if any(node is None for node in lists) or lists[0] is lists[1]:
            return
        for node in lists:
            self.addObserver(node, node.PointPositionDefinedEvent, self._placed)

    def _placed(self, _node: Any, _event: str) -> None:
        self._arm_timer.start()

    def _arm(self) -> None:
        """After a point was placed, place its partner; after that, the next fixed point."""
        if self._lists is None:
            return
        places = {"fixed": self._ui.fixedPlaceWidget, "moving": self._ui.movingPlaceWidget}
        if not any(widget.placeModeEnabled for widget in places.values()):
            return
        fixed, moving = (node.GetNumberOfDefinedControlPoints() for node in self._lists)
        following = places["moving" if moving < fixed else "fixed"]
        if not following.placeModeEnabled:
            following.setPlaceModeEnabled(True)

    def _layout_left(self) -> None:
        self._leave_timer.start()
