"""registration from pairs of points or from surfaces, and the errors to expect of it."""
