"""Observers of MRML nodes that end with the widget that has them."""

from __future__ import annotations

from typing import Any


class Observers:
    """Observed objects and tags; cleared when the widget is destroyed, so it must not refer to the widget."""

    def __init__(self) -> None:
        self._tags: list[tuple[Any, int]] = []

    def add(self, observed: Any, event: Any, callback: Any) -> None:
        self._tags.append((observed, observed.AddObserver(event, callback)))

    def clear(self) -> None:
        for observed, tag in self._tags:
            observed.RemoveObserver(tag)
        self._tags.clear()
