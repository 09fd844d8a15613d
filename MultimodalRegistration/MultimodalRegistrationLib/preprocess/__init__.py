"""what is noticed about volumes before a registration, and what is done to copies of them."""
