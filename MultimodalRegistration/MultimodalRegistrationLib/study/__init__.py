"""many registrations: the study file, the runs, the summary."""
