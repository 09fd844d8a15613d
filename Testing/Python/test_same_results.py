"""What a registration gives stays what it was, to the last bit, while the library is restructured.

``python Testing/Python/test_same_results.py`` records it anew, which only a change of the numerics justifies.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_GRID, CT_POSE, MR_GRID, MR_POSE, REAL_DATA, real_cases
from MultimodalRegistrationLib.cli.main import main as command
from MultimodalRegistrationLib.core.phantom import make_head

RECORDED = Path(__file__).with_name("same_results.json")
PAIRS = ("phantom", "porcine", "stroke-t2", "template-ct", "template-pet", "sarcoma-048")
PRESETS = {engine: ["--preset", "rigid"] for engine in ("elastix", "ants", "simpleitk")}
RUNS = {f"{name}-{engine}": (name, engine, PRESETS[engine]) for name in PAIRS for engine in PRESETS}
RUNS |= {
    f"phantom-{engine}-deformable": ("phantom", engine, ["--preset", "affine", "--then", "warp"])
    for engine in ("elastix", "ants")
}
# What differs from run to run or from machine to machine.
VOLATILE = (
    *("request", "seconds", "versions", "schema", "inputs", "outputs", "preset_file", "engine_version", "warnings"),
)


def machine() -> dict[str, Any]:
    """What the last bits depend on."""
    model = next(
        (line.split(":")[1].strip() for line in _cpu_lines() if line.startswith("model name")), platform.processor()
    )
    packages = ("numpy", "scipy", "SimpleITK", "itk-elastix", "antspyx")
    return {"cpu": model, "cores": os.cpu_count(), **{name: version(name) for name in packages}}


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.is_file() else []


def run(name: str, folder: Path) -> dict[str, Any]:
    """RESULT.json of a run, without what differs each time."""
    pair, engine, preset = RUNS[name]
    if pair == "phantom":
        files = [str(folder / "ct.nrrd"), str(folder / "mr.nrrd")]
        for file, volume in zip(
            files, (make_head("CT", CT_GRID, CT_POSE, seed=1), make_head("T1", MR_GRID, MR_POSE, seed=2)), strict=True
        ):
            sitk.WriteImage(volume.image, file)
    else:
        case = real_cases()[pair]
        files = [str(REAL_DATA / case["fixed"]), str(REAL_DATA / case["moving"])]
    result = folder / "result.json"
    arguments = ["--fixed", files[0], "--moving", files[1], "--engine", engine, *preset, "--quiet", "--keep-failed"]
    command(["register", *arguments, "--output-transform", str(folder / "t.h5"), "--json", str(result)])
    return stable(json.loads(result.read_text()))


def stable(content: Any) -> Any:
    """Content without the keys in VOLATILE."""
    if isinstance(content, dict):
        return {key: stable(value) for key, value in content.items() if key not in VOLATILE}
    return [stable(value) for value in content] if isinstance(content, list) else content


def assert_close(found: Any, expected: Any, where: str) -> None:
    """The same to a millionth, on another machine; texts there may differ in their last digit."""
    if isinstance(expected, dict):
        assert set(found) == set(expected), where
        for key, value in expected.items():
            assert_close(found[key], value, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for number, value in enumerate(expected):
            assert_close(found[number], value, f"{where}[{number}]")
    elif isinstance(expected, float):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3, err_msg=where)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_the_result_is_the_same(name, real_data, tmp_path):
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    found, expected = run(name, tmp_path), recorded["results"][name]
    if machine() == recorded["machine"]:
        assert found == expected
    else:
        assert_close(found["transform"], expected["transform"], "transform")


if __name__ == "__main__":
    import tempfile

    results = {}
    for name in RUNS:
        with tempfile.TemporaryDirectory() as folder:
            results[name] = run(name, Path(folder))
        print(name, file=sys.stderr, flush=True)
    content = {"machine": machine(), "results": results}
    RECORDED.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
