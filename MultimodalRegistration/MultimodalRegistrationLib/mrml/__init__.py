"""MRML nodes in an explicit scene: nodes into files and requests, results into nodes."""
