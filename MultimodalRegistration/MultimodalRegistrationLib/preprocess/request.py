"""What the preparation of two volumes is asked to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..core.errors import InputError
from ..core.request import Request, at_most_one, needs, option
from ..io.request import VolumePairFields
from ..landmarks.request import LandmarkFields
from .region import DEFAULT_MARGIN_MM


@dataclass(frozen=True, kw_only=True)
class PreprocessRequest(LandmarkFields, VolumePairFields):
    """Everything that is done to copies of two volumes: prealignment, region, masks, bias field, voxel size."""

    initial_transform: str | None = option(
        "a prealignment: linear ITK transform; default: all poses are searched", kind="file", metavar="T", default=None
    )
    roi: str | None = option("cut to this ROI, in the fixed volume", kind="file", metavar="R.mrk.json", default=None)
    segment: str | None = option(
        "cut to this label map or segmentation, in the fixed volume", kind="mask", metavar="S", default=None
    )
    segment_label: int | None = option("the value of it to take; default: all", metavar="N", default=None)
    region_landmarks: str | None = option(
        "cut to these points of the fixed volume", kind="file", metavar="P", default=None
    )
    margin_mm: float = option("around the region (%(default)g mm)", metavar="MM", minimum=0, default=DEFAULT_MARGIN_MM)
    mask: str = option(
        "what counts: without padding, table, metal and far air (auto); a label map of the fixed volume; or all",
        kind="automatic mask",
        metavar="auto|FILE|none",
        default="auto",
    )
    moving_mask: str | None = option(
        "likewise for the moving volume; default: none where the mask is none, else auto",
        kind="automatic mask",
        metavar="auto|FILE|none",
        default=None,
    )
    fixed_mask_labels: tuple[int, ...] = option(
        "the labels of the fixed mask to take, of any number of structures; default: all above zero",
        metavar="N",
        default=(),
    )
    moving_mask_labels: tuple[int, ...] = option(
        "the labels of the moving mask to take, of any number of structures; default: all above zero",
        metavar="N",
        default=(),
    )
    mask_outside: bool = option("take what is outside of the labels instead", default=False)
    mask_margin_mm: float = option("grow the masks given by this much", metavar="MM", minimum=0, default=0.0)
    bias_correct: Literal["moving", "fixed", "both", "none"] = option(
        "whose bias field is taken out (%(default)s)", default="none"
    )
    isotropic_mm: float | None = option(
        "resample both to cubic voxels of this size", metavar="MM", minimum=0, above_minimum=True, default=None
    )
    spacing_factor: float | None = option(
        "or to voxels X times as large", metavar="X", minimum=0, above_minimum=True, default=None
    )
    only_region: bool = option(
        "find the region and the prealignment only; write no volumes", column=False, default=False
    )

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[InputError]:
        """Fields that need or exclude each other."""
        yield from super().conflicts(given)
        yield from needs(given, "segment_label", "segment")
        yield from needs(given, "fixed_mask_labels", "mask")
        yield from needs(given, "moving_mask_labels", "moving_mask")
        yield from at_most_one(given, "roi", "segment", "region_landmarks")
        yield from at_most_one(given, "isotropic_mm", "spacing_factor")
        yield from at_most_one(given, "initial_transform", "fixed_landmarks")


@dataclass(frozen=True, kw_only=True)
class PreprocessOutputs(Request):
    """Where prepared volumes go."""

    output_dir: str = option("folder for the results; made if missing", kind="output", metavar="D")
    json: str | None = option("what was done, for scripts", kind="output", metavar="R.json", default=None)
