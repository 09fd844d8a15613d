"""The panel of the module FiducialPrealign."""
