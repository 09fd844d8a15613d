"""Test-only stand-in for the Slicer application on PySide6 and slicer-core."""
