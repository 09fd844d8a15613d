"""The widgets of the modules."""
