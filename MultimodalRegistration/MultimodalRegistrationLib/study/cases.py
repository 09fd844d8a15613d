"""The cases of a study, checked and ready to run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..core.request import Request
from .columns import REQUESTS

_SMALL_BYTES = 1_000_000


@dataclass(frozen=True)
class Step:
    """One command of a case.

    Parameters
    ----------
    command : str
        ``"preprocess"``, ``"register"`` or ``"qa"``.
    request : Request
        With absolute paths.
    optional : bool
        Whether the case is what it is without it: nobody asked for it, and it takes nothing back that was found.
    """

    command: str
    request: Request
    optional: bool = False


@dataclass(frozen=True)
class Case:
    """Two volumes and what is done with them.

    Parameters
    ----------
    name : str
        Also that of its folder: letters, digits, dot, hyphen and underscore, and no dot at its start.
    where : str
        Where it stands in the study file, in words.
    fixed, moving : Path
        Absolute.
    steps : tuple of Step
        In their order.
    """

    name: str
    where: str
    fixed: Path
    moving: Path
    steps: tuple[Step, ...]

    @cached_property
    def digest(self) -> str:
        """Tells whether two runs of a case were asked for the same, small files such as presets by their content."""
        asked = [step for step in self.steps if not step.optional]
        steps = [[step.command, step.request.content()] for step in asked]
        named = [[text, *_stamp(Path(text))] for text in sorted(set(_texts(steps))) if Path(text).is_absolute()]
        return hashlib.sha256(json.dumps([steps, named]).encode()).hexdigest()[:16]


def _texts(content: Any) -> Iterator[str]:
    """All texts in JSON content."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list):
        for part in content.values() if isinstance(content, dict) else content:
            yield from _texts(part)


def _stamp(path: Path) -> tuple[int, str]:
    """Size, and of a small file what is in it; dates change by copying."""
    if not path.is_file():
        return 0, ""
    size = path.stat().st_size
    return size, hashlib.sha256(path.read_bytes()).hexdigest() if size <= _SMALL_BYTES else ""


@dataclass(frozen=True)
class Study:
    """All cases.

    Parameters
    ----------
    path : Path
        The study file.
    cases : tuple of Case
        With different names, also where capitals do not count.
    """

    path: Path
    cases: tuple[Case, ...]


def case_content(case: Case) -> dict[str, Any]:
    """A case for JSON."""
    steps = [
        {"command": step.command, "request": step.request.content(), "optional": step.optional} for step in case.steps
    ]
    return {
        "name": case.name,
        "where": case.where,
        "fixed": str(case.fixed),
        "moving": str(case.moving),
        "steps": steps,
    }


def case_of(content: Mapping[str, Any]) -> Case:
    """The case of :func:`case_content`."""
    where = f"case {content['name']}"
    steps = tuple(
        Step(step["command"], REQUESTS[step["command"]].from_content(step["request"], where=where), step["optional"])
        for step in content["steps"]
    )
    return Case(content["name"], content["where"], Path(content["fixed"]), Path(content["moving"]), steps)
