"""Registration from pairs of landmarks: models, pairing, findings and errors."""
