"""A whole study run unattended: its cases on this computer or a cluster, and what came of them."""
