"""Pictures of volumes, made without a display."""
