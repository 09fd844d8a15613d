"""Which landmark of one list belongs to which of the other: by order, by label or by their positions alone."""

from __future__ import annotations

from collections import Counter

from ..core.errors import InputError
from ..core.points import LandmarkList, Pairing, Pairs, plain_label
from .matching import match_landmarks

__all__ = ["pair_landmarks", "pair_targets"]

# Share of the labels from which on two lists count as labelled alike.
_MOST = 0.5


def pair_landmarks(
    fixed: LandmarkList,
    moving: LandmarkList,
    *,
    how: Pairing = "order",
    seed: int = 0,
    mirrored_allowed: bool = False,
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
        couples, more = _by_label(fixed, moving)
        notes += more
    else:
        match = match_landmarks(fixed, moving, seed=seed, mirrored_allowed=mirrored_allowed)
        couples = list(zip(match.fixed_index, match.moving_index, strict=True))
        notes += list(match.notes)
    if not couples:
        raise InputError(
            f"{fixed.name} and {moving.name}",
            f"no pair by {how} among {len(fixed.used)} and {len(moving.used)} placed and selected landmarks",
            "Place and select landmarks with the same labels in both lists, or pair in another way.",
        )
    notes += _alone(fixed, {i for i, _ in couples}) + _alone(moving, {j for _, j in couples})
    return Pairs(fixed, moving, tuple(i for i, _ in couples), tuple(j for _, j in couples), how, tuple(notes))


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
    if own and alone and len(shared) >= _MOST * max(map(len, labels)):
        raise InputError(
            f"{fixed.name} and {moving.name}",
            f"most labels are in both lists, but these are in one only: {', '.join(alone)}",
            "Correct these labels, or unselect or remove the points without a partner.",
        )
    return pair_landmarks(fixed, moving, how="label" if own and not alone else "order")


def _alone(landmarks: LandmarkList, paired: set[int]) -> list[str]:
    return [
        f"{landmarks.name}: {landmarks.called(i)} has no partner and was left out."
        for i in landmarks.used
        if i not in paired
    ]


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


def _by_label(fixed: LandmarkList, moving: LandmarkList) -> tuple[list[tuple[int, int]], list[str]]:
    """Pairs in the order of the fixed list, and a note for each landmark without a label."""
    ones, notes_fixed = _labelled(fixed)
    others, notes_moving = _labelled(moving)
    return [(i, others[label]) for label, i in ones.items() if label in others], notes_fixed + notes_moving


def _labelled(landmarks: LandmarkList) -> tuple[dict[str, int], list[str]]:
    labels = {i: plain_label(landmarks.landmarks[i].label) for i in landmarks.used}
    counts = Counter(label for label in labels.values() if label)
    twice = [landmarks.called(i) for i, label in labels.items() if counts[label] > 1]
    if twice:
        raise InputError(
            landmarks.name,
            f"labels that occur more than once (case and blanks do not count): {', '.join(twice)}",
            "Rename or unselect all but one of them, or pair by order or automatically.",
        )
    notes = [f"{landmarks.name}: {landmarks.called(i)} has no label." for i, label in labels.items() if not label]
    return {label: i for i, label in labels.items() if label}, notes
