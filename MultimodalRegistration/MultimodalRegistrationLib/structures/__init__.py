"""Structures that move separately: one rigid transform for each, and one transform of all of them."""
