"""structures that move separately: a rigid transform of each, and one transform of all."""
