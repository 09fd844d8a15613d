"""A later stage as one text: a preset, and after commas settings such as ``engine=E`` and ``fixed-mask=L``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..core.errors import InputError
from ..engines.catalogue import ENGINES
from ..engines.presets.model import Preset
from ..engines.presets.specification import suggest
from ..engines.presets.store import find_preset
from ..io.roi import read_roi
from ..io.volumes import read_mask
from .chain import NextStage
from .masks import Masks
from .run import select_engine

__all__ = ["MASK_KEYS", "ROI_KEYS", "Then", "split_then", "then_of"]

MASK_KEYS = ("fixed-mask", "moving-mask")
ROI_KEYS = ("fixed-roi", "moving-roi")
_KEYS = ("engine", *MASK_KEYS, *ROI_KEYS)
_SETTING = re.compile(r",\s*(?=[\w-]+=)")


@dataclass(frozen=True)
class Then:
    """A later stage, checked; its masks are not read yet.

    Parameters
    ----------
    preset : Preset
        Settings.
    engine : str
        Name.
    fixed_mask, moving_mask : str or None
        Label maps.
    fixed_roi, moving_roi : str or None
        Markups files.
    """

    preset: Preset
    engine: str
    fixed_mask: str | None
    moving_mask: str | None
    fixed_roi: str | None
    moving_roi: str | None

    @property
    def files(self) -> list[str]:
        """Files that it names."""
        given = (self.fixed_mask, self.moving_mask, self.fixed_roi, self.moving_roi)
        return [str(self.preset.path), *(path for path in given if path is not None)]

    def read(self) -> NextStage:
        """Read the masks and ROIs."""
        fixed, moving = (None if path is None else read_mask(path) for path in (self.fixed_mask, self.moving_mask))
        boxes = [None if path is None else read_roi(path) for path in (self.fixed_roi, self.moving_roi)]
        return NextStage(self.preset, self.engine, Masks(fixed, moving, *boxes))


def split_then(text: str) -> tuple[str, dict[str, str]]:
    """The preset of a stage, and its settings by their keys.

    Raises
    ------
    InputError
        An unknown key, or one without a value.
    """
    # Names of presets and paths may hold commas.
    name, *settings = _SETTING.split(text)
    given: dict[str, str] = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in _KEYS or not value:
            raise InputError(
                f"--then {text}",
                f"'{setting}' is no setting of a stage",
                f"Use {', '.join(f'{known}=...' for known in _KEYS)}.{suggest(key, list(_KEYS))}",
            )
        given[key] = value
    return name, given


def then_of(text: str) -> Then:
    """Check a stage.

    Raises
    ------
    InputError
        An unknown preset, key or engine.
    EngineNotInstalledError
        No engine of the preset is installed.
    """
    name, given = split_then(text)
    engine = given.get("engine")
    if engine is not None and engine not in ENGINES:
        raise InputError(f"--then {text}", f"no engine '{engine}'", f"Use one of {', '.join(ENGINES)}.")
    preset = find_preset(name)
    return Then(preset, select_engine(preset, engine), *(given.get(key) for key in (*MASK_KEYS, *ROI_KEYS)))
