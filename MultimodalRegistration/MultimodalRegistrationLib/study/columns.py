"""Which columns a study may have, what their values are, and to which options of which commands they go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

__all__ = ["LEFT_OUT", "LISTS", "NAME", "PREPROCESS_PREFIX", "QA_ONLY", "REPORT", "Column", "Kind", "all_columns"]

# Of files: volumes, masks or label maps, structures, any other, what rides along, and what may be a name instead.
Kind = Literal[
    "volume",
    "mask",
    "segmentation",
    "file",
    "carried",
    "preset",
    "then",
    "steps",
    "automatic-mask",
    "value",
    "flag",
    "values",
]
LISTS: tuple[Kind, ...] = ("carried", "then", "values")
NAME = "name"
REPORT = "report"
PREPROCESS_PREFIX = "preprocess."

_PAIR: Mapping[str, Kind] = {"fixed": "volume", "moving": "volume"}
_SPACES: Mapping[str, Kind] = {"fixed-space": "value", "moving-space": "value"}
_LANDMARKS: Mapping[str, Kind] = {
    "initial-transform": "file",
    "fixed-landmarks": "file",
    "moving-landmarks": "file",
    "pairing": "value",
}
_REGISTER: Mapping[str, Kind] = {
    "carry": "carried",
    "preset": "preset",
    "then": "then",
    "engine": "value",
    **_LANDMARKS,
    "start": "value",
    "max-translation": "value",
    "max-rotation": "value",
    "preprocess": "steps",
    "no-verdict": "flag",
    "require": "value",
    "keep-failed": "flag",
    "fixed-mask": "mask",
    "moving-mask": "mask",
    "seed": "value",
}
_QA: Mapping[str, Kind] = {
    "reference": "file",
    "targets-fixed": "file",
    "targets-moving": "file",
    "fixed-segmentation": "segmentation",
    "moving-segmentation": "segmentation",
    "region": "mask",
    "tolerance": "value",
}
_PREPROCESS: Mapping[str, Kind] = {
    **_LANDMARKS,
    **_SPACES,
    "roi": "file",
    "segment": "mask",
    "segment-label": "value",
    "region-landmarks": "file",
    "margin": "value",
    "mask": "automatic-mask",
    "moving-mask": "mask",
    "fixed-mask-labels": "values",
    "moving-mask-labels": "values",
    "mask-outside": "flag",
    "mask-margin": "value",
    "bias-correct": "value",
    "isotropic": "value",
    "spacing-factor": "value",
}
QA_ONLY = frozenset(_QA)

_PRINTING = frozenset({"help", "json", "quiet"})
# Options that are no columns: where results go, how they are told, what the computer has to give; and the transforms
# that qa measures, which the batch makes itself.
LEFT_OUT: Mapping[str, frozenset[str]] = {
    "register": _PRINTING
    | {"output-transform", "output-volume", "carry-dir", "keep-temporary-files", "threads", "memory-limit"},
    "qa": _PRINTING | {"transform", "output-dir", "handover", "no-maps"},
    "preprocess": _PRINTING | {"output-dir", "only-region"},
}


@dataclass(frozen=True)
class Column:
    """A column of a study, or a key of a case.

    Parameters
    ----------
    name : str
        What the study file calls it.
    kind : str
        What its values are.
    option : str
        Of the commands, without dashes.
    commands : tuple of str
        Those that it goes to.
    """

    name: str
    kind: Kind
    option: str
    commands: tuple[str, ...]


@cache
def all_columns() -> Mapping[str, Column]:
    """All columns by name, but for ``name`` and ``report``, which are no options."""
    groups: tuple[tuple[str, Mapping[str, Kind], tuple[str, ...]], ...] = (
        ("", _PAIR, ("preprocess", "register", "qa")),
        ("", _REGISTER, ("register",)),
        ("", _QA, ("qa",)),
        ("", _SPACES, ("register", "qa")),
        (PREPROCESS_PREFIX, _PREPROCESS, ("preprocess",)),
    )
    columns = (
        Column(prefix + option, kind, option, commands)
        for prefix, options, commands in groups
        for option, kind in options.items()
    )
    return {column.name: column for column in columns}
