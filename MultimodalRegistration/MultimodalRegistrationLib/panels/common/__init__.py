"""Small parts that panels of several modules use."""
