"""What is done with transforms: inverse, composition, application, comparison, recovery."""
