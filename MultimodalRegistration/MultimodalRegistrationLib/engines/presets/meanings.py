"""What each parameter of a preset means, in one line."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from .specification import STAGE_SETTINGS

__all__ = ["meaning_of"]


def meaning_of(engine: str, parameter: str) -> str:
    """The meaning of a parameter, with its unit and the values it may have.

    Parameters
    ----------
    engine : str
        Name of the engine.
    parameter : str
        As in the preset.

    Returns
    -------
    str
        Of an elastix parameter that no preset of this project uses, where its meaning is documented.
    """
    if engine == "elastix":
        return _elastix_meanings().get(parameter, "See the manual of elastix, https://elastix.dev.")
    setting = STAGE_SETTINGS[engine].get(parameter)
    return "" if setting is None else f"{setting.meaning}: {setting.expects}."


@cache
def _elastix_meanings() -> dict[str, str]:
    path = Path(__file__).with_name("elastix_meanings.json")
    content: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return content
