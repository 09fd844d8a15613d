"""The runs of the capture-range benchmark: their names, seeds and order."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby, zip_longest
from typing import Any

import numpy as np

__all__ = [
    "BINS",
    "FAMILIES",
    "HELD_OUT_CASE",
    "METHODS",
    "OURS",
    "QUICK_CASES",
    "VARIANTS",
    "Bin",
    "PlannedRun",
    "is_held_out",
    "plan",
    "quick_plan",
]

OURS = "ours"
METHODS = (OURS, "SlicerElastix", "Par0035", "ANTsPy Rigid")
FAMILIES = ("starts", "swap", "variants", "hopeless")
HELD_OUT_CASE = "sarcoma-047"
QUICK_CASES = ("porcine", "sarcoma-048", "stroke-t2", "template-ct")
SWAPPED_STARTS = 4


@dataclass(frozen=True)
class Bin:
    """Starts of one difficulty: rotation in degrees, translation in mm, and how many of them a case gets."""

    rotation_deg: tuple[float, float]
    translation_mm: tuple[float, float]
    count: int


BINS = {
    "0-45": Bin((0, 45), (0, 80), 15),
    "45-90": Bin((45, 90), (80, 140), 15),
    "90-180": Bin((90, 180), (140, 200), 20),
}
FIRST_BIN = next(iter(BINS))
_CROPS = tuple(f"crop-{role}-{axis}" for axis in "IJK" for role in ("moving", "fixed"))
# "shift" is for the pairs with a CT.
VARIANTS = (*_CROPS, "thick-moving", "thick-fixed", "bias", "noise", "shift", "flipped", "oblique")


@dataclass(frozen=True)
class PlannedRun:
    """One registration, fully determined by its fields.

    Parameters
    ----------
    family : str
        One of :data:`FAMILIES`.
    case : str
        The pair, or the pair of the fixed volume.
    method : str
        One of :data:`METHODS`.
    bin : str
        Where the start is drawn from; one of :data:`BINS`.
    variant : str
        What else is done to the volumes; empty for nothing.
    number : int, optional
        Of the start, where there is more than one.
    moving_case : str, optional
        The pair of the moving volume, where it is another.
    """

    family: str
    case: str
    method: str
    bin: str = FIRST_BIN
    variant: str = ""
    number: int | None = None
    moving_case: str | None = field(default=None)

    @property
    def problem_id(self) -> str:
        """Name of the volumes and the start, which every method gets alike."""
        return self._name(self.family)

    @property
    def id(self) -> str:
        """Name of the run."""
        return f"{self.problem_id}/{self.method}"

    @property
    def seed(self) -> int:
        """Of every random draw. The swapped runs have the starts, and so the seeds, of those they swap."""
        name = self._name("starts") if self.family == "swap" else self.problem_id
        return zlib.crc32(name.encode()) & 0x7FFFFFFF

    def _name(self, family: str) -> str:
        pair = self.case if self.moving_case is None else f"{self.case}+{self.moving_case}"
        parts = [family, pair, self.variant or self.bin]
        return "/".join(parts if self.number is None else [*parts, f"{self.number:02d}"])


def is_held_out(record: dict[str, Any]) -> bool:
    """Whether a finished run belongs to the part that no choice was made on."""
    names = (record["case"], record["moving_case"] or "")
    return any(name.startswith(HELD_OUT_CASE) for name in names) or (record["number"] or 0) % 2 == 1


def plan(
    cases: dict[str, dict[str, Any]],
    *,
    families: Iterable[str] = FAMILIES,
    methods: Iterable[str] = METHODS,
    only_cases: Iterable[str] | None = None,
    starts: str = "all",
    peer_starts: int = 3,
    ants_starts: int = 1,
) -> list[PlannedRun]:
    """All runs in an order whose every beginning is representative of the whole.

    Parameters
    ----------
    cases : dict
        As of ``real_cases()``.
    families, methods : iterable of str
        What to run. The peers run on the starts alone.
    only_cases : iterable of str, optional
        Names of the cases to run.
    starts : str
        ``"even"``, ``"odd"`` or ``"all"`` of the numbered starts; runs without a number are always there.
    peer_starts, ants_starts : int
        How many starts of each bin an elastix peer and ANTsPy get.

    Returns
    -------
    list of PlannedRun
        Start number outermost, then bins or variants, then cases; families and methods advance side by side.
    """
    wanted = set(cases if only_cases is None else only_cases)
    groups: list[list[PlannedRun]] = []
    for family in families:
        for method in methods if family == "starts" else [m for m in methods if m == OURS]:
            first = {OURS: max(b.count for b in BINS.values()), "ANTsPy Rigid": ants_starts}.get(method, peer_starts)
            made = [run for run in _MAKERS[family](cases, method) if run.case in wanted]
            made = [run for run in made if run.number is None or run.number < first]
            parity = {"even": (0,), "odd": (1,), "all": (0, 1)}[starts]
            made = [run for run in made if run.number is None or run.number % 2 in parity]
            if family == "hopeless":  # Its kinds differ in size.
                groups += [list(kind) for _, kind in groupby(made, key=lambda run: run.variant)]
            else:
                groups.append(made)
    placed = [
        ((rank + 0.5) / len(group), index, run) for index, group in enumerate(groups) for rank, run in enumerate(group)
    ]
    return [run for _, _, run in sorted(placed, key=lambda entry: entry[:2])]


def quick_plan(cases: dict[str, dict[str, Any]]) -> list[PlannedRun]:
    """A handful of runs of every family but the swap, for a few minutes."""
    runs = plan(cases, families=["starts"], methods=[OURS], only_cases=QUICK_CASES)
    # The peer is shown on the pair that lies the other way up; only our own runs decide.
    runs += plan(cases, families=["starts"], methods=["SlicerElastix"], only_cases=QUICK_CASES[:1])
    runs = [run for run in runs if run.number == 0]
    variants = zip(QUICK_CASES, ("crop-moving-K", "thick-moving", "flipped", "shift"), strict=True)
    runs += [PlannedRun("variants", case, OURS, variant=variant) for case, variant in variants]
    hopeless = [run for run in _hopeless(cases, OURS) if not (run.moving_case or "").startswith(HELD_OUT_CASE)]
    runs += [run for run in hopeless if run.variant == "other-body-part"][:2]
    runs += [run for run in hopeless if run.variant == "noise-white"][:1]
    runs += [run for run in hopeless if run.variant == "mirrored" and run.case == "sarcoma-048"][:1]
    return runs


def _starts(cases: dict[str, dict[str, Any]], method: str, family: str = "starts") -> list[PlannedRun]:
    last = max(b.count for b in BINS.values()) if family == "starts" else SWAPPED_STARTS
    return [
        PlannedRun(family, case, method, name, number=number)
        for number in range(last)
        for name, limits in BINS.items()
        if number < limits.count
        for case in cases
    ]


def _swap(cases: dict[str, dict[str, Any]], method: str) -> list[PlannedRun]:
    return _starts(cases, method, "swap")


def _variants(cases: dict[str, dict[str, Any]], method: str) -> list[PlannedRun]:
    return [
        PlannedRun("variants", case, method, variant=variant)
        for variant in VARIANTS
        for case, content in cases.items()
        if variant != "shift" or any(content[role].endswith("/ct.nrrd") for role in ("fixed", "moving"))
    ]


def _hopeless(cases: dict[str, dict[str, Any]], method: str) -> list[PlannedRun]:
    names = list(cases)
    runs = [
        PlannedRun("hopeless", fixed, method, variant="other-body-part", moving_case=moving)
        for fixed, moving in _unrelated_pairs(names)
    ]
    runs += [
        PlannedRun("hopeless", case, method, variant="mirrored", number=number) for number in range(2) for case in names
    ]
    runs += [PlannedRun("hopeless", case, method, variant="noise-white") for case in names[0::3]]
    runs += [PlannedRun("hopeless", case, method, variant="noise-smooth") for case in names[1::3]]
    return runs + [PlannedRun("hopeless", case, method, variant="overlap-20") for case in names]


def _unrelated_pairs(names: list[str], each: int = 5) -> list[tuple[str, str]]:
    """Cases of different body parts, ``each`` for every ordered pair of parts, the pairs of parts in turn."""
    parts = (
        [name for name in names if name.startswith("porcine")],
        [name for name in names if name.startswith("sarcoma")],
        [name for name in names if name.startswith(("stroke", "template"))],
    )
    random = np.random.default_rng(zlib.crc32(b"unrelated pairs"))
    columns = []
    for fixed_part in parts:
        for moving_part in parts:
            if fixed_part is not moving_part:
                pairs = [(fixed, moving) for fixed in fixed_part for moving in moving_part]
                columns.append([pairs[index] for index in random.permutation(len(pairs))[:each]])
    return [pair for row in zip_longest(*columns) for pair in row if pair is not None]


_MAKERS: dict[str, Callable[[dict[str, dict[str, Any]], str], list[PlannedRun]]] = {
    "starts": _starts,
    "swap": _swap,
    "variants": _variants,
    "hopeless": _hopeless,
}
