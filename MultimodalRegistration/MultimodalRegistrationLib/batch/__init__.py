"""A whole study, unattended: its cases, their runs and what came of them."""
