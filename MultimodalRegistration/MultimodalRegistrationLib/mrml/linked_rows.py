"""Two rows of slice nodes, of the fixed volume and of the moving one, that follow each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import vtk
from numpy.typing import NDArray
from slicer.util import VTKObservationMixin

from ..core.errors import RegistrationError
from ..core.frames import flip_points_lps_ras
from ..core.points import Pairs
from ..landmarks.models import MIN_PAIRS, Fit, ModelName, fit_model, is_determined
from .views import planes_cross_at

Side = Literal["fixed", "moving"]
# Smaller steps are rounding.
_STEP_MM = 1e-3


class LinkedRows(VTKObservationMixin):  # type: ignore[misc]
    """Links the zoom of all views, and through a fit the place where the planes of each row cross.

    Slicer's own links end at the view group: it copies planes, and those of two volumes differ.

    Parameters
    ----------
    rows : mapping of {"fixed", "moving"} to sequence of vtkMRMLSliceNode
        Three views of different directions each.
    """

    def __init__(self, rows: Mapping[Side, Sequence[Any]]) -> None:
        VTKObservationMixin.__init__(self)
        self._rows = rows
        self._fit: Fit | None = None
        self._own = False
        self._places: dict[Side, list[float] | None] = {}
        self._zooms: dict[str, tuple[float, ...]] = {}
        self._look()
        for nodes in rows.values():
            for node in nodes:
                self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._changed)

    def use(self, fit: Fit | None) -> None:
        """Let the rows follow each other through another fit from the next move on; None lets them go."""
        self._fit = fit

    def stop(self) -> None:
        """Follow no more."""
        self.removeObservers()

    @contextmanager
    def unlinked(self) -> Iterator[None]:
        """Change views in here without the others following."""
        own, self._own = self._own, True
        try:
            yield
        finally:
            self._own = own
            self._look()

    def follow(self, side: Side) -> None:
        """Centre the other row on the place that lies where the planes of this one cross."""
        place, other = self._places[side], _other(side)
        if place is None or self._fit is None:
            return
        there_ras = _mapped(self._fit, side, place)
        if there_ras is not None:
            with self.unlinked():
                for node in self._rows[other]:
                    node.JumpSliceByCentering(*there_ras)

    def center(self, places_ras: Mapping[Side, Sequence[float]]) -> None:
        """Centre rows, each on its own point; where only one is given, the other row follows.

        Parameters
        ----------
        places_ras : mapping of {"fixed", "moving"} to sequence of 3 float
            World coordinates, mm.
        """
        with self.unlinked():
            for side, place_ras in places_ras.items():
                for node in self._rows[side]:
                    node.JumpSliceByCentering(*place_ras)
        if len(places_ras) == 1:
            self.follow(next(iter(places_ras)))

    def share_zoom(self) -> None:
        """Give all views the largest of their fields of view: every volume stays in sight."""
        self._set_width(max(node.GetFieldOfView()[0] for node in self._nodes()))

    def _nodes(self) -> list[Any]:
        return [node for nodes in self._rows.values() for node in nodes]

    def _look(self) -> None:
        for side, nodes in self._rows.items():
            self._places[side] = planes_cross_at(nodes)
        self._zooms = {node.GetID(): _zoom(node) for node in self._nodes()}

    def _changed(self, node: Any, _event: str) -> None:
        if self._own:
            return
        zoom, before = _zoom(node), self._zooms[node.GetID()]
        self._zooms[node.GetID()] = zoom
        # A view that gets another size changes its field of view, too; the others do so themselves.
        if zoom[0] != before[0] and zoom[1:] == before[1:]:
            self._set_width(zoom[0])
        side: Side = "fixed" if any(node is one for one in self._rows["fixed"]) else "moving"
        place, before_ras = planes_cross_at(self._rows[side]), self._places[side]
        if place is None or (before_ras is not None and np.linalg.norm(np.subtract(place, before_ras)) < _STEP_MM):
            return
        self._places[side] = place
        self.follow(side)

    def _set_width(self, width_mm: float) -> None:
        """Give all views this field of view from left to right; pixels stay square."""
        with self.unlinked():
            for node in self._nodes():
                across, down, through = node.GetFieldOfView()
                if across > 0:
                    node.SetFieldOfView(width_mm, down * width_mm / across, through)


def fit_as_shown(
    fixed_node: Any, moving_node: Any, pairs: Pairs, model: ModelName, *, stiffness_mm: float, reflection: bool
) -> Fit | None:
    """Fit points where they lie in the world now, an applied result included: that is where views show the volumes.

    Parameters
    ----------
    fixed_node, moving_node : vtkMRMLMarkupsNode
        The lists.
    pairs : Pairs
        Which of their points belong together.
    model, stiffness_mm, reflection
        As for :func:`~MultimodalRegistrationLib.landmarks.models.fit_model`.

    Returns
    -------
    Fit or None
        Rigid where the pairs do not determine the model yet; None where they do not even determine that.
    """
    if len(pairs) < MIN_PAIRS["rigid"]:
        return None
    if not (_has_all(fixed_node, pairs.fixed_index) and _has_all(moving_node, pairs.moving_index)):
        return None
    fixed_lps = _places_lps(fixed_node, pairs.fixed_index)
    moving_lps = _places_lps(moving_node, pairs.moving_index)
    if not is_determined(model, moving_lps, fixed_lps):
        model = "rigid"
    if not is_determined(model, moving_lps, fixed_lps):
        return None
    try:
        return fit_model(model, moving_lps, fixed_lps, stiffness_mm=stiffness_mm, reflection=reflection)
    except RegistrationError:
        return None


def _has_all(node: Any, indices: Sequence[int]) -> bool:
    """Whether a list still has all of these points: they may have been removed since they were paired."""
    return bool(max(indices) < node.GetNumberOfControlPoints())


def _places_lps(node: Any, indices: Sequence[int]) -> NDArray[np.float64]:
    """Control points in the world, shape (N, 3), LPS, mm."""
    return flip_points_lps_ras(np.array([node.GetNthControlPointPositionWorld(int(index)) for index in indices]))


def _other(side: Side) -> Side:
    return "moving" if side == "fixed" else "fixed"


def _zoom(node: Any) -> tuple[float, ...]:
    """Width of the field of view in mm, and the size in pixels."""
    return (node.GetFieldOfView()[0], *node.GetDimensions()[:2])


def _mapped(fit: Fit, side: Side, place_ras: Sequence[float]) -> list[float] | None:
    """The place in the other volume, RAS, mm; None where a spline has none."""
    point_lps = flip_points_lps_ras(np.array([place_ras]))
    try:
        there_lps = fit.to_moving(point_lps) if side == "fixed" else fit.to_fixed(point_lps)
    except RegistrationError:
        return None
    there_ras: list[float] = flip_points_lps_ras(there_lps)[0].tolist()
    return there_ras if np.isfinite(there_ras).all() else None
