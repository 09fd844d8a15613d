"""Agreement of segmented structures."""
