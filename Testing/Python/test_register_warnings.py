"""What the input check notices is told by a registration too, once, and without noticeable time."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from conftest import CT_GRID, centered_grid, rotation, run_command
from MultimodalRegistrationLib.api import register
from MultimodalRegistrationLib.core.errors import Cancelled
from MultimodalRegistrationLib.core.frames import flip_ijk_to_space
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.engines.presets.preset import find_preset
from MultimodalRegistrationLib.mrml.register import register_nodes
from MultimodalRegistrationLib.preprocess.check import check_volume, volume_warnings
from MultimodalRegistrationLib.preprocess.voxel_findings import slice_findings
from vtk.util.numpy_support import numpy_to_vtk


def of(voxels, grid, name):
    image = sitk.GetImageFromArray(voxels)
    grid.place(image)
    return Volume(image, name)


@pytest.fixture(scope="module")
def spoilt_ct(head_ct):
    """Two slices written twice, and one lost."""
    voxels = np.round(head_ct.voxels).astype(np.int16)
    voxels[20], voxels[31], voxels[26] = voxels[19], voxels[30], -1000
    return of(voxels, CT_GRID, "spoilt CT")


def told_before_the_search(fixed, moving, run=register, **options):
    """Warnings of a run that is stopped when its inputs were checked."""
    told, stop = [], threading.Event()

    def on_progress(progress):
        if "checking" not in progress.stage:
            stop.set()

    with pytest.raises(Cancelled):
        run(fixed, moving, on_warning=told.append, on_progress=on_progress, cancel=stop, **options)
    return told


def test_a_run_tells_each_finding_once_with_the_volume_and_the_remedy(spoilt_ct, head_mr):
    told = told_before_the_search(spoilt_ct, head_mr, preset=find_preset("rigid"), engine="simpleitk")
    assert len(told) == 2
    assert all(words.startswith("spoilt CT: ") and "Export it again" in words for words in told)
    assert "2 of 52 slices along K are copies of others: 20 (as 19), 31 (as 30)" in " ".join(told)
    assert "hold a single value: 26" in " ".join(told)
    both = told_before_the_search(spoilt_ct, spoilt_ct, preset=find_preset("rigid"), engine="simpleitk")
    assert both == told, "not twice for one volume on both sides"


def test_sound_volumes_are_not_talked_about(head_ct, head_mr):
    assert told_before_the_search(head_ct, head_mr, preset=find_preset("rigid"), engine="simpleitk") == []


def test_nodes_are_looked_at_too(spoilt_ct, head_mr):
    scene = slicer.vtkMRMLScene()

    def node(volume):
        data, matrix = vtk.vtkImageData(), vtk.vtkMatrix4x4()
        data.SetDimensions(*volume.grid.size)
        data.GetPointData().SetScalars(numpy_to_vtk(np.array(volume.voxels).ravel(), deep=True))
        matrix.DeepCopy(flip_ijk_to_space(volume.grid.ijk_to_lps).ravel())
        added = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", volume.name)
        added.SetAndObserveImageData(data)
        added.SetIJKToRASMatrix(matrix)
        return added

    def run(fixed, moving, **options):
        register_nodes(scene, fixed, moving, engine="simpleitk", **options)

    told = told_before_the_search(node(head_mr), node(spoilt_ct), run)
    assert told == list(volume_warnings(spoilt_ct))
    assert len(told) == 2


@pytest.mark.slow
def test_the_result_file_has_them_once(tmp_path, spoilt_ct, head_mr):
    small = [sitk.Shrink(volume.image, (2, 2, 1)) for volume in (spoilt_ct, head_mr)]
    for name, image in zip(("ct.nrrd", "mr.nrrd"), small, strict=True):
        sitk.WriteImage(image, str(tmp_path / name))
    done = run_command(
        *("register", "--fixed", tmp_path / "ct.nrrd", "--moving", tmp_path / "mr.nrrd", "--engine", "simpleitk"),
        *("--output-transform", tmp_path / "T.tfm", "--json", tmp_path / "r.json", "--start", "center", "--no-verdict"),
    )
    assert done.returncode == 0, done.stderr
    warnings = json.loads((tmp_path / "r.json").read_text())["warnings"]
    assert sum("copies of others" in words for words in warnings) == 1
    assert done.stderr.count("copies of others") == 1
    assert sum("hold a single value" in words for words in warnings) == 1


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_the_check_of_a_pair_takes_less_than_a_third_of_a_second(kind):
    grid = centered_grid([256, 256, 150], [0.9, 0.9, 1.4], rotation([1, 0.3, -0.2], 12), [3, -9, 12])
    one = np.random.default_rng(3).normal(300, 90, (15, 256, 256))
    voxels = np.concatenate([one + n for n in range(10)]).astype(kind)
    voxels[:, :40], voxels[:, -40:] = 0, 0
    pair = of(voxels, grid, "fixed"), of(voxels + kind(5), grid, "moving")
    began = time.process_time()
    findings = [check_volume(volume) for volume in pair]
    seconds = time.process_time() - began
    assert [{f.code for f in found if f.severity != "note"} for found in findings] == [set(), set()]
    assert seconds < 0.3


def test_slices_that_differ_in_one_voxel_only_are_no_copies():
    """Whole slices are compared only where some of their voxels agree; what is found must not depend on which."""
    random = np.random.default_rng(8)
    plane = random.integers(1, 900, (70, 60), dtype=np.int16)
    voxels = np.repeat(plane[None], 24, axis=0) + np.arange(24, dtype=np.int16)[:, None, None]
    # Alike everywhere but at one voxel that is not on the coarse lattice; then truly alike.
    voxels[9] = voxels[4]
    voxels[9, 33, 31] += 1
    voxels[17] = voxels[12]
    # Blank on the lattice, but not blank.
    voxels[20] = 7
    voxels[20, 33, 31] = 8
    grid = centered_grid([60, 70, 24], [2.6, 3.4, 2.5], rotation([-0.2, 1, 0.5], 81), [1, 2, 3])
    found = {f.code: f.message for f in slice_findings(of(voxels, grid, "scan"))}
    assert found["repeated-slices"] == "1 of 24 slices along K are copies of others: 17 (as 12)"
    assert "blank-slices" not in found
