"""Pairs of points as the request of a job names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..core.errors import InputError
from ..core.points import Pairing, Pairs
from ..core.request import Request, both_or_none, option
from ..io.landmarks import read_landmarks
from ..io.request import VolumePairFields
from .models import MODELS, ModelName
from .pairing import pair_landmarks, pair_targets

_SURFACE = ".stl, .ply, .obj, .vtk, .vtp, or a label map or segmentation"
_SPACE = "coordinates of point files that do not state them"


@dataclass(frozen=True, kw_only=True)
class SpaceFields(Request):
    """Coordinate systems of point files that do not state theirs."""

    fixed_space: Literal["LPS", "RAS"] | None = option(_SPACE, default=None)
    moving_space: Literal["LPS", "RAS"] | None = option(_SPACE, default=None)


@dataclass(frozen=True, kw_only=True)
class LandmarkFields(SpaceFields):
    """Landmarks in both volumes."""

    fixed_landmarks: str | None = option(
        "points in the fixed volume: .mrk.json, .fcsv, .csv", kind="file", metavar="A", default=None
    )
    moving_landmarks: str | None = option("the same points in the moving one", kind="file", metavar="B", default=None)
    pairing: Pairing = option("how points are paired (%(default)s)", default="order")

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[InputError]:
        """One list without the other."""
        yield from super().conflicts(given)
        yield from both_or_none(given, "fixed_landmarks", "moving_landmarks")

    def read_pairs(self, *, mirrored_allowed: bool = False) -> Pairs | None:
        """Read both lists and pair their points; None where neither is given.

        Raises
        ------
        InputError
            Points that cannot be paired.
        """
        fixed, moving = self.fixed_landmarks, self.moving_landmarks
        if fixed is None or moving is None:
            return None
        return pair_landmarks(
            read_landmarks(fixed, space=self.fixed_space),
            read_landmarks(moving, space=self.moving_space),
            how=self.pairing,
            mirrored_allowed=mirrored_allowed,
        )


@dataclass(frozen=True, kw_only=True)
class TargetFields(SpaceFields):
    """Independent points in both volumes, at which the target registration error is measured."""

    targets_fixed: str | None = option(
        "independent points in the fixed volume", kind="file", metavar="TA", default=None
    )
    targets_moving: str | None = option("the same points in the moving volume", kind="file", metavar="TB", default=None)

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[InputError]:
        """One list without the other."""
        yield from super().conflicts(given)
        yield from both_or_none(given, "targets_fixed", "targets_moving")

    def read_targets(self) -> Pairs | None:
        """Read and pair the targets; None where there are none.

        Raises
        ------
        InputError
            Points that cannot be paired.
        """
        fixed, moving = self.targets_fixed, self.targets_moving
        if fixed is None or moving is None:
            return None
        return pair_targets(
            read_landmarks(fixed, space=self.fixed_space), read_landmarks(moving, space=self.moving_space)
        )


@dataclass(frozen=True, kw_only=True)
class PrealignRequest(TargetFields, LandmarkFields):
    """Pairs of landmarks, or surfaces, and the model that is fitted to them."""

    fixed_surface: str | None = option(f"shape in the fixed volume: {_SURFACE}", kind="file", metavar="S", default=None)
    fixed_label: int | None = option("the value of a label map to take", metavar="N", default=None)
    moving_surface: str | None = option(
        f"shape in the moving volume: {_SURFACE}", kind="file", metavar="S", default=None
    )
    moving_label: int | None = option("the value of a label map to take", metavar="N", default=None)
    overlap: str = option(
        "share of a shape that has a counterpart on the other, 0.05 to 1; auto (default) finds it",
        metavar="auto|SHARE",
        default="auto",
    )
    initial_transform: str | None = option(
        "linear ITK transform: another start for shapes", kind="file", metavar="T0", default=None
    )
    seed: int = option(
        "of the random draws of a registration by shape", metavar="N", minimum=0, column=False, default=0
    )
    model: ModelName | Literal["auto"] = option("default: %(default)s", choices=(*MODELS, "auto"), default="rigid")
    weights: str | None = option(
        "columns label and weight, sd_mm, or standard deviations by direction",
        kind="file",
        metavar="W.csv",
        default=None,
    )
    stiffness_mm: float = option(
        "of a thin-plate spline; 0 passes through all points", metavar="MM", minimum=0, default=0.0
    )
    allow_reflection: bool = option("the transform may mirror", default=False)
    localisation_error_mm: float | None = option(
        "RMS error of placing a landmark, both volumes together; default: what the fiducial error suggests",
        metavar="MM",
        default=None,
    )
    reference: str | None = option(
        "a volume: the expected error is stated at its worst place, and the grid of a thin-plate spline covers it; "
        "default: the surroundings of the landmarks",
        kind="volume",
        metavar="F",
        default=None,
    )

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[InputError]:
        """With a surface on one side, landmarks may be on the other alone."""
        has_surface = "fixed_surface" in given or "moving_surface" in given
        yield from super().conflicts(
            {name: value for name, value in given.items() if not (has_surface and name.endswith("_landmarks"))}
        )


@dataclass(frozen=True, kw_only=True)
class PrealignOutputs(Request):
    """Where the transform goes."""

    output_transform: str | None = option(
        "loads in Slicer as a transform node for the moving volume; a thin-plate spline is written as a grid",
        kind="output",
        metavar="T.h5",
        default=None,
    )
    json: str | None = option("everything about the fit, for scripts", kind="output", metavar="R.json", default=None)


@dataclass(frozen=True, kw_only=True)
class RefineRequest(LandmarkFields, VolumePairFields):
    """Landmarks that were placed roughly in the moving volume, and the volumes."""

    only: tuple[str, ...] = option(
        "of a fixed landmark; may be repeated; default: all pairs", metavar="LABEL", repeated=True, default=()
    )


@dataclass(frozen=True, kw_only=True)
class RefineOutputs(Request):
    """Where the refined landmarks go."""

    output_landmarks: str | None = option(
        "the moving landmarks: .mrk.json, .fcsv, .csv", kind="output", metavar="B2", default=None
    )
    json: str | None = option(
        "what became of each landmark, for scripts", kind="output", metavar="R.json", default=None
    )
