"""What a measurement of transforms is asked to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.errors import InputError
from ..core.request import Request, both_or_none, option
from ..io.request import VolumePairFields
from ..landmarks.request import TargetFields
from .targets import TG_132


@dataclass(frozen=True, kw_only=True)
class AssessRequest(TargetFields, VolumePairFields):
    """Transforms of two volumes, and what they are measured against."""

    transform: tuple[str, ...] = option(
        "transform or displacement field of ITK (as Slicer saves it for the moving volume), elastix, ANTs and others; "
        "repeat to compare several",
        kind="file",
        metavar="T",
        repeated=True,
        column=False,
        default=(),
    )
    reference: str | None = option("a transform that is known to be right", kind="file", metavar="T", default=None)
    fixed_segmentation: str | None = option(
        "structures in the fixed volume", kind="segmentation", metavar="S", default=None
    )
    moving_segmentation: str | None = option(
        "structures in the moving volume", kind="segmentation", metavar="S", default=None
    )
    region: str | None = option(
        "mask on the fixed volume: the part that counts", kind="mask", metavar="FILE", default=None
    )
    tolerance_mm: float | None = option(
        f"acceptable mean error ({TG_132.mm:g} mm, {TG_132.name})",
        metavar="MM",
        minimum=0,
        above_minimum=True,
        default=None,
    )

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[InputError]:
        """Fields that need each other."""
        yield from super().conflicts(given)
        yield from both_or_none(given, "fixed_segmentation", "moving_segmentation")


@dataclass(frozen=True, kw_only=True)
class AssessOutputs(Request):
    """Where the measurements go, and what the files do not tell."""

    output_dir: str = option("new or empty folder for the results", kind="output", metavar="D")
    json: str | None = option("every number, also here", kind="output", metavar="R.json", default=None)
    no_maps: bool = option("leave out the maps, which take most of the disk", default=False)
    handover: str | None = option(
        "for programs that run this one: their names and records of the files",
        kind="file",
        metavar="H.json",
        default=None,
    )
