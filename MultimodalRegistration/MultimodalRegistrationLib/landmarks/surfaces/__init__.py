"""Registration by shape: surfaces, the distance between them, and iterative closest points."""
