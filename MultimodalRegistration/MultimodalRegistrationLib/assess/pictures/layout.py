"""The page of a picture: rows of three planes at one scale, with letters, a scale bar and captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from ...core.grid import VolumeGrid
from .planes import PLANES, PlaneWindow

# Colours that are told apart also by those who do not see red and green as different.
TEXT_COLOUR = np.array([238, 238, 238])
EDGE_COLOUR = np.array([255, 176, 0])
# Their sum is white.
FIXED_COLOUR = np.array([70, 150, 255])
MOVING_COLOUR = np.array([185, 105, 0])
_BACKGROUND = np.array([18, 20, 24])
_CAPTION_COLOUR = np.array([168, 178, 190])
_TICK_COLOUR = np.array([120, 200, 255])
_HALO_COLOUR = (0, 0, 0, 166)

# 160 mm at 300 dots per inch: the width of a printed page.
_WIDTH = 1890
_MARGIN = 28
_GAP = 22
_LEGEND_GAP = 28
# Heights of capitals, px.
_TITLE, _TEXT, _LETTER = 20, 15, 20
# Of the size of Pillow's font.
_CAPITAL = 0.7
_HALO = 2
_HEADING, _CAPTION = 44, 44
_INSET = 10
_BARS_MM = (1, 2, 5, 10, 20, 50, 100, 200)
_BAR_SHARE = 0.3
_TICK = 12


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
        self._titles = titles
        low, high = grid.corners_lps.min(axis=0), grid.corners_lps.max(axis=0)
        if field_mm is not None:
            low, high = self._center - field_mm / 2, self._center + field_mm / 2
        extents = [
            [float(np.abs(np.asarray(axis) @ (high - low))) for axis in (plane.right_lps, plane.down_lps)]
            for plane in PLANES
        ]
        self.smallest_side_mm = min(min(extent) for extent in extents)
        self.mm_per_pixel = sum(width for width, _ in extents) / (_WIDTH - 2 * _MARGIN - 2 * _GAP)
        self.windows = []
        for plane, extent in zip(PLANES, extents, strict=True):
            middle = (low + high) / 2
            middle[plane.normal] = self._center[plane.normal]
            width, height = (max(round(side / self.mm_per_pixel), 1) for side in extent)
            center = (float(middle[0]), float(middle[1]), float(middle[2]))
            self.windows.append(PlaneWindow(plane, center, self.mm_per_pixel, width, height))
        self._row_height = max(window.height for window in self.windows)
        panels = []
        for row in range(len(titles)):
            left = _MARGIN
            for window in self.windows:
                panels.append(Panel(window, left, self._top(row)))
                left += window.width + _GAP
        self.panels = tuple(panels)

    def draw(
        self, rows: Sequence[Sequence[NDArray[np.float64]]], captions: Sequence[str], mode: str, square_mm: float
    ) -> NDArray[np.uint8]:
        """Draw the page.

        Parameters
        ----------
        rows : sequence of 3 arrays, shape (H, W, 3)
            Axial, coronal and sagittal plane, 0 to 255, for each of the titles.
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
        height = self._top(len(rows)) - _HEADING + _MARGIN // 2
        page = np.tile(_BACKGROUND.astype(np.uint8), (height, _WIDTH, 1))
        for panel, content in zip(self.panels, (plane for row in rows for plane in row), strict=True):
            area = page[panel.top :, panel.left :][: panel.window.height, : panel.window.width]
            area[:] = np.rint(np.clip(content, 0, 255))
            self._draw_ticks(page, panel)
        image = Image.fromarray(page)
        # Blends what is transparent, as the halo of the text is.
        drawing = ImageDraw.Draw(image, "RGBA")
        for number, title in enumerate(self._titles):
            line = self._top(number) - _HEADING + 12 + _TITLE
            draw_text(drawing, (_MARGIN, line), title, _TITLE, TEXT_COLOUR)
            self._draw_legend(drawing, line, mode, square_mm)
        for number, panel in enumerate(self.panels):
            middle = panel.left + panel.window.width / 2
            line = panel.top + panel.window.height + 20 + _TEXT
            draw_text(drawing, (middle, line), captions[number % 3], _TEXT, _CAPTION_COLOUR, anchor="ms")
            self._draw_letters(drawing, panel)
            self._draw_scale_bar(drawing, panel)
        return np.array(image)

    def _top(self, row: int) -> int:
        return _MARGIN // 2 + _HEADING + row * (_HEADING + self._row_height + _CAPTION)

    def _draw_legend(self, drawing: ImageDraw.ImageDraw, line: float, mode: str, square_mm: float) -> None:
        """What the colours mean, at the right end of a row's title."""
        entries = {
            "overlay": [("fixed", FIXED_COLOUR), ("moving", MOVING_COLOUR)],
            "edges": [("fixed", TEXT_COLOUR), ("edges of moving", EDGE_COLOUR)],
            "checkerboard": [(f"fixed and moving in squares of {square_mm:g} mm", _CAPTION_COLOUR)],
        }.get(mode, [])
        x: float = _WIDTH - _MARGIN
        for text, colour in reversed(entries):
            # As bright as the colour can be, on the dark ground.
            draw_text(drawing, (x, line), text, _TEXT, colour * (255 / colour.max()), anchor="rs")
            x -= drawing.textlength(text, font=_font(_TEXT)) + _LEGEND_GAP

    @staticmethod
    def _draw_letters(drawing: ImageDraw.ImageDraw, panel: Panel) -> None:
        width, height = panel.window.width, panel.window.height
        middle = (height + _LETTER) / 2
        places = (
            (_INSET, middle, "ls"),
            (width - _INSET, middle, "rs"),
            (width / 2, _INSET + _LETTER, "ms"),
            (width / 2, height - _INSET, "ms"),
        )
        for letter, (x, y, anchor) in zip(panel.window.plane.letters, places, strict=True):
            draw_text(drawing, (panel.left + x, panel.top + y), letter, _LETTER, TEXT_COLOUR, anchor=anchor)

    def _draw_ticks(self, page: NDArray[np.uint8], panel: Panel) -> None:
        """Outside of the plane, where the other two planes cut it."""
        x, y = (round(value) for value in panel.pixel(self._center))
        bottom, right = panel.top + panel.window.height, panel.left + panel.window.width
        for start, end in ((panel.top - _TICK, panel.top - 2), (bottom + 2, bottom + _TICK)):
            page[start:end, x - 1 : x + 2] = _TICK_COLOUR
        for start, end in ((panel.left - _TICK, panel.left - 2), (right + 2, right + _TICK)):
            page[y - 1 : y + 2, start:end] = _TICK_COLOUR

    def _draw_scale_bar(self, drawing: ImageDraw.ImageDraw, panel: Panel) -> None:
        """At the lower right, with its length."""
        narrowest = min(window.width for window in self.windows) * self.mm_per_pixel
        length = next((bar for bar in reversed(_BARS_MM) if bar <= _BAR_SHARE * narrowest), _BARS_MM[0])
        pixels = max(round(length / self.mm_per_pixel), 1)
        right, bottom = panel.left + panel.window.width - 16, panel.top + panel.window.height - 14
        drawing.rectangle((right - pixels - 2, bottom - 6, right + 1, bottom + 1), (0, 0, 0))
        drawing.rectangle((right - pixels, bottom - 4, right - 1, bottom - 1), tuple(TEXT_COLOUR.tolist()))
        text = f"{length} mm"
        x = right - max(pixels, drawing.textlength(text, font=_font(_TEXT))) / 2
        draw_text(drawing, (x, bottom - 12), text, _TEXT, TEXT_COLOUR, anchor="ms")


def draw_text(
    drawing: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    height: int,
    colour: NDArray[np.integer] | NDArray[np.floating],
    *,
    anchor: str = "ls",
) -> None:
    """Draw a line of text, with a dark halo so that it can be read on any picture.

    Parameters
    ----------
    drawing : ImageDraw
        Of an RGB picture, in mode RGBA. What does not fit is cut off.
    place : tuple of 2 float
        Pixels from the left and from the top, to a point of the baseline.
    text : str
        Latin letters and digits.
    height : int
        Of the capitals, px.
    colour : array, shape (3,)
        RGB, 0 to 255.
    anchor : str, optional
        Where on the baseline the point is: ``"ls"`` at the left end, ``"ms"`` in the middle, ``"rs"`` at the right end.
    """
    # On whole pixels, lines stay sharp.
    x, y = (round(value) for value in place)
    ink = tuple(np.rint(colour).astype(int).tolist())
    drawing.text((x, y), text, _HALO_COLOUR, _font(height), anchor, stroke_width=_HALO)
    drawing.text((x, y), text, ink, _font(height), anchor)


def _font(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(round(height / _CAPITAL))
