"""One registration, from two volumes to a transform and what is known about it."""
