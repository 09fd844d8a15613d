"""The first 3D view, where the layout has or can have one: without a main window, everything here does nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import slicer

__all__ = ["ThreeDView"]


@dataclass(frozen=True)
class _Camera:
    """Where a camera was."""

    node: Any
    position: tuple[float, ...]
    focal_point: tuple[float, ...]
    view_up: tuple[float, ...]
    parallel_scale: float


class ThreeDView:
    """Brings a 3D view into sight, looks at what it shows, and puts back the layout and the camera."""

    def __init__(self) -> None:
        self._layout: int | None = None
        self._camera: _Camera | None = None

    def open(self) -> None:
        """Switch to a layout with a 3D view where the present one has none."""
        manager = slicer.app.layoutManager()
        if manager is not None and _seen() is None and self._layout is None:
            self._layout = manager.layout
            manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)

    def look_at_all(self) -> None:
        """Let the camera look at all that is shown, from the side from which it looks."""
        widget = _seen()
        if widget is None:
            return
        view = widget.threeDView()
        camera = view.cameraNode()
        if self._camera is None and camera is not None:
            self._camera = _Camera(
                camera,
                tuple(camera.GetPosition()),
                tuple(camera.GetFocalPoint()),
                tuple(camera.GetViewUp()),
                camera.GetParallelScale(),
            )
        view.resetFocalPoint()
        # The focal point alone leaves what is small, large or far away out of sight.
        view.resetCamera(False, True, True)

    def restore(self) -> None:
        """Show what was shown before; a layout that the user chose meanwhile stays."""
        kept, self._camera = self._camera, None
        if kept is not None and kept.node.GetScene() is not None:
            kept.node.SetFocalPoint(*kept.focal_point)
            kept.node.SetPosition(*kept.position)
            kept.node.SetViewUp(*kept.view_up)
            kept.node.SetParallelScale(kept.parallel_scale)
            # Or what is there, such as the box around the scene, is clipped where the surfaces ended.
            kept.node.ResetClippingRange()
        layout, self._layout = self._layout, None
        manager = slicer.app.layoutManager()
        if (
            layout is not None
            and manager is not None
            and manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView
        ):
            manager.setLayout(layout)


def _seen() -> Any:
    """The first 3D view of the present layout, or None; there are also views of layouts that were left."""
    manager = slicer.app.layoutManager()
    if manager is None:
        return None
    widgets = [manager.threeDWidget(number) for number in range(manager.threeDViewCount)]
    return next((widget for widget in widgets if widget.mrmlViewNode().IsMappedInLayout()), None)
