"""Structures that come close to each other on their way.

Where two structures overlap, before, after or on the way between, no smooth map moves both rigidly. An overlap of up
to two millimetres is what segmentations and registrations leave at a joint: there the nodes of both yield, which means
that they no longer move rigidly but go between. A deeper one is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.linear import apply_matrix, displacement_mm
from .flow import DistanceMap, RigidPath

CONTACT_MM = 2.0
# Structures that move alike may touch.
_ALIKE_MM = 0.05
_MAX_TIMES = 100


@dataclass(frozen=True, eq=False)
class Closeness:
    """How close the nodes of a structure come to others that move differently.

    Parameters
    ----------
    gap_mm : array, shape (K, J, I)
        Least distance on the way; infinite where it stays far, or no node is the structure's.
    room : array, shape (K, J, I)
        That distance as a share of how far the two structures move past each other there.
    """

    gap_mm: NDArray[np.float32]
    room: NDArray[np.float32]


class _Meeting(NamedTuple):
    """How deep one structure gets into another, and when."""

    depth_mm: float
    time: float


def closest_approaches(
    names: Sequence[str],
    paths: Sequence[RigidPath],
    distances: Sequence[DistanceMap],
) -> list[Closeness]:
    """Follow all structures on their way.

    Parameters
    ----------
    names : sequence of str
        Of the structures.
    paths : sequence of RigidPath
        Their ways.
    distances : sequence of DistanceMap
        To the nodes of each at time 0.

    Returns
    -------
    list of Closeness
        One for each structure.

    Raises
    ------
    InputError
        Two structures overlap by more than :data:`CONTACT_MM`.
    """
    shape = distances[0].inside.shape
    found = [Closeness(np.full(shape, np.inf, np.float32), np.full(shape, np.inf, np.float32)) for _ in names]
    for a, b in combinations(range(len(names)), 2):
        meetings = []
        for one, other in ((a, b), (b, a)):
            meetings += _follow(paths[one], paths[other], distances[one], distances[other], found[one])
        too_deep = [meeting for meeting in meetings if meeting.depth_mm > CONTACT_MM]
        if too_deep:
            # What is there before or after the motion is easier to see than what happens on the way.
            raise _collision(
                names[a], names[b], max(too_deep, key=lambda meeting: (meeting.time in (0.0, 1.0), meeting.depth_mm))
            )
    return found


def _follow(
    path: RigidPath,
    other_path: RigidPath,
    distance: DistanceMap,
    other_distance: DistanceMap,
    closeness: Closeness,
) -> list[_Meeting]:
    """Note how close the nodes of a structure come to another one; tell where they get into it."""
    nodes = distance.nodes
    index = np.argwhere(distance.inside)
    points = apply_matrix(nodes.ijk_to_lps, index[:, ::-1])
    apart = displacement_mm(path.at(1.0), other_path.at(1.0), points)
    # Half as much again, as two screw motions can be farther from each other on the way than at its end.
    reach = 1.5 * float(apart.max(initial=0.0))
    near = (other_distance.at(points) <= reach) & (apart > _ALIKE_MM)
    index, points, apart = index[near], points[near], apart[near]
    if len(points) == 0:
        return []
    count = int(np.clip(np.ceil(reach / (0.5 * min(nodes.spacing_mm))), 2, _MAX_TIMES))
    gap = np.full(len(points), np.inf)
    inner: DistanceMap | None = None
    meetings = []
    for time in np.linspace(0.0, 1.0, count + 1).tolist():
        now = other_distance.at(apply_matrix(path.at(time), points), other_path.at(time))
        gap = np.minimum(gap, now)
        inside = now <= 0
        if inside.any():
            inner = inner or DistanceMap.to(~other_distance.inside, nodes)
            deep = inner.at(apply_matrix(path.at(time), points[inside]), other_path.at(time))
            meetings.append(_Meeting(float(deep.max()), time))
    place = tuple(index.T)
    closeness.gap_mm[place] = np.minimum(closeness.gap_mm[place], gap)
    closeness.room[place] = np.minimum(closeness.room[place], gap / apart)
    return meetings


def _collision(first: str, second: str, meeting: _Meeting) -> InputError:
    subject = f"The structures '{first}' and '{second}'"
    if meeting.time == 0.0:
        return InputError(
            subject,
            f"they overlap by {meeting.depth_mm:.1f} mm and move differently",
            "Separate them in the segmentation, or make them one segment.",
            code="overlap",
        )
    when = "after their motions" if meeting.time == 1.0 else "on the way to where they end"
    return InputError(
        subject,
        f"they would overlap by {meeting.depth_mm:.1f} mm {when}, so no smooth transform moves both rigidly",
        "Look at their two transforms, one of which may be wrong. Each can still be used on its own.",
        code="collision",
    )
