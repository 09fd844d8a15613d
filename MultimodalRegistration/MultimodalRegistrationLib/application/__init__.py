"""The Slicer application without widgets: views, settings, engine packages, sample data."""
