"""What is done to volumes before they are registered: check, region, masks, bias field."""
