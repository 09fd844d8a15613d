"""What a registration of structures that move separately is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.request import Request, option
from ..engines.presets.preset import DEFAULT_PRESET, Preset
from ..io.request import VolumePairFields
from ..landmarks.request import LandmarkFields
from ..register.request import SeedField, VerdictFields, engine_option, preset_option
from .report import RESULT_FILE
from .structure import DEFAULT_MARGIN_MM


@dataclass(frozen=True, kw_only=True)
class PolyrigidRequest(VerdictFields, SeedField, LandmarkFields, VolumePairFields):
    """Structures of the fixed volume, each registered on its own, and the start that all have in common."""

    segmentation: str = option(
        ".seg.nrrd or label map of the fixed volume: the structures", kind="segmentation", metavar="S"
    )
    segments: tuple[str, ...] = option(
        "names or labels; the others are masked only; default: all", metavar="NAME", default=()
    )
    initial_transform: str | None = option(
        "linear ITK transform that all have in common, fixed to moving; default: a search of all poses",
        kind="file",
        metavar="T0",
        default=None,
    )
    margin_mm: float = option(
        "around each structure that is compared (%(default)g)", metavar="MM", minimum=0, default=DEFAULT_MARGIN_MM
    )
    preset: str | Preset = preset_option("rigid; default: %(default)s", default=DEFAULT_PRESET)
    engine: str | None = engine_option()
    max_translation_mm: float | None = option(
        "how far a structure may be from where the initial transform puts it; default: by how far that is off",
        metavar="MM",
        minimum=0,
        default=None,
    )
    max_rotation_deg: float | None = option("likewise", metavar="DEG", minimum=0, maximum=180, default=None)


@dataclass(frozen=True, kw_only=True)
class PolyrigidOutputs(Request):
    """Where the results go, and how many structures are registered at a time."""

    output_dir: str = option("new or empty folder for the results", kind="output", metavar="D")
    json: str | None = option(f"{RESULT_FILE}, also here", kind="output", metavar="R.json", default=None)
    workers: int | None = option(
        "structures at a time; default: by cores and free memory", metavar="N", minimum=1, default=None
    )
