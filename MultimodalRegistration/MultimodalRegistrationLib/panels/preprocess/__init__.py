"""The panel that prepares two volumes for a registration."""
