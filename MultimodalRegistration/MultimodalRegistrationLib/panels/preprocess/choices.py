"""What can be chosen in the panel, as its parameter node keeps it."""

from __future__ import annotations

import enum

from slicer.i18n import tr as _

from ...preprocess.steps import ROLES, Role

__all__ = ["BiasCorrection", "Pairing", "Prealignment"]


class Prealignment(enum.Enum):
    """How the moving volume is brought near the fixed one."""

    SEARCH = "search"
    TRANSFORM = "transform"
    LANDMARKS = "landmarks"

    def label(self) -> str:
        """In the list."""
        return {
            Prealignment.SEARCH: _("Search all poses"),
            Prealignment.TRANSFORM: _("Transform"),
            Prealignment.LANDMARKS: _("Landmarks"),
        }[self]


class Pairing(enum.Enum):
    """Which landmark belongs to which."""

    ORDER = "order"
    LABEL = "label"
    AUTO = "auto"

    def label(self) -> str:
        """In the list."""
        return {
            Pairing.ORDER: _("First to first, second to second"),
            Pairing.LABEL: _("Points of the same name"),
            Pairing.AUTO: _("Whichever pairs fit best"),
        }[self]


class BiasCorrection(enum.Enum):
    """Whose bias field is taken out."""

    NONE = "none"
    MOVING = "moving"
    FIXED = "fixed"
    BOTH = "both"

    def label(self) -> str:
        """In the list."""
        return {
            BiasCorrection.NONE: _("Leave as it is"),
            BiasCorrection.MOVING: _("Correct the moving volume"),
            BiasCorrection.FIXED: _("Correct the fixed volume"),
            BiasCorrection.BOTH: _("Correct both"),
        }[self]

    @property
    def roles(self) -> tuple[Role, ...]:
        """The volumes."""
        return tuple(role for role in ROLES if self in (BiasCorrection.BOTH, BiasCorrection(role)))
