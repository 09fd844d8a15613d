"""Presets: one JSON file per purpose, with settings for every engine that it supports."""
