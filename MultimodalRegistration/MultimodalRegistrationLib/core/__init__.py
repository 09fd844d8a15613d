"""grids, frames, points, volumes and errors: what every other package speaks of."""
