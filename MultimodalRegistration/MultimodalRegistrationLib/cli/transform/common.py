"""What the operations on transforms share on the command line."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ...core.grid import VolumeGrid
from ...core.spatial import SpatialTransform
from ...core.volume import Volume
from ...io.tools.itk import NONLINEAR_SUFFIXES, OUTPUT_FIELD_SUFFIXES, TRANSFORM_SUFFIXES
from ...io.transforms import approximation, read_transform
from ...io.volume_checks import looks_like_label_map
from ...io.volumes import read_unjudged
from ...transforms.working_grid import DistanceStatistics
from ..progress import Printer

__all__ = [
    "OUTPUT_SUFFIXES",
    "add_result_options",
    "command_content",
    "read_region",
    "read_stages",
    "statistics_words",
    "transform_content",
]

OUTPUT_SUFFIXES = tuple(dict.fromkeys((*TRANSFORM_SUFFIXES, *NONLINEAR_SUFFIXES, *OUTPUT_FIELD_SUFFIXES)))
_SCHEMA = 1


def add_result_options(parser: argparse.ArgumentParser) -> None:
    """Add where the numbers go."""
    parser.add_argument("--json", metavar="R.json", help="every number, for scripts")
    parser.add_argument("--quiet", action="store_true", help="print warnings and errors only")


def read_region(path: str) -> tuple[Volume | VolumeGrid, str]:
    """A region and how it is called: what a label map marks, or all of another volume."""
    volume = read_unjudged(path, thin=True)
    if looks_like_label_map(volume.image):
        return volume, f"what {path} marks"
    return volume.grid, f"the whole of {path}"


def read_stages(paths: Sequence[str], printer: Printer) -> list[SpatialTransform]:
    """Read transforms, and warn of those that are not read exactly.

    Files of the same name in different folders are told apart by their folders.
    """
    read = [read_transform(path) for path in paths]
    names = [one.name for one in read]
    found = [
        replace(one, name=str(Path(path))) if names.count(one.name) > 1 else one
        for one, path in zip(read, paths, strict=True)
    ]
    for one in found:
        warning = approximation(one)
        if warning is not None:
            printer.warning(warning)
    return found


def command_content(options: argparse.Namespace, inputs: dict[str, Any]) -> dict[str, Any]:
    """How a JSON file begins."""
    command = shlex.join(["multimodal-registration", *options.command_line])
    return {"schema": _SCHEMA, "operation": options.operation, "command": command, "inputs": inputs}


def transform_content(transform: SpatialTransform) -> dict[str, Any]:
    """What a JSON file says about a transform."""
    return {
        "name": transform.name,
        "linear": transform.matrix is not None,
        "matrix_lps": None if transform.matrix is None else transform.matrix.tolist(),
        "stages": [stage.transform.GetName() for stage in transform.stages],
        "error_mm": transform.error_mm,
    }


def statistics_words(statistics: DistanceStatistics) -> str:
    """Distances in words."""
    values = asdict(statistics)
    named = {"mean": "mean_mm", "RMS": "rms_mm", "95 %": "p95_mm", "largest": "max_mm"}
    figures = ", ".join(f"{word} {values[key]:.3g}" for word, key in named.items())
    return f"{figures} mm, at {statistics.count} points"
