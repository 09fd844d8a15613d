"""Names that Slicer has for Python, read from its sources, and the check of the modules against them."""
