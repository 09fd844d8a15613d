"""Jobs of engines and their results, and the files in which jobs reach the worker.

A volume is a NumPy file, which is written and read at the speed of the disk cache, with its grid beside it. A job
is a JSON file. All of them live in the session's temporary folder, which the supervisor removes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.grid import VolumeGrid
from ..core.spatial import SpatialTransform

JOB_FILE = "job.json"
RESULT_FILE = "result.h5"


@dataclass(frozen=True)
class EngineVolume:
    """A volume as an engine sees it.

    Parameters
    ----------
    voxels : array, shape (K, J, I), float32
        Intensities.
    grid : VolumeGrid
        Orthogonal LPS grid.
    mask : array, shape (K, J, I), uint8, or None
        Voxels to use, on the same grid.
    """

    voxels: NDArray[np.float32]
    grid: VolumeGrid
    mask: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class EngineJob:
    """What an engine is asked to do: start at the identity and find the transform between two volumes.

    Parameters
    ----------
    metric_fixed : EngineVolume
        What ITK calls the fixed volume: the metric is sampled in it. It may be the user's moving volume.
    metric_moving : EngineVolume
        The other one, which is interpolated.
    stages : list of mapping
        Settings from the preset, for this engine.
    seed : int
        Of every random draw.
    """

    metric_fixed: EngineVolume
    metric_moving: EngineVolume
    stages: list[dict[str, Any]]
    seed: int


@dataclass(frozen=True)
class EngineResult:
    """What an engine found.

    Parameters
    ----------
    transform : SpatialTransform
        Maps points of the job's ``metric_fixed`` to its ``metric_moving`` volume, LPS, mm.
    seconds : float
        The engine's own time: from volumes in memory to the transform.
    log : str
        Everything that it printed.
    """

    transform: SpatialTransform
    seconds: float
    log: str

    @property
    def metric_fixed_to_metric_moving_lps(self) -> NDArray[np.float64]:
        """Matrix of a linear transform, shape (4, 4), mm."""
        assert self.transform.matrix is not None, "the stages of this job were not linear"
        return self.transform.matrix


def save_job(job: EngineJob, folder: Path) -> Path:
    """Write a job with its volumes into an empty folder; returns the job file."""
    folder.mkdir()
    content: dict[str, Any] = {"stages": job.stages, "seed": job.seed}
    for role, volume in (("fixed", job.metric_fixed), ("moving", job.metric_moving)):
        np.save(folder / f"{role}.npy", np.ascontiguousarray(volume.voxels, dtype=np.float32))
        if volume.mask is not None:
            np.save(folder / f"{role}-mask.npy", np.ascontiguousarray(volume.mask, dtype=np.uint8))
        content[role] = asdict(volume.grid)
    path = folder / JOB_FILE
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path


def load_job(path: Path) -> EngineJob:
    """Read a job that :func:`save_job` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))

    def volume(role: str) -> EngineVolume:
        mask = path.with_name(f"{role}-mask.npy")
        return EngineVolume(
            voxels=np.load(path.with_name(f"{role}.npy")),
            grid=VolumeGrid(**{key: tuple(value) for key, value in content[role].items()}),
            mask=np.load(mask) if mask.exists() else None,
        )

    return EngineJob(volume("fixed"), volume("moving"), content["stages"], content["seed"])
