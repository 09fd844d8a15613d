"""Slicer module: how good a registration is, and which of several is best."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Union

import slicer
import vtk
from MultimodalRegistrationLib.application.documentation import documentation_link
from slicer import (
    vtkMRMLLabelMapVolumeNode,
    vtkMRMLMarkupsFiducialNode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
    vtkMRMLTableNode,
    vtkMRMLTransformNode,
)
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class MultimodalRegistrationQA(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Multimodal Registration QA")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
        self.parent.dependencies = ["MultimodalRegistration"]
        self.parent.contributors = ["The MultimodalRegistration authors"]
        self.parent.helpText = _(
            "Measures how well one volume lies on another after one or more transforms, in mm at independent targets "
            "and at the surfaces of structures, compares the transforms, and writes a report that can be approved."
        )
        self.parent.helpText += documentation_link("MultimodalRegistrationQA")
        self.parent.acknowledgementText = _("The tolerance follows the report of AAPM task group 132.")


@parameterNodeWrapper
class MultimodalRegistrationQAParameterNode:
    """Everything that the user chooses; it is kept in the scene."""

    fixedVolume: vtkMRMLScalarVolumeNode
    movingVolume: vtkMRMLScalarVolumeNode
    transforms: list[vtkMRMLTransformNode]
    fixedTargets: vtkMRMLMarkupsFiducialNode
    movingTargets: vtkMRMLMarkupsFiducialNode
    fixedSegmentation: Union[vtkMRMLSegmentationNode, vtkMRMLLabelMapVolumeNode, None]
    movingSegmentation: Union[vtkMRMLSegmentationNode, vtkMRMLLabelMapVolumeNode, None]
    tolerance: Annotated[float, WithinRange(0.01, 100)] = 1.3
    reference: vtkMRMLTransformNode
    region: Union[vtkMRMLSegmentationNode, vtkMRMLLabelMapVolumeNode, None]
    pictureMode: str = "overlay"
    pictureAt: str = "views"
    pictureField: Annotated[float, WithinRange(0, 10_000)] = 0.0
    outputFolder: str = ""
    reviewer: str = ""
    comment: str = ""
    resultTable: vtkMRMLTableNode


class MultimodalRegistrationQAWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: MultimodalRegistrationQALogic | None = None
        self.panel: Any = None
        self._parameterNode: Any = None
        self._parameterNodeGuiTag: Any = None

    def setup(self) -> None:
        """Build the panel."""
        from MultimodalRegistrationLib.panels.quality.quality_panel import QualityPanel

        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MultimodalRegistrationQA.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = MultimodalRegistrationQALogic()
        self.panel = QualityPanel(self.ui)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        self.ui.measureButton.connect("clicked(bool)", self.onMeasureButton)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """The application quits, or the module is reloaded."""
        if self.panel is not None:
            self.panel.close()
            self.setParameterNode(None)
        self.removeObservers()

    def enter(self) -> None:
        """The user opens the module."""
        self.initializeParameterNode()

    def exit(self) -> None:
        """The user opens another module; a run goes on."""
        self.panel.leave()
        if self._parameterNode and self._parameterNodeGuiTag is not None:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self._parameterNodeGuiTag = None

    def onSceneStartClose(self, caller: Any, event: str) -> None:
        """The scene is closed: a run ends, and nothing of the scene is used any more."""
        self.panel.forget()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller: Any, event: str) -> None:
        """The scene is empty."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller: Any, event: str) -> None:
        """A scene was loaded."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def setInputs(self, fixedNode: Any, movingNode: Any, transformNode: Any) -> None:
        """Take over what another module hands on."""
        if self._parameterNode is None:
            self.initializeParameterNode()
        self.panel.set_inputs(fixedNode, movingNode, transformNode)

    def initializeParameterNode(self) -> None:
        """Make sure that there is a parameter node, with the last result of a registration chosen."""
        self.setParameterNode(self.logic.getParameterNode())
        self.panel.choose_inputs()
        if self.parent.isEntered:
            self.panel.enter()

    def setParameterNode(self, inputParameterNode: Any) -> None:
        """Connect the panel to a parameter node, or to none."""
        if self._parameterNode:
            if self._parameterNodeGuiTag is not None:
                self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._checkCanApply)
        self._parameterNode = inputParameterNode
        self._parameterNodeGuiTag = None
        self.panel.use_parameters(inputParameterNode)
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._checkCanApply)
            self._checkCanApply()

    def _checkCanApply(self, caller: Any = None, event: str | None = None) -> None:
        # While a scene is read, nodes are there before what they hold is; the end of that updates the panel.
        if not slicer.mrmlScene.IsImporting():
            self.panel.update()

    def onMeasureButton(self) -> None:
        """Start a run, or cancel the one that is going on."""
        self.panel.start_or_cancel()


class MultimodalRegistrationQALogic(ScriptedLoadableModuleLogic):
    """What scripts call: ``MultimodalRegistrationQALogic().assess(fixedNode, movingNode, [transformNode])``."""

    def getParameterNode(self) -> Any:
        """The parameter node of the panel."""
        return MultimodalRegistrationQAParameterNode(super().getParameterNode())

    def assess(
        self,
        fixedNode: Any,
        movingNode: Any,
        transformNodes: Sequence[Any],
        fixedTargetsNode: Any = None,
        movingTargetsNode: Any = None,
        *,
        fixedSegmentationNode: Any = None,
        movingSegmentationNode: Any = None,
        referenceNode: Any = None,
        regionNode: Any = None,
        toleranceMm: float = 1.3,
        reportFile: str | None = None,
    ) -> Any:
        """Measure how good transforms are and wait for it; works without a window.

        Parameters
        ----------
        fixedNode, movingNode : vtkMRMLScalarVolumeNode
            The volume that stays and the one that is moved onto it.
        transformNodes : sequence of vtkMRMLTransformNode
            One or more, applied to the moving volume or not.
        fixedTargetsNode, movingTargetsNode : vtkMRMLMarkupsNode, optional
            Independent points.
        fixedSegmentationNode, movingSegmentationNode : optional
            vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode with the same structures.
        referenceNode : vtkMRMLTransformNode, optional
            A transform that is known to be right.
        regionNode : optional
            The part of the fixed volume that counts.
        toleranceMm : float
            Acceptable mean error.
        reportFile : str, optional
            Where to write the report, an ``.html`` file.

        Returns
        -------
        QualityNodes
            Tables, charts, maps and markups that were added. :meth:`verdict` reads its table of methods.

        Raises
        ------
        RegistrationError
            Names the node, what was found and the remedy.
        """
        import shutil
        import tempfile
        from pathlib import Path

        from MultimodalRegistrationLib.io.outputs import OutputFiles
        from MultimodalRegistrationLib.mrml.quality import assess_nodes

        result = assess_nodes(
            fixedNode,
            movingNode,
            transformNodes,
            targets_fixed_node=fixedTargetsNode,
            targets_moving_node=movingTargetsNode,
            fixed_segmentation_node=fixedSegmentationNode,
            moving_segmentation_node=movingSegmentationNode,
            reference_node=referenceNode,
            region_node=regionNode,
            tolerance_mm=toleranceMm,
            add_nodes=True,
        )
        if reportFile is not None:
            with tempfile.TemporaryDirectory() as folder, OutputFiles() as outputs:
                page = outputs.add(reportFile, (".html",))
                shutil.copyfile(result.report(Path(folder)), page)
                outputs.commit()
        return result.nodes

    def verdict(self, tableNode: Any) -> dict[str, Any]:
        """The verdict in a table of methods: word, method, sentence, reasons, facts."""
        from MultimodalRegistrationLib.mrml.quality_nodes import CONTENT_ATTRIBUTE

        verdict: dict[str, Any] = json.loads(tableNode.GetAttribute(CONTENT_ATTRIBUTE))["verdict"]
        return verdict


class MultimodalRegistrationQATest(ScriptedLoadableModuleTest):
    """Runs inside Slicer: of two transforms of a phantom, the known one is good and the one that is 5 mm off is not."""

    def setUp(self) -> None:
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """Run everything."""
        self.setUp()
        self.test_phantom()
        self.test_panel_width()
        self.setUp()
        self.test_panel()

    def test_panel_width(self) -> None:
        """The panel does not force the dock wide."""
        panel = slicer.util.getModuleWidget("MultimodalRegistrationQA").parent
        self.assertLessEqual(panel.minimumSizeHint.width(), 400)

    def test_phantom(self) -> None:
        """A volume that was moved by a known transform."""
        from MultimodalRegistrationLib.mrml.phantom_case import add_phantom_case

        phantom = add_phantom_case(slicer.mrmlScene)
        fixedNode, movingNode = phantom.ct, phantom.t1
        ijkToRas = vtk.vtkMatrix4x4()
        fixedNode.GetIJKToRASMatrix(ijkToRas)
        known = vtk.vtkTransform()
        known.Translate(12, -7, 4)
        known.RotateWXYZ(11, 0.3, 0.5, 1)
        # The moving volume is the fixed one, put elsewhere.
        away = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Multiply4x4(known.GetInverse().GetMatrix(), ijkToRas, away)
        movingNode.SetAndObserveImageData(fixedNode.GetImageData())
        movingNode.SetIJKToRASMatrix(away)
        targets = [
            slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name) for name in ("on fixed", "on moving")
        ]
        # Nobody clicks without an error.
        for number, ijk in enumerate(
            ((20, 20, 30), (50, 20, 40), (30, 45, 50), (40, 30, 20), (25, 40, 60), (45, 40, 35))
        ):
            clicked = (ijk[0] + 0.1 * (number - 2.5), ijk[1], ijk[2] - 0.03 * number, 1)
            targets[0].AddControlPoint(*ijkToRas.MultiplyPoint((*ijk, 1))[:3])
            targets[1].AddControlPoint(*away.MultiplyPoint(clicked)[:3])
        transforms = []
        for name, shift in (("known", 0), ("off", 5)):
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", name)
            matrix = vtk.vtkMatrix4x4()
            matrix.DeepCopy(known.GetMatrix())
            matrix.SetElement(0, 3, matrix.GetElement(0, 3) + shift)
            node.SetMatrixTransformToParent(matrix)
            transforms.append(node)
        logic = MultimodalRegistrationQALogic()
        nodes = logic.assess(fixedNode, movingNode, transforms, *targets)
        verdict = logic.verdict(nodes.tables["methods"])
        self.assertEqual((verdict["word"], verdict["method"]), ("good", "known"), verdict["reasons"])

    def test_panel(self) -> None:
        """Choose, measure, look, remove, measure again, save, load and close."""
        from MultimodalRegistrationLib.application.panel_walk import PanelWalk
        from MultimodalRegistrationLib.core.frames import flip_matrix_lps_ras
        from MultimodalRegistrationLib.mrml.phantom_case import T1_TO_CT_LPS, add_phantom_case
        from MultimodalRegistrationLib.mrml.vtk_arrays import vtk_from_matrix

        walk = PanelWalk("MultimodalRegistrationQA")
        phantom = add_phantom_case(slicer.mrmlScene)
        truth = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "known")
        truth.SetMatrixTransformToParent(vtk_from_matrix(flip_matrix_lps_ras(T1_TO_CT_LPS)))
        walk.parameters.fixedVolume, walk.parameters.movingVolume = phantom.ct, phantom.t1
        walk.parameters.fixedTargets, walk.parameters.movingTargets = phantom.ct_targets, phantom.t1_targets
        walk.parameters.transforms = [truth]
        for run in ("measured", "measured again"):
            walk.press("measureButton")
            walk.wait(lambda: walk.parameters.resultTable is not None and not walk.widget.panel.running, run)
            if run == "measured":
                walk.check_width("with targets and a result")
                walk.check(walk.ui.logText.plainText, "the run has a log")
                walk.compare(phantom.ct)
                walk.press("removeButton")
                walk.check(walk.parameters.resultTable is None, "Remove takes the results out of the scene")
        rows = walk.ui.targetTable.rowCount
        walk.check(rows == 10, "each target has a row")
        walk.save_and_load()
        walk.wait(lambda: walk.ui.targetTable.rowCount == rows, "the results come back with the scene")
        walk.close_scene()
        walk.check(not walk.ui.measureButton.enabled, "without volumes, nothing can be measured")
        walk.end()
