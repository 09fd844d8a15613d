"""pytest fixture of the stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from StandIn.install import StandIn


@pytest.fixture
def slicer_app() -> Iterator[StandIn]:
    """Slicer with a fresh scene. Fails on unseen errors of connected functions and on what modules left running."""
    from StandIn.install import StandIn  # Qt is loaded for the tests that need it only

    standin = StandIn()
    yield standin
    errors = list(standin.slot_errors)
    left = standin.uninstall()
    if left:
        raise AssertionError(f"left behind by the modules: {', '.join(left)}")
    if errors:
        raise AssertionError(f"{len(errors)} errors in connected functions") from errors[0]
