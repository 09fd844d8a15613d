"""Which steps prepare volumes for a registration, and their file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ..core.errors import InputError
from ..io.input_files import refuse_special_files

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


def find_steps(name_or_file: str | Steps) -> Steps:
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
    if isinstance(name_or_file, Steps):
        return name_or_file
    if name_or_file in ("auto", "none"):
        return AUTOMATIC if name_or_file == "auto" else NOTHING
    path = Path(name_or_file)
    refuse_special_files(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(path, "no such file", "Give auto, none or the name of a JSON file.") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            path, f"this is not a JSON file ({error})", "See the documentation of --preprocess."
        ) from error
    return steps_of(content, path)


def steps_content(steps: Steps) -> dict[str, Any]:
    """The content of the file of steps."""
    return {"schema": _SCHEMA, **asdict(steps)}


def steps_of(content: Any, path: Path = Path("preprocess")) -> Steps:
    """The steps of a file's content.

    Raises
    ------
    InputError
        Another content.
    """

    def refuse(found: str) -> InputError:
        example = json.dumps(
            {"schema": _SCHEMA, "mask": "foreground", "crop_margin_mm": 25, "bias_correct": ["moving"]}
        )
        return InputError(path, found, f"Write it like {example}")

    if not isinstance(content, dict) or content.get("schema") != _SCHEMA:
        raise refuse("this is no file of preprocessing steps, schema 1")
    unknown = sorted(set(content) - {"schema", "mask", "crop_margin_mm", "bias_correct"})
    if unknown:
        raise refuse(f"unknown entries: {', '.join(unknown)}")
    margin, bias = content.get("crop_margin_mm"), content.get("bias_correct")
    mask = next((kind for kind in MASK_KINDS if kind == content.get("mask")), None)
    if mask is None:
        raise refuse(f"'mask' is {content.get('mask')!r}")
    if margin is not None and (
        isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 <= margin < 1e4
    ):
        raise refuse(f"'crop_margin_mm' is {margin!r}")
    if not isinstance(bias, list | tuple) or any(role not in ROLES for role in bias):
        raise refuse(f"'bias_correct' is {bias!r}")
    return Steps(mask=mask, crop_margin_mm=None if margin is None else float(margin), bias_correct=tuple(bias))
