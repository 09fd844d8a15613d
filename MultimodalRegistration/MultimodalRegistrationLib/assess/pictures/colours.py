"""Colours of pictures, told apart also by those who do not see red and green as different."""

from __future__ import annotations

import numpy as np

__all__ = ["EDGE_COLOUR", "FIXED_COLOUR", "GROUND", "MARKS", "MOVING_COLOUR", "QUIET", "WORDS"]

GROUND = np.array([18, 20, 24])
WORDS = np.array([238, 238, 238])
QUIET = np.array([168, 178, 190])
MARKS = np.array([120, 200, 255])
EDGE_COLOUR = np.array([255, 176, 0])
# Their sum is white.
FIXED_COLOUR = np.array([70, 150, 255])
MOVING_COLOUR = np.array([185, 105, 0])
