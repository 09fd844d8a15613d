"""Which structure of one segmentation is which of another."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.errors import InputError
from ...core.points import plain_label
from ...io.segmentations import Segment, Segmentation

__all__ = ["MatchedSegments", "match_segments"]


@dataclass(frozen=True)
class MatchedSegments:
    """The segments that go by one name or number.

    Parameters
    ----------
    name : str
        As the fixed segmentation has it, or the one that has names.
    fixed, moving : tuple of Segment
        Usually one each; none where it is missing, several where names are not unique.
    """

    name: str
    fixed: tuple[Segment, ...]
    moving: tuple[Segment, ...]


def match_segments(
    fixed: Segmentation, moving: Segmentation, structures: tuple[str | int, ...] | None = None
) -> tuple[MatchedSegments, ...]:
    """Match the structures of two segmentations.

    By name where both have names, case and blanks ignored; otherwise, when one is a plain label map, by label number.
    Between two files with names equal numbers say nothing, because each file counts its own segments.

    Parameters
    ----------
    fixed, moving : Segmentation
        Of the two volumes.
    structures : tuple of str or int, optional
        Names or label numbers of those that are wanted, all by default.

    Returns
    -------
    tuple of MatchedSegments
        In the order of the fixed segmentation, then those that only the moving one has.

    Raises
    ------
    InputError
        A structure that is wanted is in neither of the two.
    """
    by_name = fixed.named and moving.named

    def key(segment: Segment) -> str:
        return plain_label(segment.name) if by_name else str(segment.label)

    groups: dict[str, tuple[list[Segment], list[Segment]]] = {}
    for side, segmentation in enumerate((fixed, moving)):
        for segment in segmentation.segments:
            groups.setdefault(key(segment), ([], []))[side].append(segment)
    wanted = list(groups)
    if structures is not None:
        wanted = list(dict.fromkeys(key(_named_by(one, fixed, moving)) for one in structures))
    matches = []
    for one in wanted:
        ours, theirs = groups[one]
        named = theirs if moving.named and not fixed.named else ours
        matches.append(MatchedSegments((named or ours or theirs)[0].name, tuple(ours), tuple(theirs)))
    return tuple(matches)


def _named_by(structure: str | int, fixed: Segmentation, moving: Segmentation) -> Segment:
    found = fixed.find(structure) or moving.find(structure)
    if found is None:
        names = list(dict.fromkeys(one.name for one in (*fixed.segments, *moving.segments)))
        raise InputError(
            structure if isinstance(structure, str) else f"label {structure}",
            f"neither {fixed.name} nor {moving.name} has this structure",
            f"They have: {', '.join(names[:30])}{' and others' if len(names) > 30 else ''}.",
        )
    return found
