"""The masks of the two volumes of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from MultimodalRegistrationLib.io.volumes import Volume
from MultimodalRegistrationLib.preprocess.steps import Role
from MultimodalRegistrationLib.registration import prepare

__all__ = ["Masks"]


# Compared and hashed by identity: voxels are not compared.
@dataclass(frozen=True, eq=False)
class Masks:
    """Which voxels of each volume are used; zeros and ones.

    Parameters
    ----------
    fixed, moving : Volume or None
        None for all voxels.
    """

    fixed: Volume | None = None
    moving: Volume | None = None

    @property
    def roles(self) -> list[Role]:
        """Volumes that have one."""
        given: list[tuple[Role, Volume | None]] = [("fixed", self.fixed), ("moving", self.moving)]
        return [role for role, mask in given if mask is not None]

    @property
    def names(self) -> list[str]:
        """What messages call them."""
        return [mask.name for mask in (self.fixed, self.moving) if mask is not None]

    def placed(self, fixed: Volume, moving: Volume, warn: Callable[[str], None]) -> Masks:
        """The same on the grids of their volumes; ``warn`` is told of those that had another one.

        Raises
        ------
        InputError
            A mask marks nothing inside its volume.
        """
        return Masks(_placed(self.fixed, fixed, warn), _placed(self.moving, moving, warn))

    def or_those_of(self, other: Masks) -> Masks:
        """Those of another where this has none; the other itself where this has none at all."""
        if self.fixed is None and self.moving is None:
            return other
        return Masks(
            other.fixed if self.fixed is None else self.fixed, other.moving if self.moving is None else self.moving
        )


def _placed(mask: Volume | None, volume: Volume, warn: Callable[[str], None]) -> Volume | None:
    if mask is None:
        return None
    placed, resampled = prepare.mask_on_grid(mask, volume)
    if resampled:
        warn(prepare.resampled_words(mask, volume))
    return placed
