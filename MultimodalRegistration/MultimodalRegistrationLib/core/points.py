"""Landmark lists as the rest of the package sees them: world coordinates, LPS, mm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

# By position in the lists, by label, or found from the distances between the points.
Pairing = Literal["order", "label", "auto"]
PAIRINGS: tuple[Pairing, ...] = get_args(Pairing)


def plain_label(label: str) -> str:
    """A label as it is compared with others: case and blanks do not count."""
    return "".join(label.split()).casefold()


@dataclass(frozen=True)
class Landmark:
    """One landmark of a list.

    Parameters
    ----------
    label : str
        As the user sees it; may be empty.
    position_lps : tuple of 3 float, or None
        World coordinates, LPS, mm; None where the point was not placed.
    selected : bool, optional
        Unselected points are left out, as everywhere in Slicer. Locked and hidden points are used: there, a lock only
        stops the mouse and hiding only concerns the display.
    """

    label: str
    position_lps: tuple[float, float, float] | None
    selected: bool = True

    @property
    def placed(self) -> bool:
        """Whether it has a position."""
        return self.position_lps is not None


@dataclass(frozen=True)
class LandmarkList:
    """Landmarks of one volume, in the order of the file or node.

    Parameters
    ----------
    name : str
        File or node, for messages.
    landmarks : tuple of Landmark
        All of them, also those that are not placed or not selected.
    """

    name: str
    landmarks: tuple[Landmark, ...]

    @classmethod
    def of_points(cls, name: str, points_lps: NDArray[np.float64], labels: list[str] | None = None) -> LandmarkList:
        """Make a list of placed, selected points, shape (N, 3), LPS, mm; labels are the numbers from 1 by default."""
        labels = labels or [str(number + 1) for number in range(len(points_lps))]
        return cls(
            name,
            tuple(
                Landmark(label, (float(point[0]), float(point[1]), float(point[2])))
                for label, point in zip(labels, points_lps, strict=True)
            ),
        )

    @property
    def used(self) -> tuple[int, ...]:
        """Indices of the landmarks that are placed and selected."""
        return tuple(i for i, landmark in enumerate(self.landmarks) if landmark.placed and landmark.selected)

    @property
    def unused_notes(self) -> tuple[str, ...]:
        """Which landmarks are left out and why, a sentence each."""
        return tuple(
            f"{self.name}: {self.called(i)} is not {'selected' if one.placed else 'placed'} and was left out."
            for i, one in enumerate(self.landmarks)
            if not (one.placed and one.selected)
        )

    @property
    def points_lps(self) -> NDArray[np.float64]:
        """Positions, shape (N, 3), LPS, mm; rows of NaN where a point is not placed."""
        rows = [landmark.position_lps or (np.nan,) * 3 for landmark in self.landmarks]
        return np.array(rows, dtype=np.float64).reshape(-1, 3)

    def called(self, index: int) -> str:
        """How messages call the landmark ``index``: its label, or its number from 1 where it has none."""
        label = " ".join(self.landmarks[index].label.split())
        return f"'{label}'" if label else f"number {index + 1}"


@dataclass(frozen=True)
class Pairs:
    """Which landmarks belong together.

    Parameters
    ----------
    fixed, moving : LandmarkList
        The lists.
    fixed_index, moving_index : tuple of int
        Index into the landmarks of each list, pair by pair.
    how : str
        How the pairs were found: one of :data:`PAIRINGS`.
    notes : tuple of str
        Points that were left out and why, a sentence each, naming the list and the point.
    """

    fixed: LandmarkList
    moving: LandmarkList
    fixed_index: tuple[int, ...]
    moving_index: tuple[int, ...]
    how: Pairing
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.fixed_index)

    @property
    def fixed_lps(self) -> NDArray[np.float64]:
        """Fixed points, shape (N, 3), LPS, mm."""
        return self.fixed.points_lps[list(self.fixed_index)]

    @property
    def moving_lps(self) -> NDArray[np.float64]:
        """Moving points, shape (N, 3), LPS, mm."""
        return self.moving.points_lps[list(self.moving_index)]

    @property
    def labels(self) -> tuple[str, ...]:
        """How messages call each pair: the label of the fixed point, with that of the moving one if it differs."""
        names = []
        for i, j in zip(self.fixed_index, self.moving_index, strict=True):
            one, other = self.fixed.called(i), self.moving.called(j)
            names.append(one if one == other else f"{one}/{other}")
        return tuple(names)
