"""The cores that a process may use are those it may run on, not those of the machine."""

from __future__ import annotations

import os

from MultimodalRegistrationLib.core.machine import usable_cores
from MultimodalRegistrationLib.engines.catalogue import ENGINES


def test_a_pinned_process_has_fewer(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {1, 4, 6}, raising=False)
    assert usable_cores() == 3
    assert {name: engine.default_threads for name, engine in ENGINES.items()} == {
        "elastix": 3,
        "ants": 1,
        "simpleitk": 1,
    }


def test_systems_that_do_not_pin(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert usable_cores() == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1
