"""The stages of a registration as parts that are run one after the other: each all linear, or all deformable."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..core.errors import InputError
from ..engines.catalogue import PREFERENCE, choose_engine, is_deformable
from ..engines.presets.preset import Preset, find_preset
from ..preprocess.steps import Steps, find_steps
from .masks import Masks
from .request import RegisterRequest

_NO_MASKS = Masks()


@dataclass(frozen=True)
class Part:
    """Stages of one engine that are all linear, or all deformable.

    Parameters
    ----------
    preset : Preset
        Holds them for that engine.
    engine : str
        Name.
    is_deformable : bool
        Which of the two.
    masks : Masks
        For all of them.
    """

    preset: Preset
    engine: str
    is_deformable: bool
    masks: Masks


@dataclass(frozen=True)
class Plan:
    """What a registration will do, checked.

    Parameters
    ----------
    parts : tuple of Part
        In their order; the first one is linear.
    steps : Steps
        What is done to copies of the volumes first.
    """

    parts: tuple[Part, ...]
    steps: Steps

    @property
    def first(self) -> Part:
        """The linear part that the search leads to."""
        return self.parts[0]

    @property
    def later(self) -> tuple[Part, ...]:
        """What follows."""
        return self.parts[1:]


def make_plan(request: RegisterRequest, masks: Sequence[Masks] | None = None) -> Plan:
    """Find presets, engines and steps; split presets where linear stages end, and join linear ones that can be one run.

    Parameters
    ----------
    request : RegisterRequest
        What is asked for.
    masks : sequence of Masks, optional
        Of each stage; by default none.

    Raises
    ------
    InputError
        An unknown preset, or one without settings for the engine; the first stage is deformable, or a linear one
        follows one that is.
    EngineNotInstalledError
        None of a preset's engines is installed.
    """
    parts: list[Part] = []
    for stage, own in zip(request.stages, masks or [_NO_MASKS] * len(request.stages), strict=True):
        preset = find_preset(stage.preset)
        first, *others = _parts_of(preset, select_engine(preset, stage.engine), own)
        parts = [*parts[:-1], *_joined(parts[-1], first), *others] if parts else [first, *others]
    _check_order(parts)
    return Plan(tuple(parts), find_steps(request.preprocess))


def select_engine(preset: Preset, engine: str | None) -> str:
    """The engine to use.

    Parameters
    ----------
    preset : Preset
        Must have settings for it.
    engine : str or None
        What the user asked for; None for the best one installed.

    Raises
    ------
    InputError
        The preset has no settings for the engine.
    EngineNotInstalledError
        None of the preset's engines is installed.
    """
    if engine is None:
        return choose_engine(list(preset.engines))
    if engine not in preset.engines:
        raise InputError(
            f"preset {preset.name}",
            f"it has no settings for the engine '{engine}'",
            f"Use one of {', '.join(preset.engines)}, or another preset.",
        )
    return engine


def fallback_warning(preset: Preset, asked: str | None, engine: str) -> str | None:
    """A sentence when another engine than the best one runs because that one is not installed, otherwise None."""
    best = next((name for name in PREFERENCE if name in preset.engines), engine)
    if asked is not None or engine == best:
        return None
    return (
        f"The engine {best} is not installed; {engine} is used. To install it, choose it under 'Search and engine' in "
        "the panel, or see: multimodal-registration doctor"
    )


def _parts_of(preset: Preset, engine: str, masks: Masks) -> list[Part]:
    parts: list[Part] = []
    for stage in preset.engines[engine]:
        deformable = is_deformable(engine, stage)
        if parts and parts[-1].is_deformable == deformable:
            together = [*parts[-1].preset.engines[engine], stage]
            parts[-1] = Part(_only(preset, engine, together), engine, deformable, masks)
        else:
            parts.append(Part(_only(preset, engine, [stage]), engine, deformable, masks))
    return parts


def _joined(before: Part, after: Part) -> list[Part]:
    if before.is_deformable or after.is_deformable or before.engine != after.engine or before.masks is not after.masks:
        return [before, after]
    # One run gets one copy of the volumes.
    if _intensities(before) != _intensities(after):
        return [before, after]
    stages = [*before.preset.engines[before.engine], *after.preset.engines[after.engine]]
    names = f"{before.preset.name}, {after.preset.name}"
    joined = dataclasses.replace(_only(before.preset, before.engine, stages), name=names)
    return [dataclasses.replace(before, preset=joined)]


def _intensities(part: Part) -> tuple[tuple[float, float], float]:
    return part.preset.winsorize_percentiles, part.preset.histogram_equalization_shares.get(part.engine, 0.0)


def _only(preset: Preset, engine: str, stages: list[dict[str, Any]]) -> Preset:
    return dataclasses.replace(preset, engines={**preset.engines, engine: stages})


def _check_order(parts: Sequence[Part]) -> None:
    if parts[0].is_deformable:
        raise InputError(
            parts[0].preset.name,
            "this preset is only deformable, and nothing has brought the volumes together before it",
            "Put a linear preset such as rigid first, or choose the preset deformable.",
        )
    for before, after in pairwise(parts):
        if before.is_deformable and not after.is_deformable:
            raise InputError(
                after.preset.name,
                f"its linear stages would follow '{before.preset.name}', which is deformable",
                "Put linear presets before deformable ones.",
            )
