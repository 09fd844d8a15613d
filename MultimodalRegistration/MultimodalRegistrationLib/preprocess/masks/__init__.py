"""Masks: from labels and intensities, grown and shrunk in mm, and found without being asked."""
