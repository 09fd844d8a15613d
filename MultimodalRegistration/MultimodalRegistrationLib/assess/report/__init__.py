"""The report of registration quality: one HTML file that needs nothing else."""
