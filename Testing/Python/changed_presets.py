"""Presets with other settings, for what would take long as they are."""

from __future__ import annotations

import dataclasses
from typing import Any

from MultimodalRegistrationLib.engines.presets.preset import Preset, find_preset


def changed(name: str, engine: str, settings: dict[str, Any]) -> Preset:
    """A preset for one engine, with other settings in each of its stages."""
    preset = find_preset(name)
    stages = [{**stage, **settings} for stage in preset.engines[engine]]
    return dataclasses.replace(preset, engines={engine: stages})


def affordable(name: str, engine: str) -> Preset:
    """A preset as it is; of SimpleITK, whose time is that of its samples, with as many as such small volumes need."""
    return changed(name, engine, {"samples": 40_000}) if engine == "simpleitk" else find_preset(name)
