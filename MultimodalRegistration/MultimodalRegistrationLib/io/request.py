"""The two volumes of a job as its request names them."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.request import Request, option
from .volumes import VOLUME_SUFFIXES


@dataclass(frozen=True, kw_only=True)
class VolumePairFields(Request):
    """The two volumes of a job."""

    fixed: str = option(
        f"volume that stays: {', '.join(VOLUME_SUFFIXES)} or the folder of one DICOM series", kind="volume", metavar="F"
    )
    moving: str = option("volume that is moved onto it; likewise", kind="volume", metavar="M")
