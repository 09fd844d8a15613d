"""Landmark files: Slicer's markups, tables and plain text."""

from MultimodalRegistrationLib.io.landmarks.reading import LANDMARK_SUFFIXES, read_landmarks
from MultimodalRegistrationLib.io.landmarks.writing import OUTPUT_LANDMARK_SUFFIXES, write_landmarks

__all__ = ["LANDMARK_SUFFIXES", "OUTPUT_LANDMARK_SUFFIXES", "read_landmarks", "write_landmarks"]
