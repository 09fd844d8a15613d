"""What was written beside a transform when it was made: the JSON of ``prealign`` and ``register``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.frames import resampling_lps_from_modelling_ras
from ..core.spatial import SpatialTransform

_MOST_FILES = 5000
_MOST_BYTES = 20_000_000
_SAME = 1e-6
# A field is read with 32 bits, and another program may store it as a grid.
_SAME_BENT_MM = 0.1
# A grid follows its spline to 0.1 mm where nothing limits its fineness.
_SAME_SPLINE_MM = 0.2


@dataclass(frozen=True)
class RunRecord:
    """How a transform was made.

    Parameters
    ----------
    source : str
        Where that stands: the name of a file or node.
    content : dict
        What it says.
    """

    source: str
    content: dict[str, Any]

    @property
    def fiducials_fixed_lps(self) -> NDArray[np.float64] | None:
        """Fixed points that the transform was fitted to, shape (N, 3), LPS, mm; None for other kinds of runs."""
        pairs = self.content.get("pairs")
        return None if pairs is None else np.array([pair["fixed_lps"] for pair in pairs], dtype=np.float64)

    @property
    def verdict(self) -> dict[str, Any] | None:
        """Verdict of the registration, where the run gave one."""
        return self.content.get("verdict")

    def has_exchanged(self, fixed: str, moving: str) -> bool:
        """Whether the run was of these volumes, files or nodes, with the roles the other way round."""
        inputs = self.content.get("inputs")
        if not isinstance(inputs, dict):
            return False
        made = tuple(Path(str(inputs.get(role))).name for role in ("fixed", "moving"))
        now = (Path(fixed).name, Path(moving).name)
        return made == now[::-1] != now


def find_record(path: str | Path, transform: SpatialTransform) -> RunRecord | None:
    """Look in a transform's folder for the record of the run that made it.

    The record is known by the transform in it, not by names: files are renamed.

    Parameters
    ----------
    path : str or Path
        File of the transform.
    transform : SpatialTransform
        What it holds.

    Returns
    -------
    RunRecord or None
        None when no JSON file in the folder describes this transform.
    """
    own = Path(path).resolve()
    # Mostly it is called as the transform is.
    files = sorted(own.parent.glob("*.json"), key=lambda file: (file.stem != own.stem, file))
    for file in files[:_MOST_FILES]:
        try:
            # A pipe would be waited for.
            if not file.is_file() or file.stat().st_size > _MOST_BYTES:
                continue
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            # Some other program's file: not a record.
            continue
        if isinstance(content, dict) and describes(content, transform):
            return RunRecord(file.name, content)
    return None


def describes(content: dict[str, Any], transform: SpatialTransform) -> bool:
    """Tell whether the content of a record is about a transform, by the transform in it."""
    made = content.get("transform")
    if "schema" not in content or not isinstance(made, dict):
        return False
    try:
        if transform.matrix is not None:
            # The linear part of a transform that bends is not that transform.
            if made.get("type") == "composite":
                return False
            matrix = np.array(made["moving_to_fixed_ras"], dtype=np.float64).reshape(4, 4)
            # The same file was written from the same numbers.
            return bool(np.allclose(resampling_lps_from_modelling_ras(matrix), transform.matrix, rtol=0, atol=_SAME))
        if made["type"] == "composite":
            fixed, moving = (np.array(made["probes"][key], dtype=float) for key in ("fixed_lps", "moving_lps"))
            return bool(np.all(np.linalg.norm(transform.to_moving(fixed) - moving, axis=1) < _SAME_BENT_MM))
        if made["type"] != "thin-plate spline":
            return False
        pairs = content["pairs"]
        fixed, moving = (np.array([pair[key] for pair in pairs], dtype=float) for key in ("fixed_lps", "moving_lps"))
        left = np.array([pair["fiducial_error_mm"] for pair in pairs], dtype=float)
        gap = np.linalg.norm(transform.to_moving(fixed) - moving, axis=1)
        return bool(np.all(np.abs(gap - left) < _SAME_SPLINE_MM))
    except (KeyError, TypeError, ValueError):
        # Another program's file with keys like ours.
        return False
