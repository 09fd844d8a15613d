"""All four modules in one scene: saved with its voxels, opened again, and opened without the extension."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PySide6.QtWidgets")

import slicer
import vtk
from conftest import CT_POSE, MR_POSE, PROJECT, rigid
from MultimodalRegistrationLib.core.frames import flip_matrix_lps_ras
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.phantom import make_head, target_points_lps
from MultimodalRegistrationLib.core.points import LandmarkList
from MultimodalRegistrationLib.mrml.landmarks import add_landmark_node
from MultimodalRegistrationLib.mrml.transforms import SETTINGS_ATTRIBUTE
from MultimodalRegistrationLib.mrml.volumes import add_volume_node
from MultimodalRegistrationLib.mrml.vtk_arrays import vtk_from_matrix
from panel_helpers import FakeProcess
from scene_content import assert_same_scene, parameters_of, scene_content
from test_mrml_quality import add_segmentation
from test_panel_quality import CT_GRID, MR_GRID, cells

MODULES = {
    "RegistrationPreprocess": "RegistrationPreprocess",
    "FiducialPrealign": "FiducialPrealign",
    "MultimodalRegistration": "MultimodalRegistration",
    "MultimodalRegistrationQA": "RegistrationQA",
}
TRUTH_RAS = flip_matrix_lps_ras(CT_POSE @ np.linalg.inv(MR_POSE))


def open_modules(app):
    return {name: app.open_module(PROJECT / folder, name) for name, folder in MODULES.items()}


def add_transform(matrix_ras, name):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", name)
    node.SetMatrixTransformToParent(vtk_from_matrix(matrix_ras))
    return node


def add_inputs():
    """What a user brings: volumes with voxels, points, segments, a region, a start and a model."""
    scene = slicer.mrmlScene
    inputs = {
        "CT": add_volume_node(scene, make_head("CT", CT_GRID, CT_POSE, seed=1), name="CT"),
        "MR": add_volume_node(scene, make_head("T1", MR_GRID, MR_POSE, seed=2), name="MR"),
        "start": add_transform(rigid([0.1, 1, 0.2], 1, [1, 0, -2]) @ TRUTH_RAS, "start"),
        "screws": add_transform(TRUTH_RAS, "screws"),
    }
    on_fixed = target_points_lps(CT_POSE)[:8]
    on_moving = apply_matrix(MR_POSE @ np.linalg.inv(CT_POSE), on_fixed)
    labels = [f"P{number}" for number in range(8)]
    for name, points in (("points CT", on_fixed), ("points MR", on_moving)):
        points = points + np.random.default_rng(len(name)).normal(0, 0.4, points.shape)
        inputs[name] = add_landmark_node(scene, LandmarkList.of_points("", points, labels), name=name)
    for name, grid, pose in (("parts CT", CT_GRID, CT_POSE), ("parts MR", MR_GRID, MR_POSE)):
        inputs[name] = add_segmentation(scene, grid, pose, name)
    box = inputs["box"] = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    box.SetCenter(*(flip_matrix_lps_ras(np.eye(4)) @ CT_POSE)[:3, 3] * (-1, -1, 1))
    box.SetSize(130, 120, 110)
    box.SetAndObserveTransformNodeID(add_transform(rigid([0, 0.3, 1], 7, [0, 0, 0]), "tilted").GetID())
    sphere = vtk.vtkSphereSource()
    sphere.SetRadius(30)
    sphere.Update()
    inputs["bone"] = scene.AddNewNodeByClass("vtkMRMLModelNode", "bone")
    inputs["bone"].SetAndObservePolyData(sphere.GetOutput())
    return inputs


def choose(module, inputs, **values):
    """Set parameters; text that names an input stands for it."""
    parameters = module.widget._parameterNode
    for name, value in values.items():
        if isinstance(value, list):
            value = [inputs[each] for each in value]
        elif isinstance(value, str) and value in inputs:
            value = inputs[value]
        elif isinstance(value, str) and hasattr(getattr(parameters, name), "name"):
            value = type(getattr(parameters, name))[value]
        setattr(parameters, name, value)
    return parameters


def prepare(app, module, inputs):
    choose(module, inputs, fixedVolume="CT", movingVolume="MR", prealignment="TRANSFORM", initialTransform="start")
    choose(module, inputs, fixedLandmarks="points CT", movingLandmarks="points MR", pairing="LABEL")
    choose(module, inputs, regionParts="parts CT", fixedMask="parts CT", movingMask="parts MR", roi="box")
    choose(module, inputs, marginMm=17.0, isotropic=True, isotropicMm=6.5, biasCorrection="MOVING")
    module.ui.applyButton.click()
    app.wait_for(lambda: not module.widget.panel.running, 60)
    assert not module.ui.problemLabel.visible, module.ui.problemLabel.text
    # One bias field at a time is enough here, and masks are used unless they are switched off.
    return {"masks", "fixedBiasField"}


def prealign(app, module, inputs):
    choose(module, inputs, fixedPoints="points CT", movingPoints="points MR", fixedVolume="CT", movingVolume="MR")
    choose(module, inputs, pairing="LABEL", model="SIMILARITY", mirrorAllowed=True, stiffness=2.0, applyToMoving=False)
    choose(module, inputs, localisationError=1.5, fixedTargets="points CT", movingTargets="points MR", carried=["bone"])
    choose(module, inputs, fixedShape="parts CT", movingShape="parts MR", shapeModel="AFFINE")
    # Not the first one, which would be chosen anyway.
    choose(module, inputs, fixedSegment=inputs["parts CT"].GetSegmentation().GetNthSegmentID(1))
    choose(module, inputs, movingSegment=inputs["parts MR"].GetSegmentation().GetNthSegmentID(1))
    assert module.ui.applyButton.enabled, module.ui.applyButton.text
    module.ui.applyButton.click()
    assert inputs["bone"].GetParentTransformNode() is not None
    return set()


def register(app, module, inputs):
    import SimpleITK as sitk

    FakeProcess.made.clear()
    module.widget.panel.make_process = FakeProcess
    choose(module, inputs, fixedVolume="CT", movingVolume="MR", preset="affine", pairing="label", start="moments")
    choose(module, inputs, fixedLandmarks="points CT", movingLandmarks="points MR")
    choose(
        module, inputs, fixedMask="parts CT", movingMask="parts MR", roi="box", maxTranslation=40.0, maxRotation=33.0
    )
    choose(module, inputs, engine="simpleitk", changedParameters='{"affine": {}}', then="warp")
    choose(module, inputs, carried=["points MR"], resampledVolume=True)
    module.ui.registerButton.click()
    assert module.widget.panel.running, module.ui.messageLabel.text
    app.wait_for(lambda: bool(FakeProcess.made))
    process = FakeProcess.made[-1]
    image = sitk.ReadImage(str(process.file("--fixed")))
    sitk.WriteImage(sitk.Cast(image, sitk.sitkFloat32) + 1, str(process.file("--output-volume")), True)
    process.finish()
    app.wait_for(lambda: not module.widget.panel.running)
    assert "UNCERTAIN" in module.ui.verdictLabel.text
    # Either of two starts can be used, both can be chosen, and structures beside masks; and this result was applied.
    choose(module, inputs, initialTransform="start", structures="parts CT", applyToMoving=False)
    choose(module, inputs, outputTransform="start")
    choose(module, inputs, furtherVolumes=["MR"], originalVolume="MR", resampledCopy="CT")
    return set()


def assess(app, module, inputs):
    choose(module, inputs, fixedVolume="CT", movingVolume="MR", fixedTargets="points CT", movingTargets="points MR")
    choose(module, inputs, fixedSegmentation="parts CT", movingSegmentation="parts MR", region="parts CT")
    result = slicer.util.getNode("MR to CT")
    choose(module, {**inputs, "MR to CT": result}, transforms=["MR to CT", "start"], reference="screws", tolerance=2.5)
    choose(module, inputs, outputFolder="/reports", reviewer="A. Reader", comment="looks right")
    choose(module, inputs, pictureMode="edges", pictureAt="center", pictureField=80.0)
    assert module.ui.measureButton.enabled, module.ui.missingLabel.text
    module.ui.measureButton.click()
    app.wait_for(lambda: not module.widget.panel.running, 120)
    assert module.ui.messageLabel.text == ""
    module.ui.approveButton.click()
    return set()


def shown(modules):
    """What the panels say about their results."""
    ui = {name: module.ui for name, module in modules.items()}
    quality, registration = ui["MultimodalRegistrationQA"], ui["MultimodalRegistration"]
    return {
        "prepared": ui["RegistrationPreprocess"].factsLabel.text,
        "pairs": cells(ui["FiducialPrealign"].pairTable),
        "fit": ui["FiducialPrealign"].ownFitLabel.text,
        "verdict": (registration.verdictLabel.text, registration.evidenceLabel.text),
        "assessment": (quality.verdictLabel.text, quality.reasonsLabel.text, quality.markLabel.text),
        "tables": [cells(table) for table in (quality.methodTable, quality.targetTable, quality.structureTable)],
    }


def state(modules):
    values = {name: parameters_of(module.widget._parameterNode) for name, module in modules.items()}
    return values, shown(modules), scene_content(slicer.mrmlScene)


def assert_same(found, expected):
    assert found[0] == expected[0]
    assert found[1] == expected[1]
    assert_same_scene(found[2], expected[2])


def open_scene(app, path):
    slicer.mrmlScene.Clear()
    slicer.util.loadScene(str(path))
    app.process_events(50)


def open_elsewhere(source, target):
    """Open a scene without the extension and save it again, in a process of its own."""
    program = Path(__file__).with_name("open_without_extension.py")
    # Isolated: nothing of PYTHONPATH and of this folder.
    ended = subprocess.run(
        [sys.executable, "-I", str(program), str(source), str(target)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return json.loads(ended.stdout)


def test_everything_comes_back_from_a_scene_file(slicer_app, tmp_path):
    modules, inputs = open_modules(slicer_app), add_inputs()
    for name, run in zip(MODULES, (prepare, prealign, register, assess), strict=True):
        left_as_they_were = run(slicer_app, modules[name], inputs)
        parameters = modules[name].widget._parameterNode
        same = {
            each for each in parameters.allParameters if parameters.getValue(each) == parameters.default(each).value
        }
        assert same == left_as_they_were, "a parameter that is not tried here may be lost"
    slicer_app.process_events(50)
    before = state(modules)
    assert "UNCERTAIN" in before[1]["verdict"][0]
    assert "APPROVED by A. Reader" in before[1]["assessment"][2]
    result = modules["MultimodalRegistration"].widget._parameterNode.resultTransform
    assert json.loads(result.GetAttribute(SETTINGS_ATTRIBUTE))["verdict"]["word"] == "uncertain"

    # In this application, with the panels open.
    saved, again = tmp_path / "scene.mrb", tmp_path / "again.mrb"
    assert slicer.util.saveScene(str(saved))
    open_scene(slicer_app, saved)
    assert_same(state(modules), before)

    # Where the extension is not installed: nothing to complain about, and nothing lost when it is saved there.
    elsewhere = open_elsewhere(saved, again)
    assert (elsewhere["read"], elsewhere["written"], elsewhere["said"]) == (True, True, [])
    assert set(MODULES) <= set(elsewhere["modules"])
    own = [kind for kind in elsewhere["kinds"] if not hasattr(slicer, kind)]
    assert own == [], "nodes of kinds that Slicer does not have"

    # With the panels closed while it is opened.
    for module in modules.values():
        module.close()
    open_scene(slicer_app, again)
    modules = open_modules(slicer_app)
    slicer_app.process_events(50)
    assert_same(state(modules), before)
