"""Fixtures: geometry with no symmetry to hide behind, phantoms, and the real volumes beside the project."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser_pages import BROWSER_ARGUMENTS
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.phantom import make_head
from MultimodalRegistrationLib.core.volume import Volume

pytest_plugins = ["StandIn.fixtures"]

PROJECT = Path(__file__).resolve().parents[2]
REAL_DATA = PROJECT.parent / "shared" / "data"
# Pictures of the panels go into the repository on request only (make screenshots): a test run leaves it as it is.
SCREENSHOTS = Path(os.environ.get("SCREENSHOTS_FOLDER") or Path(tempfile.gettempdir(), "registration-screenshots"))
SCREENSHOTS.mkdir(exist_ok=True)


def pytest_configure(config: pytest.Config) -> None:
    """A core for each process of pytest-xdist: two that both start threads on all cores take longer than in turn.

    Processes and threads that tests start have the same core; those that NumPy started before have all of them.
    """
    worker = re.fullmatch(r"gw(\d+)", getattr(config, "workerinput", {}).get("workerid", ""))
    if worker is not None and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker[1]) % len(cores)]})


def rotation(axis: list[float], angle_deg: float) -> np.ndarray:
    """Rodrigues' formula, shape (3, 3)."""
    x, y, z = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(angle_deg)
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def rigid(axis: list[float], angle_deg: float, translation_mm: list[float]) -> np.ndarray:
    """Rigid transform, shape (4, 4)."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(axis, angle_deg)
    matrix[:3, 3] = translation_mm
    return matrix


def centered_grid(size: list[int], spacing_mm: list[float], axes: np.ndarray, center_lps: list[float]) -> VolumeGrid:
    """Grid with the given axes (columns) whose centre lies at ``center_lps``."""
    matrix = np.eye(4)
    matrix[:3, :3] = axes * np.asarray(spacing_mm)
    matrix[:3, 3] = np.asarray(center_lps) - matrix[:3, :3] @ ((np.asarray(size) - 1) / 2)
    return VolumeGrid.of_matrix((size[0], size[1], size[2]), matrix)


# Oblique, anisotropic, and with one axis flipped (left-handed), for the two scans of the phantom.
CT_GRID = centered_grid(
    [84, 96, 52], [2.2, 2.2, 4.5], rotation([1, 0.3, -0.2], 12) @ np.diag([1.0, 1.0, -1.0]), [12, -31, 40]
)
MR_GRID = centered_grid([70, 64, 80], [2.6, 3.4, 2.5], rotation([-0.2, 1, 0.5], 81), [-25, 18, 66])
CT_POSE = rigid([0.2, -0.1, 1], 9, [14, -28, 43])
MR_POSE = rigid([1, 0.6, -0.4], 21, [-20, 24, 60])


@pytest.fixture(scope="session")
def browser():
    """In CI there must be a browser; elsewhere tests that need one are skipped."""
    sync_api = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next((found for name in names if (found := shutil.which(name))), None)
    if executable is None:
        message = f"no browser: none of {', '.join(names)} is installed"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=BROWSER_ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def head_ct() -> Volume:
    return make_head("CT", CT_GRID, CT_POSE, seed=1)


@pytest.fixture(scope="session")
def head_mr() -> Volume:
    return make_head("T1", MR_GRID, MR_POSE, seed=2)


@pytest.fixture(scope="session")
def truth_ct_to_mr_lps() -> np.ndarray:
    return MR_POSE @ np.linalg.inv(CT_POSE)


@pytest.fixture(autouse=True)
def _own_user_folder(tmp_path_factory, monkeypatch):
    """A developer's own presets and engines must not change what the tests see."""
    monkeypatch.setenv("MULTIMODAL_REGISTRATION_HOME", str(tmp_path_factory.getbasetemp() / "home"))


def real_cases() -> dict[str, dict[str, Any]]:
    """Cases with a known truth by name, those with an additional PET included; empty when the data is missing."""
    if not REAL_DATA.is_dir():
        return {}
    cases = {}
    for case in json.loads((REAL_DATA / "cases.json").read_text(encoding="utf-8"))["cases"]:
        cases[case["id"]] = case
        for also in case.get("also", []):
            cases[f"{case['id']}-pet"] = {
                **case,
                "moving": also["volume"],
                "truth_matrix_lps": also["truth_matrix_lps"],
                "limit_mean_tre_mm": 4.0,
            }
    return cases


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real volumes. In CI they must be there; elsewhere tests that need them are skipped."""
    if not REAL_DATA.is_dir():
        message = f"the real volumes are not at {REAL_DATA}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return REAL_DATA


def run_command(*arguments: object, timeout: float = 300, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, as a script would."""
    return subprocess.run(
        [sys.executable, "-m", "MultimodalRegistrationLib", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environment},
        check=False,
    )
