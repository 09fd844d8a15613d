"""``--then``: what is run on the result of the stages before."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from MultimodalRegistrationLib.engines.catalogue import ENGINES
from MultimodalRegistrationLib.errors import InputError
from MultimodalRegistrationLib.io.volumes import read_mask
from MultimodalRegistrationLib.presets.model import Preset
from MultimodalRegistrationLib.presets.specification import suggest
from MultimodalRegistrationLib.presets.store import find_preset
from MultimodalRegistrationLib.registration.chain import NextStage
from MultimodalRegistrationLib.registration.masks import Masks
from MultimodalRegistrationLib.registration.run import select_engine

__all__ = ["Then", "add_then_option", "check_then"]

_KEYS = ("engine", "fixed-mask", "moving-mask")


@dataclass(frozen=True)
class Then:
    """One use of the option, checked; its masks are not read yet.

    Parameters
    ----------
    preset : Preset
        Settings.
    engine : str
        Name.
    fixed_mask, moving_mask : str or None
        Files.
    """

    preset: Preset
    engine: str
    fixed_mask: str | None
    moving_mask: str | None

    @property
    def files(self) -> list[str]:
        """Files that it names."""
        return [path for path in (str(self.preset.path), self.fixed_mask, self.moving_mask) if path is not None]

    def read(self) -> NextStage:
        """Read the masks."""
        fixed, moving = (None if path is None else read_mask(path) for path in (self.fixed_mask, self.moving_mask))
        return NextStage(self.preset, self.engine, Masks(fixed, moving))


def add_then_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that :func:`check_then` reads."""
    parser.add_argument(
        "--then",
        action="append",
        default=[],
        metavar="PRESET[,engine=E][,fixed-mask=L][,moving-mask=L]",
        help="another preset on the result so far, such as 'affine' or 'warp', which bends; may be given several times",
    )


def check_then(options: argparse.Namespace) -> list[Then]:
    """Check every use of the option.

    Raises
    ------
    InputError
        An unknown preset, key or engine.
    EngineNotInstalledError
        No engine of the preset is installed.
    """
    return [_stage(text) for text in options.then]


def _stage(text: str) -> Then:
    name, *settings = text.split(",")
    given: dict[str, str] = {}
    for setting in settings:
        key, separator, value = setting.partition("=")
        if key not in _KEYS or not separator or not value:
            raise InputError(
                f"--then {text}",
                f"'{setting}' is no setting of a stage",
                f"Use {', '.join(f'{known}=...' for known in _KEYS)}.{suggest(key, list(_KEYS))}",
            )
        given[key] = value
    engine = given.get("engine")
    if engine is not None and engine not in ENGINES:
        raise InputError(f"--then {text}", f"no engine '{engine}'", f"Use one of {', '.join(ENGINES)}.")
    preset = find_preset(name)
    return Then(preset, select_engine(preset, engine), given.get("fixed-mask"), given.get("moving-mask"))
