"""Slicer module: two volumes checked, cut to what both show, masked and corrected for a registration."""

from typing import Annotated, Any, Union

import slicer
import vtk
from MultimodalRegistrationLib.application.documentation import documentation_link
from MultimodalRegistrationLib.mrml.prepared_nodes import PreparedNodes, RegionNodes
from MultimodalRegistrationLib.mrml.preprocess import find_region_nodes, preprocess_nodes
from MultimodalRegistrationLib.mrml.volume_findings import NodeFinding, check_nodes
from MultimodalRegistrationLib.panels.preprocess.choices import BiasCorrection, Pairing, Prealignment
from MultimodalRegistrationLib.panels.preprocess.panel import PreprocessPanel
from slicer import (
    vtkMRMLLabelMapVolumeNode,
    vtkMRMLMarkupsFiducialNode,
    vtkMRMLMarkupsROINode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
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


class RegistrationPreprocess(ScriptedLoadableModule):
    """Describes the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Registration Preprocess")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
        self.parent.dependencies = ["Markups", "MultimodalRegistration"]
        self.parent.contributors = ["The MultimodalRegistration authors"]
        self.parent.helpText = _(
            "Looks for what would fail or mislead a registration of two volumes, and prepares copies of them: cut to "
            "what both show, masked, corrected and resampled. The volumes themselves never change, and a transform "
            "that is found on the copies is one of the originals."
        )
        self.parent.helpText += documentation_link("RegistrationPreprocess")
        self.parent.acknowledgementText = _("Bias fields are found by N4 (Tustison et al., 2010).")


@parameterNodeWrapper
class RegistrationPreprocessParameterNode:
    """What is chosen, and the results; kept in the scene."""

    fixedVolume: vtkMRMLScalarVolumeNode
    movingVolume: vtkMRMLScalarVolumeNode
    prealignment: Prealignment = Prealignment.SEARCH
    initialTransform: vtkMRMLTransformNode
    fixedLandmarks: vtkMRMLMarkupsFiducialNode
    movingLandmarks: vtkMRMLMarkupsFiducialNode
    pairing: Pairing = Pairing.ORDER
    regionParts: Union[vtkMRMLSegmentationNode, vtkMRMLLabelMapVolumeNode, None]
    marginMm: Annotated[float, WithinRange(0, 1000)] = 10.0
    roi: vtkMRMLMarkupsROINode
    masks: bool = True
    fixedMask: Union[vtkMRMLSegmentationNode, vtkMRMLLabelMapVolumeNode, None]
    movingMask: Union[vtkMRMLSegmentationNode, vtkMRMLLabelMapVolumeNode, None]
    biasCorrection: BiasCorrection = BiasCorrection.NONE
    isotropic: bool = False
    isotropicMm: Annotated[float, WithinRange(0.01, 100)] = 1.0
    # Results.
    preparedFixed: vtkMRMLScalarVolumeNode
    preparedMoving: vtkMRMLScalarVolumeNode
    preparedFixedMask: vtkMRMLLabelMapVolumeNode
    preparedMovingMask: vtkMRMLLabelMapVolumeNode
    fixedBiasField: vtkMRMLScalarVolumeNode
    movingBiasField: vtkMRMLScalarVolumeNode
    usedPrealignment: vtkMRMLTransformNode
    facts: list[str]


class RegistrationPreprocessWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Connects the panel to the scene."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/RegistrationPreprocess.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = RegistrationPreprocessLogic()
        self.panel = PreprocessPanel(self.ui)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeRemovedEvent, self.onNodeRemoved)
        self.initializeParameterNode()

    def cleanup(self):
        if self.panel is not None:
            self.panel.end()
            self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        self.panel.cancel()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onNodeRemoved(self, caller, event):
        if self._parameterNode and not slicer.mrmlScene.IsClosing():
            self.panel.update()

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, inputParameterNode: RegistrationPreprocessParameterNode | None) -> None:
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        self._parameterNode = inputParameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        self.panel.set_parameters(self._parameterNode)

    def onParametersModified(self, caller=None, event=None):
        # While a scene is read, nodes are there before what they hold is; the end of that updates the panel.
        if not slicer.mrmlScene.IsImporting():
            self.panel.update()


class RegistrationPreprocessLogic(ScriptedLoadableModuleLogic):
    """Everything that the panel does, for scripts: nodes in, nodes out."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)

    def getParameterNode(self):
        return RegistrationPreprocessParameterNode(super().getParameterNode())

    def check(self, fixedNode, movingNode) -> tuple[NodeFinding, ...]:
        """What speaks against registering two volumes."""
        return check_nodes(fixedNode, movingNode)

    def findCommonRegion(self, fixedNode, movingNode, **options: Any) -> RegionNodes:
        """What both volumes show, as a ROI; options as of ``MultimodalRegistrationLib.mrml.preprocess``."""
        return find_region_nodes(slicer.mrmlScene, fixedNode, movingNode, **options)

    def preprocess(self, fixedNode, movingNode, **options: Any) -> PreparedNodes:
        """Prepared copies of two volumes; options as of ``MultimodalRegistrationLib.mrml.preprocess``."""
        return preprocess_nodes(slicer.mrmlScene, fixedNode, movingNode, **options)


class RegistrationPreprocessTest(ScriptedLoadableModuleTest):
    """Runs in Slicer; Testing/Python has more."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_panel()
        self.setUp()
        self.test_prepareTwoScansOfThePhantom()
        self.test_panel_width()

    def test_panel_width(self):
        """The panel does not force the dock wide."""
        panel = slicer.util.getModuleWidget("RegistrationPreprocess").parent
        self.assertLessEqual(panel.minimumSizeHint.width(), 400)

    def test_prepareTwoScansOfThePhantom(self):
        from MultimodalRegistrationLib.core.grid import VolumeGrid
        from MultimodalRegistrationLib.core.phantom import make_head
        from MultimodalRegistrationLib.mrml.volumes import add_volume_node

        grid = VolumeGrid.of_matrix((50, 60, 60), [[4, 0, 0, -98], [0, 4, 0, -118], [0, 0, 4, -118], [0, 0, 0, 1]])
        pose = [[1, 0, 0, 5], [0, 1, 0, 3], [0, 0, 1, -8], [0, 0, 0, 1]]
        nodes = [
            add_volume_node(slicer.mrmlScene, make_head(modality, grid, pose, seed=seed), name=modality)
            for seed, modality in enumerate(("CT", "T1"))
        ]
        start = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "start")
        prepared = RegistrationPreprocessLogic().preprocess(*nodes, initial_transform_node=start)
        self.assertLess(prepared.fixed.GetImageData().GetNumberOfPoints(), nodes[0].GetImageData().GetNumberOfPoints())
        self.assertIsNotNone(prepared.roi.GetDisplayNode())

    def test_panel(self):
        """Choose, look for findings, find the region, prepare, remove, prepare again, save, load and close."""
        from MultimodalRegistrationLib.application.panel_walk import PanelWalk
        from MultimodalRegistrationLib.mrml.phantom_case import add_phantom_case

        walk = PanelWalk("RegistrationPreprocess")
        phantom = add_phantom_case(slicer.mrmlScene)
        walk.parameters.fixedVolume, walk.parameters.movingVolume = phantom.ct, phantom.t1
        walk.press("checkButton")
        walk.wait(lambda: walk.ui.findRegionButton.enabled, "the volumes are checked")
        walk.press("findRegionButton")
        walk.wait(lambda: walk.parameters.roi is not None and not walk.widget.panel.running, "the region is a ROI")
        walk.check_planes(phantom.ct, "with a region")
        for run in ("prepared", "prepared again"):
            walk.press("applyButton")
            walk.wait(lambda: walk.parameters.preparedMoving is not None and not walk.widget.panel.running, run)
            if run == "prepared":
                walk.check_width("with a result")
                walk.check(walk.ui.logText.plainText, "the run has a log")
                walk.press("removeButton")
                walk.check(walk.parameters.preparedMoving is None, "Remove takes what was made out of the scene")
        walk.save_and_load()
        walk.wait(lambda: walk.parameters.preparedMoving is not None, "the prepared volumes come back with the scene")
        walk.close_scene()
        walk.check(not walk.ui.applyButton.enabled, "without volumes, nothing can be prepared")
        walk.end()
