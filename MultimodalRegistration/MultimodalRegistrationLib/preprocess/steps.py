"""Which steps prepare volumes for a registration, and their file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ..core.errors import InputError
from ..io.special_files import refuse_special_files

Role = Literal["fixed", "moving"]
MaskKind = Literal["none", "metal", "foreground"]
MASK_KINDS: tuple[MaskKind, ...] = get_args(MaskKind)
ROLES: tuple[Role, ...] = get_args(Role)
_SCHEMA = 1


@dataclass(frozen=True)
class Steps:
    """What is done to the copies of the volumes that a registration works on.

    Parameters
    ----------
    mask : str
        What is left out. ``"none"``: nothing; ``"metal"``: metal in a CT, with a margin, also from a mask of the user;
        ``"foreground"``: padding, table, metal and far air, where the user gave no mask.
    crop_margin_mm : float or None
        Cut both to what both show, with this margin, before the engine; None for not at all.
    bias_correct : tuple of str
        Whose bias field is taken out: ``"fixed"``, ``"moving"``.
    """

    mask: MaskKind
    crop_margin_mm: float | None
    bias_correct: tuple[Role, ...]


NOTHING = Steps(mask="none", crop_margin_mm=None, bias_correct=())
# What helps, as measured: see Testing/Benchmarks/ablation.md.
AUTOMATIC = Steps(mask="metal", crop_margin_mm=None, bias_correct=())


def find_steps(name_or_file: str) -> Steps:
    """Steps by name, ``auto`` or ``none``, or from a JSON file.

    Parameters
    ----------
    name_or_file : str
        A file holds ``schema`` 1, ``mask`` (``"none"``, ``"metal"``, ``"foreground"``), ``crop_margin_mm`` (a number or
        null) and ``bias_correct`` (a list of ``"fixed"`` and ``"moving"``).

    Raises
    ------
    InputError
        No such name or file, or a file with other content.
    """
    if name_or_file in ("auto", "none"):
        return AUTOMATIC if name_or_file == "auto" else NOTHING
    path = Path(name_or_file)
    refuse_special_files(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(path, "no such file", "Give auto, none or the name of a JSON file.") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        found = f"this is not a JSON file ({error})"
        raise InputError(path, found, "See the documentation of --preprocess.") from error
    problem = _problem_of(content)
    if problem is not None:
        example = {"schema": _SCHEMA, "mask": "foreground", "crop_margin_mm": 25, "bias_correct": ["moving"]}
        raise InputError(path, problem, f"Write it like {json.dumps(example)}")
    margin = content.get("crop_margin_mm")
    return Steps(content["mask"], None if margin is None else float(margin), tuple(content["bias_correct"]))


def _problem_of(content: Any) -> str | None:
    """What is wrong with the content of a file of steps; None where nothing is."""
    if not isinstance(content, dict) or content.get("schema") != _SCHEMA:
        return "this is no file of preprocessing steps, schema 1"
    unknown = sorted(set(content) - {"schema", "mask", "crop_margin_mm", "bias_correct"})
    if unknown:
        return f"unknown entries: {', '.join(unknown)}"
    mask, margin, bias = content.get("mask"), content.get("crop_margin_mm"), content.get("bias_correct")
    if mask not in MASK_KINDS:
        return f"'mask' is {mask!r}"
    is_number = isinstance(margin, int | float) and not isinstance(margin, bool)
    if margin is not None and not (is_number and 0 <= margin < 1e4):
        return f"'crop_margin_mm' is {margin!r}"
    if not isinstance(bias, list) or any(role not in ROLES for role in bias):
        return f"'bias_correct' is {bias!r}"
    return None
