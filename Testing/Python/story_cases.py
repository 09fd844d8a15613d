"""What the tests of users' stories share: real cases as files, placed elsewhere on request, and the command on them."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from conftest import real_cases, run_command
from MultimodalRegistrationLib.cli.main import main
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm
from MultimodalRegistrationLib.core.points import LandmarkList
from MultimodalRegistrationLib.io.landmarks import write_landmarks
from MultimodalRegistrationLib.io.transforms import read_linear_transform


@dataclass(frozen=True)
class Case:
    """Two volumes as files, the true mapping of fixed to moving points, and points of the fixed volume to judge at."""

    fixed: Path
    moving: Path
    truth_lps: np.ndarray
    points_lps: np.ndarray
    limit_mm: float

    @classmethod
    def real(cls, name: str, real_data: Path) -> Case:
        case = real_cases()[name]
        return cls(
            real_data / case["fixed"],
            real_data / case["moving"],
            np.asarray(case["truth_matrix_lps"]),
            np.loadtxt(real_data / case["points"], delimiter=",", skiprows=1),
            case["limit_mean_tre_mm"],
        )

    def moving_elsewhere(self, move_lps: np.ndarray, path: Path) -> Case:
        """The same with the moving volume somewhere else: its header is changed, its voxels are not."""
        place_elsewhere(self.moving, move_lps, path)
        return Case(self.fixed, path, move_lps @ self.truth_lps, self.points_lps, self.limit_mm)

    def exchanged(self) -> Case:
        points = apply_matrix(self.truth_lps, self.points_lps)
        return Case(self.moving, self.fixed, np.linalg.inv(self.truth_lps), points, self.limit_mm)

    def error_mm(self, fixed_to_moving_lps: np.ndarray | Path) -> float:
        """Mean target registration error, measured in the moving volume."""
        if isinstance(fixed_to_moving_lps, Path):
            fixed_to_moving_lps = read_linear_transform(fixed_to_moving_lps)
        return float(displacement_mm(fixed_to_moving_lps, self.truth_lps, self.points_lps).mean())


def place_elsewhere(source: Path, move_lps: np.ndarray, path: Path) -> None:
    image = sitk.ReadImage(str(source))
    VolumeGrid.of_image(image).moved(move_lps).place(image)
    sitk.WriteImage(image, str(path))


def about(center_lps: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A linear mapping about a centre; its translation comes after it."""
    middle = np.eye(4)
    middle[:3, 3] = center_lps
    return middle @ matrix @ np.linalg.inv(middle)


def write_points(path: Path, points_lps: np.ndarray, labels: list[str] | None = None) -> Path:
    write_landmarks(path, LandmarkList.of_points(path.stem, np.asarray(points_lps), labels))
    return path


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    said: str


def command(*arguments: object) -> Done:
    """A command that starts no engine, without the second that a process of its own takes."""
    words = io.StringIO()
    with redirect_stdout(words), redirect_stderr(words):
        code = main([str(one) for one in arguments])
    return Done(code, words.getvalue())


@dataclass(frozen=True)
class Run:
    """What the user has after ``register``: the exit code, what was printed, RESULT.json, and the transform."""

    code: int
    said: str
    result: dict[str, Any]
    transform: Path

    @property
    def word(self) -> str:
        return self.result["verdict"]["word"]


def register(fixed: Path, moving: Path, folder: Path, *options: object) -> Run:
    """``multimodal-registration register`` in a process of its own, with its files in the folder."""
    folder.mkdir(exist_ok=True)
    done = run_command(
        *("register", "--fixed", fixed, "--moving", moving, "--output-transform", folder / "T.h5"),
        *("--json", folder / "RESULT.json", *options),
    )
    path = folder / "RESULT.json"
    result = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    transform = Path(result["outputs"]["transform"]) if result else folder / "T.h5"
    return Run(done.returncode, done.stdout + done.stderr, result, transform)
