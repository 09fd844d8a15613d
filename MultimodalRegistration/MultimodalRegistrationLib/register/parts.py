"""A chain of presets as parts that are run one after the other: each all linear, or all bending."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..core.errors import InputError
from ..engines.presets.model import Preset
from ..engines.presets.specification import bends
from .masks import Masks

__all__ = ["Part", "plan_parts"]


@dataclass(frozen=True)
class Part:
    """Stages of one engine that are all linear, or all bend.

    Parameters
    ----------
    preset : Preset
        Holds them for that engine.
    engine : str
        Name.
    bends : bool
        Whether they do.
    masks : Masks
        For all of them.
    """

    preset: Preset
    engine: str
    bends: bool
    masks: Masks


def plan_parts(chain: Sequence[tuple[Preset, str, Masks]]) -> list[Part]:
    """Split presets where linear stages end, and join linear stages that can be one run, whose end is judged.

    Parameters
    ----------
    chain : sequence of (Preset, str, Masks)
        With the engine of each.

    Raises
    ------
    InputError
        The first stage bends, or a linear one follows one that bends.
    """
    parts: list[Part] = []
    for preset, engine, masks in chain:
        first, *others = _parts_of(preset, engine, masks)
        parts = [*parts[:-1], *_joined(parts[-1], first), *others] if parts else [first, *others]
    _check_order(parts)
    return parts


def _parts_of(preset: Preset, engine: str, masks: Masks) -> list[Part]:
    parts: list[Part] = []
    for stage in preset.engines[engine]:
        bent = bends(engine, stage)
        if parts and parts[-1].bends == bent:
            together = [*parts[-1].preset.engines[engine], stage]
            parts[-1] = Part(_only(preset, engine, together), engine, bent, masks)
        else:
            parts.append(Part(_only(preset, engine, [stage]), engine, bent, masks))
    return parts


def _joined(before: Part, after: Part) -> list[Part]:
    if before.bends or after.bends or before.engine != after.engine or before.masks is not after.masks:
        return [before, after]
    # One run gets one copy of the volumes.
    if _intensities(before) != _intensities(after):
        return [before, after]
    stages = [*before.preset.engines[before.engine], *after.preset.engines[after.engine]]
    names = f"{before.preset.name}, {after.preset.name}"
    joined = dataclasses.replace(_only(before.preset, before.engine, stages), name=names)
    return [dataclasses.replace(before, preset=joined)]


def _intensities(part: Part) -> tuple[tuple[float, float], float]:
    return part.preset.winsorize_percentiles, part.preset.equalised_shares.get(part.engine, 0.0)


def _only(preset: Preset, engine: str, stages: list[dict[str, Any]]) -> Preset:
    return dataclasses.replace(preset, engines={**preset.engines, engine: stages})


def _check_order(parts: Sequence[Part]) -> None:
    if parts[0].bends:
        raise InputError(
            parts[0].preset.name,
            "this preset only bends, and nothing has brought the volumes together before it",
            "Put a linear preset first, such as: --preset rigid --then warp, or choose the preset deformable.",
        )
    for before, after in pairwise(parts):
        if before.bends and not after.bends:
            raise InputError(
                after.preset.name,
                f"its linear stages would follow '{before.preset.name}', which bends",
                "Put linear presets before those that bend.",
            )
