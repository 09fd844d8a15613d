"""What two volumes say about a transform between them."""
