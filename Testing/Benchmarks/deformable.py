"""Known smooth deformations: what is left of them after each tool, in one run from the same start.

    python Testing/Benchmarks/deformable.py [--cases stroke-t2,...] > Testing/Benchmarks/deformable.md

Every tool starts where the rigid truth puts the moving volume. Ours is the preset ``warp``, without and with the second
run that judges it; the others are what ANTsPy and elastix do by default.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from deformed_pair import DeformedPair, bend_from_rigid, deformed_pair
from measure import machine_line
from MultimodalRegistrationLib.core.machine import usable_cores
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.engines.session import EngineSessions
from MultimodalRegistrationLib.register.prepare import orthogonal_volume

_DATA = Path(__file__).parents[2].parent / "shared" / "data"
_THREADS = str(usable_cores())


def _ours(engine: str, *, verdict: bool) -> Callable[[DeformedPair], tuple[SpatialTransform, float, str]]:
    def run(pair: DeformedPair) -> tuple[SpatialTransform, float, str]:
        with EngineSessions(int(_THREADS)) as engines:
            engines.of(engine).wait_until_ready()
            began = time.perf_counter()
            stage = bend_from_rigid(engines, engine, pair, verdict=verdict, on_warning=print)
        parts = [SpatialTransform.of_matrix("rigid", pair.rigid_lps).transform, stage.transform.transform]
        word = stage.verdict.word if stage.verdict is not None else ""
        return SpatialTransform("ours", sitk.CompositeTransform(parts)), time.perf_counter() - began, word

    return run


def _placed(pair: DeformedPair) -> Volume:
    return orthogonal_volume(pair.moving, np.linalg.inv(pair.rigid_lps))


def _with_rigid(pair: DeformedPair, parts: list[sitk.Transform]) -> SpatialTransform:
    rigid = SpatialTransform.of_matrix("rigid", pair.rigid_lps).transform
    return SpatialTransform("peer", sitk.CompositeTransform([rigid, *parts]))


def _antspy(pair: DeformedPair) -> tuple[SpatialTransform, float, str]:
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = _THREADS
    import ants

    def image(volume: Volume) -> Any:
        voxels = np.ascontiguousarray(volume.voxels.T, dtype=np.float32)
        direction = np.reshape(volume.grid.direction, (3, 3))
        return ants.from_numpy(voxels, volume.grid.origin_lps, volume.grid.spacing_mm, direction)

    fixed, moving = image(pair.fixed), image(_placed(pair))
    began = time.perf_counter()
    found = ants.registration(fixed, moving, type_of_transform="SyN", random_seed=1)
    seconds = time.perf_counter() - began
    parts: list[sitk.Transform] = [
        sitk.ReadTransform(path)
        if path.endswith(".mat")
        else sitk.DisplacementFieldTransform(sitk.ReadImage(path, sitk.sitkVectorFloat64))
        for path in found["fwdtransforms"]
    ]
    return _with_rigid(pair, parts), seconds, ""


def _elastix(pair: DeformedPair) -> tuple[SpatialTransform, float, str]:
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = _THREADS
    import itk

    def image(volume: Volume) -> Any:
        made = itk.image_from_array(np.asarray(volume.voxels, dtype=np.float32))
        made.SetOrigin(volume.grid.origin_lps)
        made.SetSpacing(volume.grid.spacing_mm)
        made.SetDirection(itk.matrix_from_array(np.reshape(volume.grid.direction, (3, 3))))
        return made

    parameters = itk.ParameterObject.New()
    for name in ("affine", "bspline"):
        parameters.AddParameterMap(parameters.GetDefaultParameterMap(name))
    method = itk.ElastixRegistrationMethod.New(image(pair.fixed), image(_placed(pair)))
    method.SetParameterObject(parameters)
    began = time.perf_counter()
    method.Update()
    seconds = time.perf_counter() - began
    found = method.GetCombinationTransform()
    # Its transform is asked at the points that count; a field at the voxels would blur it.
    mapped = np.array([list(found.TransformPoint(point)) for point in pair.points_lps.tolist()])
    return _AtPoints(pair, mapped), seconds, ""


class _AtPoints(SpatialTransform):
    """A transform known at the points of a pair only."""

    def __init__(self, pair: DeformedPair, mapped_lps: np.ndarray) -> None:
        super().__init__("peer", sitk.Transform(3, sitk.sitkIdentity))
        rigid = SpatialTransform.of_matrix("rigid", pair.rigid_lps)
        object.__setattr__(self, "_mapped", rigid.to_moving(mapped_lps))

    def to_moving(self, _fixed_lps: Any) -> np.ndarray:
        return np.asarray(self.__dict__["_mapped"])


_TOOLS: dict[str, Callable[[DeformedPair], tuple[SpatialTransform, float, str]]] = {
    "ours: warp, elastix, not judged": _ours("elastix", verdict=False),
    "ours: warp, elastix, judged": _ours("elastix", verdict=True),
    "ours: warp, ants, judged": _ours("ants", verdict=True),
    "ANTsPy SyN": _antspy,
    "elastix affine, bspline": _elastix,
}


def _measure(tool: str, case: str, largest_mm: float) -> dict[str, Any]:
    cases = {one["id"]: one for one in json.loads((_DATA / "cases.json").read_text())["cases"]}
    pair = deformed_pair(cases[case], _DATA, largest_mm=largest_mm)
    start = pair.errors_mm(SpatialTransform.of_matrix("rigid", pair.rigid_lps)).mean()
    try:
        transform, seconds, word = _TOOLS[tool](pair)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return {"start": start, "word": "stopped"}
    errors = pair.errors_mm(transform)
    return {
        "start": start,
        "mean": errors.mean(),
        "p95": np.percentile(errors, 95),
        "max": errors.max(),
        "seconds": seconds,
        "word": word,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default="stroke-t2,stroke-flair,sarcoma-048,sarcoma-035")
    options = parser.parse_args()
    print("# Known smooth deformations\n\n" + machine_line() + "\n")
    print("| case | bent by at most | tool | mean error at start | after | 95 % | largest | left | s | verdict |")
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for case in options.cases.split(","):
        for largest_mm in (12.0, 0.0):
            for tool in _TOOLS:
                if largest_mm == 0 and not tool.endswith(", judged"):
                    continue
                # A process of its own: two builds of ITK in one do not get on.
                with get_context("spawn").Pool(1) as pool:
                    m = pool.apply(_measure, (tool, case, largest_mm))
                print(f"| {case} | {largest_mm:.0f} mm | {tool} | {m['start']:.2f} | {_cells(m)} |", flush=True)


def _cells(m: dict[str, Any]) -> str:
    if m["word"] == "stopped":
        return " | | | | | stopped"
    left = f"{m['mean'] / m['start']:.0%}" if m["start"] > 0.01 else ""
    return f"{m['mean']:.2f} | {m['p95']:.2f} | {m['max']:.2f} | {left} | {m['seconds']:.0f} | {m['word']}"


if __name__ == "__main__":
    main()
