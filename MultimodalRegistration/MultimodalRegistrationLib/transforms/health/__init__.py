"""Whether a transform is one that a body could undergo."""
