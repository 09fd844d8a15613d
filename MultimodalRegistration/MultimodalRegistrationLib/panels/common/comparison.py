"""What the views show of two volumes: the one place that decides it, for all panels and after every action."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import slicer
import slicer.util

from ...application.result_views import add_color_legend
from ...application.slice_views import SliceViews
from ...mrml.moved_nodes import MovedCopy
from ...mrml.overlay_volumes import CheckerboardVolume, ContourVolume
from ...mrml.scene_nodes import remove_present
from ...mrml.views import overlap_center_ras
from .stepper import Stepper
from .surface_view import SurfaceView

__all__ = ["CHECKERBOARD", "COLOR", "EDGES", "GREY", "Comparison"]

COLOR, GREY, CHECKERBOARD, EDGES = "color", "grey", "checkerboard", "edges"
_OPACITY = 0.5


class Comparison:
    """Shows a moving volume over a fixed one in the planes of the fixed one, and gives back what the user had.

    A hidden copy of the moving volume is shown, which shares its voxels: neither the volumes nor their display change.
    """

    def __init__(self) -> None:
        self._views = SliceViews()
        self._fixed: Any = None
        self._moving: Any = None
        self._copy: MovedCopy | None = None
        self._after: Any = None
        self._before = False
        self._map: Any = None
        self._mode = COLOR
        self._opacity = _OPACITY
        self._overlay: CheckerboardVolume | ContourVolume | None = None
        self._stepper: Stepper | None = None
        self._legend: Any = None
        self.surfaces = SurfaceView()
        self._surfaces_wanted = False

    @property
    def available(self) -> bool:
        """Whether there are views at all."""
        return self._views.available

    @property
    def shown(self) -> bool:
        """Whether the volumes are shown."""
        return self._copy is not None

    @property
    def mode(self) -> str:
        """How they are shown."""
        return self._mode

    @property
    def after(self) -> Any:
        """The transform after which the moving volume is shown; None for before."""
        there = self._after is not None and self._after.GetScene() is not None
        return self._after if there and not self._before else None

    def show(self, fixed_node: Any, moving_node: Any, results: Sequence[Any], after_node: Any) -> None:
        """Show a moving volume over a fixed one; views that show these two already are not turned again.

        Parameters
        ----------
        fixed_node, moving_node : vtkMRMLScalarVolumeNode
            Not changed.
        results : sequence of vtkMRMLTransformNode
            Transforms that may be applied to the moving volume; without them it lies where it lay before.
        after_node : vtkMRMLTransformNode or None
            The one after which it is shown.

        Raises
        ------
        InputError
            Several of the transforms are applied to the moving volume.
        """
        if not self.available:
            return
        same = self.shown and fixed_node is self._fixed and moving_node is self._moving
        # Else the views are drawn at many of the steps.
        with slicer.util.RenderBlocker():
            self._drop_copy()
            self._copy = MovedCopy(moving_node, results)
            self._fixed, self._moving, self._after = fixed_node, moving_node, after_node
            self._before, self._map = False, None
            self._update()
            if not same:
                self._views.arrange(fixed_node, overlap_center_ras(fixed_node, self._copy.node))
        if self._surfaces_wanted:
            self._show_surfaces(look=not same)

    def show_surfaces(self, wanted: bool) -> None:
        """Show the surfaces of both volumes in the 3D view besides, or no longer."""
        self._surfaces_wanted = wanted
        if not wanted:
            self.surfaces.hide()
        elif self._usable():
            self._show_surfaces(look=True)

    def _show_surfaces(self, *, look: bool) -> None:
        assert self._copy is not None
        self.surfaces.show(self._fixed, self._copy.node, self.after, look=look)

    def show_after(self, result_node: Any) -> None:
        """Show the moving volume after another transform, or before all of them where that is None."""
        self._after, self._before, self._map = result_node, False, None
        self._update()

    def show_before(self, before: bool) -> None:
        """Show for a while how the moving volume lay before."""
        if before != self._before:
            self._before = before
            if self._usable():
                assert self._copy is not None
                self._copy.put_under(self.after)
                self.surfaces.show_after(self.after)

    def show_map(self, map_node: Any) -> None:
        """Show a map over the fixed volume instead, or the moving volume again where that is None."""
        self._map = map_node
        self._update()

    def set_mode(self, mode: str) -> None:
        """Show the volumes in another way; maps stay as they are."""
        self._mode = mode
        self._update()

    def fade(self, opacity: float) -> None:
        """Set how much of the moving volume, or of a map, is seen, 0 to 1."""
        self._opacity = opacity
        if self._usable():
            self._views.fade(opacity)

    def flash(self, opacity: float) -> None:
        """Likewise, for a moment."""
        if self._usable():
            self._views.fade(opacity)

    def hide(self) -> None:
        """Give back what the user had, and leave nothing in the scene."""
        with slicer.util.RenderBlocker():
            self.surfaces.hide()
            self._end_overlay()
            self._views.restore()
            self._drop_copy()
        self._fixed = self._moving = self._after = self._map = None

    def _drop_copy(self) -> None:
        self._end_overlay()
        self.surfaces.clear()
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.remove()

    def _usable(self) -> bool:
        return self._copy is not None and self._copy.there and self._fixed.GetScene() is not None

    def _update(self) -> None:
        """Bring the views up to date."""
        if not self._usable():
            return
        assert self._copy is not None
        self._copy.put_under(self.after)
        self.surfaces.show_after(self.after)
        self._copy.show_warm(self._mode == COLOR)
        if self._map is not None:
            self._views.show(self._fixed, self._map, self._opacity)
            self._end_overlay()
            self._legend = add_color_legend(self._map)
            return
        self._views.show(self._fixed, self._copy.node, self._opacity)
        self._end_overlay()
        if self._mode == CHECKERBOARD:
            board = CheckerboardVolume(self._fixed, self._copy.node)
            # Whole fields of the moving volume; a faded checkerboard shows nothing.
            self._make(board, lambda: self._views.show(self._fixed, board.add(), 1.0))
        elif self._mode == EDGES:
            outlines = ContourVolume(self._copy.node)
            self._make(outlines, lambda: self._show_outlines(outlines))

    def _show_outlines(self, outlines: ContourVolume) -> None:
        assert self._copy is not None
        self._views.show(self._fixed, self._copy.node, 0.0, outlines=outlines.add())

    def _make(self, overlay: CheckerboardVolume | ContourVolume, show: Callable[[], None]) -> None:
        """Make something while the event loop is idle, and show it."""

        def made(error: Exception | None) -> None:
            if error is not None:
                raise error
            if self._usable():
                show()

        self._overlay = overlay
        self._stepper = Stepper(overlay.make(), lambda share: None, made)
        self._stepper.start()

    def _end_overlay(self) -> None:
        """Take away what is shown or made besides the volumes."""
        if self._stepper is not None:
            self._stepper.stop()
        overlay, self._overlay, self._stepper = self._overlay, None, None
        if overlay is not None:
            overlay.remove()
        legend, self._legend = self._legend, None
        if legend is not None:
            remove_present([legend])
