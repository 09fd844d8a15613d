"""The surfaces of two volumes in the 3D view, made while the event loop is idle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...application.three_d_view import ThreeDView
from ...mrml.surface_comparison import SurfaceComparison
from . import texts
from .scene_watch import SceneWatch
from .stepper import Stepper

__all__ = ["SurfaceView"]


class SurfaceView:
    """Shows the surfaces of a fixed volume and of the hidden copy of a moving one, and says what is seen."""

    def __init__(self) -> None:
        self.tell: Callable[[str], None] = lambda words: None
        """Called with what the 3D view shows; empty where it shows nothing of this."""
        self._view = ThreeDView()
        self._volumes: tuple[Any, Any] | None = None
        self._names = ("", "")
        self._after: Any = None
        self._surfaces: SurfaceComparison | None = None
        self._stepper: Stepper | None = None
        self._watch: SceneWatch | None = None
        self._ready = False
        # Kept until it is done: the volumes may be shown anew before their surfaces are there.
        self._look = False

    def show(self, fixed_node: Any, moving_node: Any, after_node: Any, *, look: bool) -> None:
        """Show two volumes.

        Parameters
        ----------
        fixed_node, moving_node : vtkMRMLScalarVolumeNode
            Not changed; the surfaces go as soon as one of them is removed.
        after_node : vtkMRMLTransformNode or None
            The transform after which the moving one is shown.
        look : bool
            Whether the camera is turned to them, once they are there.
        """
        self.clear()
        self._volumes, self._after = (fixed_node, moving_node), after_node
        self._names = fixed_node.GetName(), moving_node.GetName()
        self._look = self._look or look
        self._view.open()
        self._surfaces = SurfaceComparison(fixed_node, moving_node)
        self._watch = SceneWatch(self._check_nodes)
        self._stepper = Stepper(self._surfaces.make(), lambda share: None, self._made)
        self._stepper.start()
        self.tell(texts.MAKING_SURFACES)

    def show_after(self, after_node: Any) -> None:
        """The moving volume is shown after another transform now, or before all of them."""
        if after_node is not self._after:
            self._after = after_node
            self._show_error()

    def hide(self) -> None:
        """Take everything away, and give the layout and the camera back."""
        self.clear()
        self._look = False
        self._view.restore()

    def clear(self) -> None:
        """Take everything out of the scene; the layout and the camera stay as they are."""
        if self._stepper is not None:
            self._stepper.stop()
        if self._watch is not None:
            self._watch.close()
        surfaces, self._surfaces, self._stepper, self._watch = self._surfaces, None, None, None
        self._volumes, self._after, self._ready = None, None, False
        if surfaces is not None:
            surfaces.remove()
        self.tell("")

    def _show_error(self) -> None:
        if self._surfaces is not None and self._ready:
            self.tell(texts.surfaces_words(*self._names, self._surfaces.show_error(self._after)))

    def _made(self, error: Exception | None) -> None:
        if error is not None:
            self.hide()
            raise error
        if self._surfaces is None or not self._there():
            self.hide()
            return
        self._ready = self._surfaces.add()
        if not self._ready:
            self.tell(texts.NO_SURFACES)
            return
        self._show_error()
        if self._look:
            self._look = False
            self._view.look_at_all()

    def _there(self) -> bool:
        return self._volumes is not None and all(node.GetScene() is not None for node in self._volumes)

    def _check_nodes(self) -> None:
        if not self._there():
            self.hide()
