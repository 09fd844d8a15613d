"""Global search for the pose of one volume on another."""
