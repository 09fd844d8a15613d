"""All axial planes of a volume side by side in one compressed picture, which a browser can decode."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ...io.outputs import writing

__all__ = ["jpeg_sprite", "sprite_layout"]

# Planes begin at whole blocks of JPEG, so that no plane shows through at the edge of another.
_BLOCK = 8
_QUALITY = 88


def sprite_layout(size: tuple[int, int, int]) -> tuple[int, int, int]:
    """Width and height of the tile of a plane, px, and the number of tiles in a row, for a size along I, J, K."""
    width, height = (-(-n // _BLOCK) * _BLOCK for n in size[:2])
    columns = max(1, round(float(np.sqrt(size[2] * height / width))))
    return width, height, columns


def jpeg_sprite(codes: NDArray[np.uint8]) -> str:
    """Compress planes.

    Parameters
    ----------
    codes : array, shape (K, J, I)
        Grey values.

    Returns
    -------
    str
        Data URI of a JPEG; plane k is in column ``k % columns`` and row ``k // columns``.
    """
    planes, rows, across = codes.shape
    width, height, columns = sprite_layout((across, rows, planes))
    lines = -(-planes // columns)
    tiles = np.zeros((lines * columns, height, width), dtype=np.uint8)
    # Repeating the last row and column compresses better than a step to black.
    tiles[:planes] = np.pad(codes, ((0, 0), (0, height - rows), (0, width - across)), mode="edge")
    sheet = tiles.reshape(lines, columns, height, width).swapaxes(1, 2).reshape(lines * height, columns * width)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sprite.jpg"
        with writing(path):
            sitk.WriteImage(sitk.GetImageFromArray(np.ascontiguousarray(sheet)), str(path), True, _QUALITY)
        data = path.read_bytes()
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"
