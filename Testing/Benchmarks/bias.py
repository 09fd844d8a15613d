"""Bias correction on every n-th voxel against N4 at full resolution: seconds, and how far the fields are apart.

``python Testing/Benchmarks/bias.py``: both with the same mask and the same settings, one after the other.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from measure import machine_line
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.volumes import read_volume
from MultimodalRegistrationLib.preprocess.bias import correct_bias, foreground_mask

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from conftest import REAL_DATA

VOLUMES = ("sarcoma-047/mr_t1", "sarcoma-010/mr_t1", "stroke/t2")
SHRINKS: tuple[int | str, ...] = ("auto", 2, 3, 4)


def main() -> None:
    """Print one line for each volume and sampling."""
    print(machine_line(), "\n")
    print(
        "| volume | every n-th voxel | CPU s | elapsed s | times faster (CPU, elapsed) "
        "| RMS difference % | largest % | field SD % |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in VOLUMES:
        volume = read_volume(REAL_DATA / f"{name}.nrrd")
        image = sitk.Cast(volume.image, sitk.sitkFloat32)
        mask = sitk.And(foreground_mask(image), sitk.Cast(image > 0, sitk.sitkUInt8))
        within = sitk.GetArrayFromImage(mask) > 0
        n4 = sitk.N4BiasFieldCorrectionImageFilter()
        began, cpu = time.perf_counter(), time.process_time()
        n4.Execute(image, mask)
        reference = np.exp(sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)))[within]
        full, full_cpu = time.perf_counter() - began, time.process_time() - cpu
        spread = 100 * reference.std() / reference.mean()
        print(f"| {name} | SimpleITK, all | {full_cpu:.1f} | {full:.1f} | | | | {spread:.1f} |", flush=True)
        for shrink in SHRINKS:
            began, cpu = time.perf_counter(), time.process_time()
            result = correct_bias(volume, mask=Volume(mask, "mask"), shrink=shrink)
            seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
            ratio = result.field.voxels[within] / reference
            ratio /= ratio.mean()
            rms, largest = 100 * np.sqrt(np.mean((ratio - 1) ** 2)), 100 * np.abs(ratio - 1).max()
            print(
                f"| {name} | {shrink} | {cpu_seconds:.1f} | {seconds:.1f} | {full_cpu / cpu_seconds:.1f}, "
                f"{full / seconds:.1f} | {rms:.2f} | {largest:.1f} | |",
                flush=True,
            )


if __name__ == "__main__":
    main()
