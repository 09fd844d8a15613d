"""elastix, ANTs and SimpleITK in child processes, and the presets that hold their settings."""
