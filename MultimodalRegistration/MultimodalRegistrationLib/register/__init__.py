"""one registration: check, prepare, search, refine, judge."""
