"""One run of a peer's rigid preset, through the same engine packages, as a process of its own.

``peers.py PEER FIXED MOVING RESULT.json [INITIAL.tfm]``. The values are the peers' published settings; the
initial transform, where one is given, is folded into the header of the moving volume and the peer starts from there, as
we do; otherwise it starts as it does by itself (elastix: geometric centres; ANTsPy: centres of mass).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from MultimodalRegistrationLib.core.linear import matrix_from_sitk
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.engines.jobs import EngineJob, EngineVolume
from MultimodalRegistrationLib.io.transforms import read_linear_transform
from MultimodalRegistrationLib.io.volumes import read_volume
from MultimodalRegistrationLib.register.prepare import orthogonal_volume
from MultimodalRegistrationLib.register.start import center_start

_COMMON = {
    "Registration": "MultiResolutionRegistration",
    "Interpolator": "BSplineInterpolator",
    "ResampleInterpolator": "FinalBSplineInterpolator",
    "Resampler": "DefaultResampler",
    "Optimizer": "AdaptiveStochasticGradientDescent",
    "Transform": "EulerTransform",
    "Metric": "AdvancedMattesMutualInformation",
    "AutomaticScalesEstimation": True,
    "HowToCombineTransforms": "Compose",
    "NumberOfHistogramBins": 32,
    "NewSamplesEveryIteration": True,
    "BSplineInterpolationOrder": 1,
}
ELASTIX_PEERS = {
    "SlicerElastix": {
        **_COMMON,
        "FixedImagePyramid": "FixedRecursiveImagePyramid",
        "MovingImagePyramid": "MovingRecursiveImagePyramid",
        "NumberOfResolutions": 4,
        "MaximumNumberOfIterations": 250,
        "NumberOfSpatialSamples": 2048,
        "ImageSampler": "Random",
    },
    "Par0035": {
        **_COMMON,
        "FixedImagePyramid": "FixedSmoothingImagePyramid",
        "MovingImagePyramid": "MovingSmoothingImagePyramid",
        "ImagePyramidSchedule": [4, 4, 4, 2, 2, 2, 1, 1, 1],
        "NumberOfResolutions": 3,
        "MaximumNumberOfIterations": 500,
        "AutomaticParameterEstimation": True,
        "UseAdaptiveStepSizes": True,
        "FixedLimitRangeRatio": 0.0,
        "MovingLimitRangeRatio": 0.0,
        "FixedKernelBSplineOrder": 1,
        "MovingKernelBSplineOrder": 3,
        "NumberOfSpatialSamples": 5000,
        "ImageSampler": "RandomCoordinate",
    },
}


def main() -> None:
    """Run the peer and write its transform and time."""
    peer, fixed_path, moving_path, result_path, *initial = sys.argv[1:]
    began = time.perf_counter()
    fixed, moving = read_volume(fixed_path), read_volume(moving_path)
    start = read_linear_transform(initial[0]) if initial else np.eye(4)
    moving = orthogonal_volume(moving, np.linalg.inv(start))
    seconds = time.perf_counter() - began
    run = _ants if peer == "ANTsPy Rigid" else _elastix
    try:
        matrix, engine_seconds = run(peer, fixed, moving, centered=bool(initial))
    except RuntimeError as error:
        content: dict[str, object] = {"stopped": str(error).strip().splitlines()[-1]}
    else:
        content = {"fixed_to_moving_lps": (start @ matrix).tolist(), "seconds": seconds + engine_seconds}
    Path(result_path).write_text(json.dumps(content), encoding="utf-8")


def _elastix(peer: str, fixed: Volume, moving: Volume, *, centered: bool) -> tuple[np.ndarray, float]:
    from MultimodalRegistrationLib.engines import run_elastix

    # The peer's own program runs where the volumes lie.
    run_elastix.own_frame = lambda grid: (grid, np.eye(4))
    center = np.eye(4) if centered else center_start(fixed.grid, moving.grid)
    placed = orthogonal_volume(moving, np.linalg.inv(center))
    volumes = (EngineVolume(volume.voxels.astype(np.float32), volume.grid) for volume in (fixed, placed))
    job = EngineJob(*volumes, [ELASTIX_PEERS[peer]], seed=1)
    began = time.perf_counter()
    return center @ run_elastix.run(job, Path()), time.perf_counter() - began


def _ants(peer: str, fixed: Volume, moving: Volume, *, centered: bool) -> tuple[np.ndarray, float]:
    import ants

    images = [
        ants.from_numpy(
            np.ascontiguousarray(volume.voxels.astype(np.float32).T),
            origin=volume.grid.origin_lps,
            spacing=volume.grid.spacing_mm,
            direction=np.reshape(volume.grid.direction, (3, 3)),
        )
        for volume in (fixed, moving)
    ]
    began = time.perf_counter()
    start = "Identity" if centered else None
    result = ants.registration(*images, type_of_transform="Rigid", initial_transform=start, random_seed=1)
    seconds = time.perf_counter() - began
    transform = sitk.ReadTransform(result["fwdtransforms"][0])
    return matrix_from_sitk(transform), seconds


if __name__ == "__main__":
    main()
