"""Frames, grids and linear transforms."""
