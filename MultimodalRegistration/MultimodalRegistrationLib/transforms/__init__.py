"""inverting, composing, applying, comparing and checking transforms."""
