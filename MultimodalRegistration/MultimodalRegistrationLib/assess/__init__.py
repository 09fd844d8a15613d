"""how good transforms are, in numbers, pictures and a report."""
