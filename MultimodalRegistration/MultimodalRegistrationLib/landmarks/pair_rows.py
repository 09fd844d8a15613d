"""All landmarks of two lists side by side, also those that no fit can use, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..core.points import LandmarkList, Pairing, Pairs, plain_label

__all__ = ["PairRow", "pair_rows", "pairs_of_rows", "told_apart"]

RowState = Literal["used", "unselected", "unplaced", "alone"]
_LONGEST_NAME = 40


@dataclass(frozen=True)
class PairRow:
    """A pair, or a landmark without partner.

    Parameters
    ----------
    fixed_index, moving_index : int or None
        Into the landmarks of each list.
    state : {"used", "unselected", "unplaced", "alone"}
        Whether a fit uses it, else the first reason why not.
    unplaced : tuple of {"fixed", "moving"}
        On which sides it is not placed.
    """

    fixed_index: int | None
    moving_index: int | None
    state: RowState
    unplaced: tuple[Literal["fixed", "moving"], ...] = ()


def told_apart(landmarks: LandmarkList, *, name: str) -> LandmarkList:
    """The list under a short name and with short labels that occur once each, for tables and messages.

    Labels of several landmarks get the landmark's number.
    """
    labels = [_short(" ".join(one.label.split())) for one in landmarks.landmarks]
    plain = [plain_label(label) for label in labels]
    unique = [
        f"{label} ({number + 1})" if label and plain.count(plain[number]) > 1 else label
        for number, label in enumerate(labels)
    ]
    renamed = (replace(one, label=label) for one, label in zip(landmarks.landmarks, unique, strict=True))
    return LandmarkList(_short(name), tuple(renamed))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"


def pair_rows(
    fixed: LandmarkList, moving: LandmarkList, *, how: Pairing, couples: Sequence[tuple[int, int]] = ()
) -> tuple[PairRow, ...]:
    """Put the landmarks of two lists side by side.

    Parameters
    ----------
    fixed, moving : LandmarkList
        The lists.
    how : {"order", "label", "auto"}
        How they are paired.
    couples : sequence of tuple of 2 int, optional
        Partners that were found by their positions, for ``auto``.

    Returns
    -------
    tuple of PairRow
        In the order of the fixed list, then what is left of the moving one.
    """
    if how == "order":
        partner = {i: i for i in range(min(len(fixed.landmarks), len(moving.landmarks)))}
    elif how == "label":
        partner = _by_label(fixed, moving)
    else:
        partner = dict(couples)
    rows = [_row(fixed, moving, i, partner.get(i)) for i in range(len(fixed.landmarks))]
    alone = sorted(set(range(len(moving.landmarks))) - set(partner.values()))
    return tuple(rows + [_row(fixed, moving, None, j) for j in alone])


def _by_label(fixed: LandmarkList, moving: LandmarkList) -> dict[int, int]:
    """The first landmark of each label on either side; unlike a fit, this takes any landmark."""
    others: dict[str, int] = {}
    for j, one in enumerate(moving.landmarks):
        others.setdefault(plain_label(one.label), j)
    partner = {}
    for i, one in enumerate(fixed.landmarks):
        label = plain_label(one.label)
        if label and label in others:
            partner[i] = others.pop(label)
    return partner


def _row(fixed: LandmarkList, moving: LandmarkList, i: int | None, j: int | None) -> PairRow:
    ones = [landmarks.landmarks[n] for landmarks, n in ((fixed, i), (moving, j)) if n is not None]
    unplaced: list[Literal["fixed", "moving"]] = []
    if i is not None and not fixed.landmarks[i].placed:
        unplaced.append("fixed")
    if j is not None and not moving.landmarks[j].placed:
        unplaced.append("moving")
    state: RowState = "used"
    if unplaced:
        state = "unplaced"
    elif not all(one.selected for one in ones):
        state = "unselected"
    elif len(ones) < 2:
        state = "alone"
    return PairRow(i, j, state, tuple(unplaced))


def pairs_of_rows(fixed: LandmarkList, moving: LandmarkList, rows: Sequence[PairRow], *, how: Pairing) -> Pairs:
    """The pairs that a fit uses, in the order of the rows; there may be none."""
    used = [row for row in rows if row.state == "used"]
    notes = (*fixed.unused_notes, *moving.unused_notes)
    fixed_index = tuple(row.fixed_index for row in used if row.fixed_index is not None)
    moving_index = tuple(row.moving_index for row in used if row.moving_index is not None)
    return Pairs(fixed, moving, fixed_index, moving_index, how, notes)
