"""MRML nodes, in a scene that the caller gives; no Slicer application is needed."""
