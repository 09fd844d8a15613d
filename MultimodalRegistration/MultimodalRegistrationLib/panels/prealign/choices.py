"""What can be chosen in the panel. Scenes keep the names of the members."""

from __future__ import annotations

import enum
from typing import Literal

from slicer.i18n import tr as _

from ...core.points import Pairing
from ...landmarks.models import ModelName

__all__ = ["ModelChoice", "PairingChoice", "ShapeModelChoice"]


class PairingChoice(enum.Enum):
    """Which point belongs to which."""

    ORDER = "order"
    LABEL = "label"
    AUTO = "auto"

    def label(self) -> str:
        """Text in the panel."""
        return {"order": _("order in the lists"), "label": _("label"), "auto": _("position (find automatically)")}[
            self.value
        ]

    @property
    def how(self) -> Pairing:
        """Name in the library."""
        names: dict[str, Pairing] = {"order": "order", "label": "label", "auto": "auto"}
        return names[self.value]


class ModelChoice(enum.Enum):
    """What is fitted."""

    RIGID = "rigid"
    RECOMMENDED = "auto"
    TRANSLATION = "translation"
    SIMILARITY = "similarity"
    AFFINE = "affine"
    THIN_PLATE_SPLINE = "tps"

    def label(self) -> str:
        """Text in the panel."""
        return {
            "rigid": _("Rigid: rotation and translation"),
            "auto": _("Recommended by the points"),
            "translation": _("Translation only"),
            "similarity": _("Similarity: rigid and one scale"),
            "affine": _("Affine: scales and shears too"),
            "tps": _("Thin-plate spline: bends"),
        }[self.value]

    @property
    def model(self) -> ModelName | Literal["auto"]:
        """Name in the library."""
        names: dict[str, ModelName | Literal["auto"]] = {
            "rigid": "rigid",
            "auto": "auto",
            "translation": "translation",
            "similarity": "similarity",
            "affine": "affine",
            "tps": "tps",
        }
        return names[self.value]


class ShapeModelChoice(enum.Enum):
    """What is fitted to shapes."""

    RIGID = "rigid"
    SIMILARITY = "similarity"
    AFFINE = "affine"

    def label(self) -> str:
        """Text in the panel."""
        return ModelChoice(self.value).label()

    @property
    def model(self) -> Literal["rigid", "similarity", "affine"]:
        """Name in the library."""
        names: dict[str, Literal["rigid", "similarity", "affine"]] = {
            "rigid": "rigid",
            "similarity": "similarity",
            "affine": "affine",
        }
        return names[self.value]
