"""pytest fixture of the stand-in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from StandIn.install import StandIn


@pytest.fixture
def slicer_app() -> Iterator[StandIn]:
    """Slicer with a fresh scene. Fails when a connected function raised and the test did not look."""
    standin = StandIn()
    yield standin
    errors = list(standin.slot_errors)
    standin.uninstall()
    if errors:
        raise AssertionError(f"{len(errors)} errors in connected functions") from errors[0]
