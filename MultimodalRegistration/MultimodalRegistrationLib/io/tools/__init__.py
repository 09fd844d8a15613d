"""Transforms in the files of other tools, one file for each tool; ``choose`` picks the reader and the writer."""
