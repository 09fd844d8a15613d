"""Landmark files: Slicer's markups, tables and plain text."""

from .reading import LANDMARK_SUFFIXES, read_landmarks
from .writing import OUTPUT_LANDMARK_SUFFIXES, write_landmarks

__all__ = ["LANDMARK_SUFFIXES", "OUTPUT_LANDMARK_SUFFIXES", "read_landmarks", "write_landmarks"]
