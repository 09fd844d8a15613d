"""The page of a picture: rows of three planes at one scale, with letters, a scale bar and captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...core.grid import VolumeGrid
from .colours import EDGE_COLOUR, FIXED_COLOUR, GROUND, MARKS, MOVING_COLOUR, QUIET, WORDS
from .letters import draw_text, text_width
from .planes import PLANES, PlaneWindow

__all__ = ["Page", "PageRow", "Panel"]

# 160 mm at 300 dots per inch: the width of a printed page.
_WIDTH = 1890
_MARGIN = 28
_GAP = 22
_TITLE, _TEXT, _LETTER = 19.0, 15.0, 17.0
_HEADING, _CAPTION = 44, 44
_BARS_MM = (1, 2, 5, 10, 20, 50, 100, 200)
_BAR_SHARE = 0.3
_TICK = 12


@dataclass(frozen=True)
class PageRow:
    """A row of planes.

    Parameters
    ----------
    title : str
        Above them.
    planes : list of 3 arrays, shape (H, W, 3)
        Axial, coronal, sagittal, 0 to 255.
    """

    title: str
    planes: Sequence[NDArray[np.float64]]


@dataclass(frozen=True)
class Panel:
    """Where a plane is on the page.

    Parameters
    ----------
    window : PlaneWindow
        What it shows.
    left, top : int
        Its first pixel.
    """

    window: PlaneWindow
    left: int
    top: int

    def pixel(self, point_lps: ArrayLike) -> tuple[float, float]:
        """Where on the page a point, LPS, mm, projects to: pixels from the left and from the top."""
        x, y = self.window.pixel(point_lps)
        return self.left + x, self.top + y


class Page:
    """Places and draws the planes.

    Parameters
    ----------
    grid : VolumeGrid
        Of the fixed volume, whose field of view is shown.
    center_lps : array, shape (3,)
        Where the planes cross, mm.
    field_mm : float, optional
        Side of a square part around that point instead.
    titles : sequence of str
        Of the rows.
    """

    def __init__(self, grid: VolumeGrid, center_lps: ArrayLike, field_mm: float | None, titles: Sequence[str]) -> None:
        self._center = np.asarray(center_lps, dtype=np.float64)
        low, high = grid.corners_lps.min(axis=0), grid.corners_lps.max(axis=0)
        if field_mm is not None:
            low, high = self._center - field_mm / 2, self._center + field_mm / 2
        extents = [
            (self._along(plane.right_lps, high - low), self._along(plane.down_lps, high - low)) for plane in PLANES
        ]
        self.smallest_side_mm = min(min(extent) for extent in extents)
        room = _WIDTH - 2 * _MARGIN - 2 * _GAP
        self.mm_per_pixel = sum(width for width, _ in extents) / room
        self.windows = []
        for plane, (width, height) in zip(PLANES, extents, strict=True):
            middle = (low + high) / 2
            middle[plane.normal] = self._center[plane.normal]
            size = [max(round(extent / self.mm_per_pixel), 1) for extent in (width, height)]
            center = (float(middle[0]), float(middle[1]), float(middle[2]))
            self.windows.append(PlaneWindow(plane, center, self.mm_per_pixel, size[0], size[1]))
        self._row_height = max(window.height for window in self.windows)
        panels = []
        for row in range(len(titles)):
            left, top = _MARGIN, self._top(row)
            for window in self.windows:
                panels.append(Panel(window, left, top))
                left += window.width + _GAP
        self.panels = tuple(panels)
        self._height = self._top(len(titles)) - _HEADING + _MARGIN // 2

    def draw(self, rows: Sequence[PageRow], captions: Sequence[str], mode: str, square_mm: float) -> NDArray[np.uint8]:
        """Draw the page.

        Parameters
        ----------
        rows : sequence of PageRow
            As many as there are titles.
        captions : sequence of 3 str
            Below the planes of each row.
        mode : str
            How the volumes are shown, for the legend.
        square_mm : float
            Side of the squares of a checkerboard, for the legend.

        Returns
        -------
        array, shape (H, W, 3)
            RGB.
        """
        page = np.empty((self._height, _WIDTH, 3), dtype=np.uint8)
        page[:] = GROUND
        panels = iter(self.panels)
        for number, row in enumerate(rows):
            draw_text(page, row.title, _MARGIN, self._top(number) - _HEADING + 12, _TITLE, WORDS, bold=True)
            self._legend(page, number, mode, square_mm)
            for content, caption in zip(row.planes, captions, strict=True):
                panel = next(panels)
                height, width = content.shape[:2]
                area = page[panel.top : panel.top + height, panel.left : panel.left + width]
                area[:] = np.rint(np.clip(content, 0, 255))
                self._letters(page, panel)
                self._ticks(page, panel)
                self._scale_bar(page, panel)
                middle = panel.left + (width - text_width(caption, _TEXT)) / 2
                draw_text(page, caption, middle, panel.top + height + 20, _TEXT, QUIET)
        return page

    @staticmethod
    def _along(axis: tuple[int, int, int], extent: NDArray[np.float64]) -> float:
        return float(np.abs(np.asarray(axis) @ extent))

    def _top(self, row: int) -> int:
        return _MARGIN // 2 + _HEADING + row * (_HEADING + self._row_height + _CAPTION)

    def _legend(self, page: NDArray[np.uint8], row: int, mode: str, square_mm: float) -> None:
        """What the colours mean, at the right end of a row's title."""
        entries = {
            "overlay": [("fixed", FIXED_COLOUR), ("moving", MOVING_COLOUR)],
            "edges": [("fixed", WORDS), ("edges of moving", EDGE_COLOUR)],
            "checkerboard": [(f"fixed and moving in squares of {square_mm:g} mm", QUIET)],
        }.get(mode, [])
        x = _WIDTH - _MARGIN - sum(text_width(words, _TEXT) + 28 for words, _ in entries) + 28
        for words, colour in entries:
            draw_text(page, words, x, self._top(row) - _HEADING + 14, _TEXT, _readable(colour))
            x += text_width(words, _TEXT) + 28

    @staticmethod
    def _letters(page: NDArray[np.uint8], panel: Panel) -> None:
        width, height = panel.window.width, panel.window.height
        left, right, up, down = panel.window.plane.letters
        inset, half = 10, _LETTER / 2
        for letter, x, y in (
            (left, inset, height / 2 - half),
            (right, width - inset - text_width(right, _LETTER), height / 2 - half),
            (up, (width - text_width(up, _LETTER)) / 2, inset),
            (down, (width - text_width(down, _LETTER)) / 2, height - inset - _LETTER),
        ):
            draw_text(page, letter, panel.left + x, panel.top + y, _LETTER, WORDS, bold=True)

    def _ticks(self, page: NDArray[np.uint8], panel: Panel) -> None:
        """Outside of the plane, where the other two planes cut it."""
        x, y = (round(value) for value in panel.pixel(self._center))
        bottom, right = panel.top + panel.window.height, panel.left + panel.window.width
        for rows, columns in (
            (slice(panel.top - _TICK, panel.top - 2), slice(x - 1, x + 2)),
            (slice(bottom + 2, bottom + _TICK), slice(x - 1, x + 2)),
            (slice(y - 1, y + 2), slice(panel.left - _TICK, panel.left - 2)),
            (slice(y - 1, y + 2), slice(right + 2, right + _TICK)),
        ):
            page[rows, columns] = MARKS

    def _scale_bar(self, page: NDArray[np.uint8], panel: Panel) -> None:
        """At the lower right, with its length."""
        narrowest = min(window.width for window in self.windows) * self.mm_per_pixel
        length = next((bar for bar in reversed(_BARS_MM) if bar <= _BAR_SHARE * narrowest), _BARS_MM[0])
        pixels = round(length / self.mm_per_pixel)
        right, bottom = panel.left + panel.window.width - 16, panel.top + panel.window.height - 14
        page[bottom - 6 : bottom + 2, right - pixels - 2 : right + 2] = 0
        page[bottom - 4 : bottom, right - pixels : right] = WORDS
        words = f"{length} mm"
        x = right - pixels / 2 - text_width(words, _TEXT) / 2
        draw_text(page, words, min(x, right - text_width(words, _TEXT)), bottom - 12 - _TEXT, _TEXT, WORDS)


def _readable(colour: NDArray[np.int64]) -> NDArray[np.float64]:
    """A colour as bright as it can be, for words on dark ground."""
    return colour * (255 / colour.max())
