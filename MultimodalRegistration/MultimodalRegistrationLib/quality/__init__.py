"""What is measured on a registration that is there already."""
