"""Text in pictures, drawn with strokes: small letters, digits and the letters of the patient's sides.

No package that comes with Slicer draws text without a display. Glyphs are lines and arcs of ellipses on a grid in which
the baseline is at 10, capitals reach up to 0, small letters to 3.5, and descenders down to 13.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["draw_text", "text_width"]

Points = Sequence[tuple[float, float]]
_CAPITAL = 10.0
_GAP = 2.4
_STROKE = 1.15
_HALO = 1.5


def _arc(x: float, y: float, rx: float, ry: float, start: float, end: float) -> Points:
    """Part of an ellipse; angles in degrees, from the right and clockwise, since y points down."""
    angles = np.radians(np.linspace(start, end, 2 + int(abs(end - start) // 15)))
    return [(float(x + rx * np.cos(a)), float(y + ry * np.sin(a))) for a in angles]


def _bowl(x: float = 2.6) -> Points:
    """The round of a, b, d, g, o, p and q."""
    return _arc(x, 6.75, 2.6, 3.25, 0, 360)


_ARCH = _arc(2.5, 6.1, 2.5, 2.6, 180, 360)
_GLYPHS: Mapping[str, tuple[float, tuple[Points, ...]]] = {
    " ": (2.6, ()),
    "a": (5.2, (_bowl(), [(5.2, 3.5), (5.2, 10)])),
    "b": (5.2, (_bowl(), [(0, 0), (0, 10)])),
    "c": (4.6, (_arc(2.6, 6.75, 2.6, 3.25, 45, 315),)),
    "d": (5.2, (_bowl(), [(5.2, 0), (5.2, 10)])),
    "e": (5.2, ([(0, 6.75), (5.2, 6.75)], _arc(2.6, 6.75, 2.6, 3.25, 50, 360))),
    "f": (3.4, ([(0, 3.8), (3.2, 3.8)], [*_arc(3.6, 2.2, 2.2, 2.2, 270, 180), (1.4, 10)])),
    "g": (5.2, (_bowl(), [(5.2, 3.5), *_arc(2.7, 10.6, 2.5, 2.8, 0, 150)])),
    "h": (5.0, ([(0, 0), (0, 10)], [*_ARCH, (5, 10)])),
    "i": (0.2, ([(0.1, 3.5), (0.1, 10)], [(0.1, 0.7), (0.1, 0.9)])),
    "j": (1.4, ([(1.4, 3.5), *_arc(-0.4, 11.4, 1.8, 1.9, 0, 100)], [(1.4, 0.7), (1.4, 0.9)])),
    "k": (4.6, ([(0, 0), (0, 10)], [(4.4, 3.5), (0, 7.4)], [(1.6, 6.1), (4.6, 10)])),
    "l": (0.2, ([(0.1, 0), (0.1, 10)],)),
    "m": (
        8.4,
        (
            [(0, 3.5), (0, 10)],
            [*_arc(2.1, 5.8, 2.1, 2.3, 180, 360), (4.2, 10)],
            [*_arc(6.3, 5.8, 2.1, 2.3, 180, 360), (8.4, 10)],
        ),
    ),
    "n": (5.0, ([(0, 3.5), (0, 10)], [*_ARCH, (5, 10)])),
    "o": (5.2, (_bowl(),)),
    "p": (5.2, (_bowl(), [(0, 3.5), (0, 13.4)])),
    "q": (5.2, (_bowl(), [(5.2, 3.5), (5.2, 13.4)])),
    "r": (3.2, ([(0, 3.5), (0, 10)], _arc(2.9, 6.4, 2.9, 2.9, 180, 280))),
    "s": (
        4.2,
        ([*_arc(2.1, 5.2, 1.9, 1.7, -20, -270), *_arc(2.1, 8.3, 2.0, 1.7, -90, 160)],),
    ),
    "t": (3.2, ([(0, 3.8), (3.2, 3.8)], [(1.3, 1.2), *_arc(3.1, 8.2, 1.8, 1.8, 180, 90)])),
    "u": (5.0, ([(0, 3.5), *_arc(2.5, 7.4, 2.5, 2.6, 180, 0), (5, 3.5)], [(5, 3.5), (5, 10)])),
    "v": (5.0, ([(0, 3.5), (2.5, 10), (5, 3.5)],)),
    "w": (7.2, ([(0, 3.5), (1.8, 10), (3.6, 4.4), (5.4, 10), (7.2, 3.5)],)),
    "x": (4.8, ([(0, 3.5), (4.8, 10)], [(4.8, 3.5), (0, 10)])),
    "y": (5.0, ([(0, 3.5), (2.5, 10)], [(5, 3.5), (2.2, 11.6), (1.2, 13), (0, 13.3)])),
    "z": (4.6, ([(0, 3.5), (4.6, 3.5), (0, 10), (4.6, 10)],)),
    "0": (5.6, (_arc(2.8, 5, 2.8, 5, 0, 360),)),
    "1": (3.0, ([(0, 2.2), (2.6, 0), (2.6, 10)],)),
    "2": (5.2, ([*_arc(2.6, 2.8, 2.5, 2.8, 190, 390), (0, 10), (5.3, 10)],)),
    "3": (5.2, ([*_arc(2.5, 2.5, 2.4, 2.5, 200, 450), *_arc(2.4, 7.4, 2.8, 2.6, 270, 515)],)),
    "4": (5.8, ([(4.2, 10), (4.2, 0), (0, 7), (5.8, 7)],)),
    "5": (5.2, ([(4.7, 0), (0.8, 0), (0.4, 4.6), *_arc(2.5, 6.8, 2.7, 3.2, 230, 510)],)),
    "6": (5.4, ([(4.2, 0), *_arc(2.7, 6.9, 2.7, 3.1, 195, 555)],)),
    "7": (5.0, ([(0, 0), (5, 0), (1.6, 10)],)),
    "8": (5.2, (_arc(2.6, 2.4, 2.3, 2.4, 0, 360), _arc(2.6, 7.4, 2.6, 2.6, 0, 360))),
    "9": (5.4, ([(1.2, 10), *_arc(2.7, 3.1, 2.7, 3.1, 15, -345)],)),
    ".": (0.2, ([(0.1, 9.7), (0.1, 9.9)],)),
    ",": (0.6, ([(0.5, 9.5), (0.1, 11.4)],)),
    ":": (0.2, ([(0.1, 4.4), (0.1, 4.6)], [(0.1, 9.6), (0.1, 9.8)])),
    "-": (3.6, ([(0, 6.2), (3.6, 6.2)],)),
    "A": (7.0, ([(0, 10), (3.5, 0), (7, 10)], [(1.3, 6.6), (5.7, 6.6)])),
    "I": (0.2, ([(0.1, 0), (0.1, 10)],)),
    "L": (4.8, ([(0, 0), (0, 10), (4.8, 10)],)),
    "P": (5.6, ([(0, 10), (0, 0), (3, 0), *_arc(3, 2.8, 2.6, 2.8, -90, 90), (0, 5.6)],)),
    "R": (5.8, ([(0, 10), (0, 0), (3, 0), *_arc(3, 2.7, 2.6, 2.7, -90, 90), (0, 5.4)], [(2.6, 5.4), (5.8, 10)])),
    "S": (5.6, ([*_arc(2.8, 2.5, 2.6, 2.5, -25, -270), *_arc(2.8, 7.4, 2.8, 2.6, -90, 160)],)),
}


def text_width(text: str, height: float) -> float:
    """Width of a line of text, px, whose capitals are ``height`` px high."""
    units = sum(_GLYPHS[letter][0] for letter in text) + _GAP * max(len(text) - 1, 0)
    return units * height / _CAPITAL


def draw_text(
    picture: NDArray[np.uint8], text: str, x: float, y: float, height: float, colour: ArrayLike, *, bold: bool = False
) -> None:
    """Draw a line of text, with a dark halo so that it can be read on any picture.

    Parameters
    ----------
    picture : array, shape (H, W, 3)
        RGB; changed in place. What does not fit is cut off.
    text : str
        Letters that there are glyphs for.
    x, y : float
        Left end of the line and upper end of its capitals, px.
    height : float
        Of the capitals, px.
    colour : array, shape (3,)
        RGB, 0 to 255.
    bold : bool
        With broader strokes.
    """
    scale = height / _CAPITAL
    stroke = _STROKE * scale * (1.5 if bold else 1.0)
    reach = stroke / 2 + _HALO * scale + 1
    left, top = int(np.floor(x - reach)), int(np.floor(y - reach))
    right = int(np.ceil(x + text_width(text, height) + reach)) + 1
    bottom = int(np.ceil(y + 13.5 * scale + reach)) + 1
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, picture.shape[1]), min(bottom, picture.shape[0])
    if right <= left or bottom <= top:
        return
    distance = np.full((bottom - top, right - left), np.inf)
    rows, columns = np.mgrid[top:bottom, left:right].astype(np.float64)
    pen = x
    for letter in text:
        width, _ = _GLYPHS[letter]
        near = slice(max(int(pen - reach) - left, 0), max(int(pen + width * scale + reach) + 2 - left, 0))
        for first, second in _segments(letter):
            start = np.array([pen, y]) + scale * np.array(first)
            end = np.array([pen, y]) + scale * np.array(second)
            part = _distance(columns[:, near], rows[:, near], start, end)
            distance[:, near] = np.minimum(distance[:, near], part)
        pen += (width + _GAP) * scale
    area = picture[top:bottom, left:right]
    for tone, half in ((np.zeros(3), stroke / 2 + _HALO * scale), (np.asarray(colour, float), stroke / 2)):
        cover = np.clip(half + 0.5 - distance, 0, 1)[..., None] * (0.65 if half > stroke / 2 else 1.0)
        area[:] = np.rint(area * (1 - cover) + tone * cover)


@cache
def _segments(letter: str) -> tuple[tuple[tuple[float, float], tuple[float, float]], ...]:
    return tuple(pair for stroke in _GLYPHS[letter][1] for pair in pairwise(stroke))


def _distance(
    x: NDArray[np.float64], y: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance of points to a line between two points, px."""
    along = end - start
    share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(float(along @ along), 1e-12)
    share = np.clip(share, 0, 1)
    return np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1])
