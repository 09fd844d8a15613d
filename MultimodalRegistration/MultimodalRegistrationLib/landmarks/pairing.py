"""Which landmark of one list belongs to which of the other: by order, by label or by their positions alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..core.errors import InputError
from ..core.points import LandmarkList, Pairing, Pairs, plain_label
from .matching import match_landmarks

# Share of the labels from which on two lists count as labelled alike.
_LABELLED_ALIKE = 0.5
Side = Literal["fixed", "moving"]
RowState = Literal["used", "unselected", "unplaced", "alone"]
_MAX_NAME = 40


def pair_landmarks(
    fixed: LandmarkList, moving: LandmarkList, *, how: Pairing = "order", seed: int = 0, mirrored_allowed: bool = False
) -> Pairs:
    """Pair the landmarks of two lists.

    Parameters
    ----------
    fixed, moving : LandmarkList
        The lists. Landmarks that are not placed or not selected are left out and named in the notes.
    how : {"order", "label", "auto"}, optional
        ``order``: position in the list. ``label``: equal labels; case and blanks do not count. ``auto``: positions in
        space alone (:func:`.matching.match_landmarks`).
    seed : int, optional
        Of random draws in ``auto``.
    mirrored_allowed : bool, optional
        Whether ``auto`` accepts a mirror image.

    Returns
    -------
    Pairs
        At least one pair.

    Raises
    ------
    InputError
        Different lengths (``order``), the same label twice (``label``), no certain correspondence (``auto``), or no
        pair.
    """
    notes = [*fixed.unused_notes, *moving.unused_notes]
    if how == "order":
        couples = _by_order(fixed, moving)
    elif how == "label":
        ones, others = (_labelled(landmarks, notes) for landmarks in (fixed, moving))
        couples = [(i, others[label]) for label, i in ones.items() if label in others]
    else:
        match = match_landmarks(fixed, moving, seed=seed, mirrored_allowed=mirrored_allowed)
        couples = list(zip(match.fixed_index, match.moving_index, strict=True))
        notes += match.notes
    if not couples:
        raise InputError(
            f"{fixed.name} and {moving.name}",
            f"no pair by {how} among {len(fixed.used)} and {len(moving.used)} placed and selected landmarks",
            "Place and select landmarks with the same labels in both lists, or pair in another way.",
        )
    fixed_index, moving_index = (tuple(couple[side] for couple in couples) for side in (0, 1))
    for landmarks, paired in ((fixed, fixed_index), (moving, moving_index)):
        alone = (landmarks.called(i) for i in landmarks.used if i not in paired)
        notes += [f"{landmarks.name}: {called} has no partner and was left out." for called in alone]
    return Pairs(fixed, moving, fixed_index, moving_index, how, tuple(notes))


def pair_targets(fixed: LandmarkList, moving: LandmarkList) -> Pairs:
    """Pair two lists by label where every used point has one of its own that the other list has too, else by order.

    Raises
    ------
    InputError
        As :func:`pair_landmarks`; or most labels are in both lists but not all, as after a typing error: by order,
        other points might then be taken for partners in silence.
    """
    labels = [{plain_label(one.landmarks[i].label): one.called(i) for i in one.used} for one in (fixed, moving)]
    own = all(
        len(names) == len(one.used) and "" not in names for names, one in zip(labels, (fixed, moving), strict=True)
    )
    shared = labels[0].keys() & labels[1].keys()
    alone = [called for names in labels for label, called in names.items() if label not in shared]
    if own and alone and len(shared) >= _LABELLED_ALIKE * max(map(len, labels)):
        raise InputError(
            f"{fixed.name} and {moving.name}",
            f"most labels are in both lists, but these are in one only: {', '.join(alone)}",
            "Correct these labels, or unselect or remove the points without a partner.",
        )
    return pair_landmarks(fixed, moving, how="label" if own and not alone else "order")


def _by_order(fixed: LandmarkList, moving: LandmarkList) -> list[tuple[int, int]]:
    shorter = min(len(fixed.landmarks), len(moving.landmarks))
    if any(one.placed for landmarks in (fixed, moving) for one in landmarks.landmarks[shorter:]):
        raise InputError(
            f"{fixed.name} and {moving.name}",
            f"{len(fixed.landmarks)} and {len(moving.landmarks)} landmarks",
            "Pairing by order needs as many in both lists; pair by label or automatically.",
        )
    used = set(fixed.used) & set(moving.used)
    return [(i, i) for i in sorted(used)]


def _labelled(landmarks: LandmarkList, notes: list[str]) -> dict[str, int]:
    """The used landmarks by label; those without one are added to the notes."""
    labels = {i: plain_label(landmarks.landmarks[i].label) for i in landmarks.used}
    counts = Counter(label for label in labels.values() if label)
    twice = [landmarks.called(i) for i, label in labels.items() if counts[label] > 1]
    if twice:
        raise InputError(
            landmarks.name,
            f"labels that occur more than once (case and blanks do not count): {', '.join(twice)}",
            "Rename or unselect all but one of them, or pair by order or automatically.",
        )
    notes += [f"{landmarks.name}: {landmarks.called(i)} has no label." for i, label in labels.items() if not label]
    return {label: i for i, label in labels.items() if label}


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
    unplaced: tuple[Side, ...] = ()


def with_unique_labels(landmarks: LandmarkList) -> LandmarkList:
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
    return LandmarkList(_short(landmarks.name), tuple(renamed))


def _short(text: str) -> str:
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME - 1]}…"


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
        partner = _partner_by_label(fixed, moving)
    else:
        partner = dict(couples)
    rows = [_row(fixed, moving, i, partner.get(i)) for i in range(len(fixed.landmarks))]
    alone = sorted(set(range(len(moving.landmarks))) - set(partner.values()))
    return tuple(rows + [_row(fixed, moving, None, j) for j in alone])


def _partner_by_label(fixed: LandmarkList, moving: LandmarkList) -> dict[int, int]:
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
    sides: tuple[tuple[Side, LandmarkList, int | None], ...] = (("fixed", fixed, i), ("moving", moving, j))
    ones = {side: landmarks.landmarks[number] for side, landmarks, number in sides if number is not None}
    unplaced = tuple(side for side, one in ones.items() if not one.placed)
    state: RowState = "used"
    if unplaced:
        state = "unplaced"
    elif not all(one.selected for one in ones.values()):
        state = "unselected"
    elif len(ones) < 2:
        state = "alone"
    return PairRow(i, j, state, unplaced)


def pairs_of_rows(fixed: LandmarkList, moving: LandmarkList, rows: Sequence[PairRow], *, how: Pairing) -> Pairs:
    """The pairs that a fit uses, in the order of the rows; there may be none."""
    used = [row for row in rows if row.state == "used"]
    fixed_index = tuple(row.fixed_index for row in used if row.fixed_index is not None)
    moving_index = tuple(row.moving_index for row in used if row.moving_index is not None)
    return Pairs(fixed, moving, fixed_index, moving_index, how, (*fixed.unused_notes, *moving.unused_notes))
