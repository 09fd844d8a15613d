"""The panel of the registration module."""
