"""Slicer module: put one volume onto another by pairs of points, and say how good the pairs are."""

from __future__ import annotations

from typing import Annotated, Any, Union

import slicer
import vtk
from MultimodalRegistrationLib.application.documentation import documentation_link
from MultimodalRegistrationLib.panels.prealign.choices import ModelChoice, PairingChoice, ShapeModelChoice
from slicer import (
    vtkMRMLMarkupsFiducialNode,
    vtkMRMLModelNode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
    vtkMRMLTransformableNode,
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


class FiducialPrealign(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Fiducial Prealign")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
        self.parent.dependencies = ["Markups", "MultimodalRegistration"]
        self.parent.contributors = ["The MultimodalRegistration authors"]
        self.parent.helpText = _(
            "Puts one volume onto another by pairs of points, or by shapes. While you place them it tells which pairs "
            "do not fit, which model they support, and what error to expect where you need it."
        )
        self.parent.helpText += documentation_link("FiducialPrealign")
        self.parent.acknowledgementText = ""


@parameterNodeWrapper
class FiducialPrealignParameterNode:
    """Everything that the user chooses; it is kept in the scene.

    Zero millimetres as the localisation error stand for: as the fit suggests. Segments are identifiers.
    """

    fixedPoints: vtkMRMLMarkupsFiducialNode
    movingPoints: vtkMRMLMarkupsFiducialNode
    fixedVolume: vtkMRMLScalarVolumeNode
    movingVolume: vtkMRMLScalarVolumeNode
    pairing: PairingChoice = PairingChoice.ORDER
    model: ModelChoice = ModelChoice.RIGID
    mirrorAllowed: bool = False
    stiffness: Annotated[float, WithinRange(0, 1000)] = 0.0
    localisationError: Annotated[float, WithinRange(0, 100)] = 0.0
    fixedTargets: vtkMRMLMarkupsFiducialNode
    movingTargets: vtkMRMLMarkupsFiducialNode
    fixedShape: Union[vtkMRMLModelNode, vtkMRMLSegmentationNode, vtkMRMLMarkupsFiducialNode, None]
    movingShape: Union[vtkMRMLModelNode, vtkMRMLSegmentationNode, vtkMRMLMarkupsFiducialNode, None]
    fixedSegment: str = ""
    movingSegment: str = ""
    shapeModel: ShapeModelChoice = ShapeModelChoice.RIGID
    outputTransform: vtkMRMLTransformNode
    applyToMoving: bool = True
    carried: list[vtkMRMLTransformableNode]


class FiducialPrealignWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: FiducialPrealignLogic | None = None
        self.panel: Any = None
        self._parameterNode: Any = None
        self._parameterNodeGuiTag: Any = None

    def setup(self) -> None:
        """Build the panel."""
        from MultimodalRegistrationLib.panels.prealign.panel import PrealignPanel

        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/FiducialPrealign.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = FiducialPrealignLogic()
        self.panel = PrealignPanel(self.ui, self.logic)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndClose)
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
        """The user opens another module: points are not followed meanwhile; a run goes on."""
        self.setParameterNode(None)

    def onSceneStartClose(self, caller: Any, event: str) -> None:
        """The scene is closed: a run ends, and nothing of the scene is used any more."""
        self.panel.forget()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller: Any, event: str) -> None:
        """The scene is empty, or another one was loaded."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        """Make sure that there is a parameter node."""
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, inputParameterNode: Any) -> None:
        """Connect the panel to a parameter node, or to none."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._checkCanApply)
        self._parameterNode = inputParameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._checkCanApply)
        self.panel.use_parameters(inputParameterNode)

    def _checkCanApply(self, caller: Any = None, event: str | None = None) -> None:
        # While a scene is read, nodes are there before what they hold is; the end of that updates the panel.
        if not slicer.mrmlScene.IsImporting():
            self.panel.update()


class FiducialPrealignLogic(ScriptedLoadableModuleLogic):
    """What scripts call: ``FiducialPrealignLogic().prealign(fixedList, movingList, model="rigid")``."""

    def getParameterNode(self) -> Any:
        """The parameter node of the panel."""
        return FiducialPrealignParameterNode(super().getParameterNode())

    def prealign(
        self,
        fixedList: Any,
        movingList: Any,
        model: str = "rigid",
        *,
        pairing: str = "order",
        outputTransform: Any = None,
        **options: Any,
    ) -> Any:
        """Fit a transform to two lists of points; nothing is moved.

        Parameters
        ----------
        fixedList, movingList : vtkMRMLMarkupsNode
            Points on what stays and on what is moved; where they lie in the world counts.
        model : str
            ``"translation"``, ``"rigid"``, ``"similarity"``, ``"affine"``, ``"tps"`` or ``"auto"``.
        pairing : str
            ``"order"``, ``"label"`` or ``"auto"``.
        outputTransform : vtkMRMLTransformNode, optional
            Gets the result in place of a new node.
        **options
            As for :func:`MultimodalRegistrationLib.mrml.landmarks.prealign_nodes`.

        Returns
        -------
        vtkMRMLTransformNode
            From the moving side onto the fixed one. Its attribute ``MultimodalRegistration.Settings`` holds all errors.

        Raises
        ------
        RegistrationError
            Names the list, what was found and the remedy.
        """
        from MultimodalRegistrationLib.mrml.landmarks import prealign_nodes

        node, _result = prealign_nodes(
            slicer.mrmlScene, fixedList, movingList, model=model, pairing=pairing, node=outputTransform, **options
        )
        return node

    def alignShapes(
        self,
        fixedShape: Any,
        movingShape: Any,
        *,
        fixedSegment: str | None = None,
        movingSegment: str | None = None,
        model: str = "rigid",
        outputTransform: Any = None,
    ) -> tuple[Any, Any]:
        """Lay one model, segment or list of points on another; nothing is moved.

        Returns
        -------
        vtkMRMLTransformNode, SurfaceRegistration
            See :func:`MultimodalRegistrationLib.mrml.register_surfaces.register_surface_nodes`.
        """
        from MultimodalRegistrationLib.mrml.register_surfaces import register_surface_nodes

        return register_surface_nodes(
            slicer.mrmlScene,
            fixedShape,
            movingShape,
            fixed_segment=fixedSegment,
            moving_segment=movingSegment,
            model=model,
            node=outputTransform,
        )


class FiducialPrealignTest(ScriptedLoadableModuleTest):
    """Runs in Slicer; the whole suite is in Testing/Python of the source."""

    def setUp(self) -> None:
        """Start with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """Run everything."""
        self.setUp()
        self.test_known_rotation()
        self.test_panel_width()
        self.setUp()
        self.test_panel()

    def test_panel_width(self) -> None:
        """The panel does not force the dock wide."""
        panel = slicer.util.getModuleWidget("FiducialPrealign").parent
        self.assertLessEqual(panel.minimumSizeHint.width(), 400)

    def test_known_rotation(self) -> None:
        """A quarter turn and a shift are found."""
        fixed, moving = (slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", n) for n in ("CT", "MR"))
        for x, y, z in ((0, 0, 0), (50, 5, 0), (0, 60, 10), (10, 0, 70), (40, 30, 20)):
            moving.AddControlPoint(x, y, z)
            fixed.AddControlPoint(12 - y, x - 7, z + 30)
        node = FiducialPrealignLogic().prealign(fixed, moving)
        matrix = slicer.util.arrayFromTransformMatrix(node)
        for row, expected in enumerate((12, -7, 30)):
            self.assertAlmostEqual(matrix[row, 3], expected, places=6)
        self.assertAlmostEqual(matrix[1, 0], 1, places=6)

    def test_panel(self) -> None:
        """Choose, refine, undo, apply, invert, harden, save, load and close."""
        from MultimodalRegistrationLib.application.panel_walk import PanelWalk
        from MultimodalRegistrationLib.mrml.phantom_case import add_phantom_case, phantom_error_mm

        walk = PanelWalk("FiducialPrealign")
        phantom = add_phantom_case(slicer.mrmlScene)
        walk.parameters.fixedVolume, walk.parameters.movingVolume = phantom.ct, phantom.t1
        walk.parameters.fixedPoints, walk.parameters.movingPoints = phantom.ct_landmarks, phantom.t1_landmarks
        walk.wait(lambda: walk.ui.pairTable.rowCount == 5, "each pair has a row")
        walk.wait(lambda: walk.ui.refineButton.enabled, "the pairs are judged")
        placed = phantom.t1_landmarks.GetNthControlPointPosition(0)
        walk.press("refineButton")
        # Without a main window no panel is visible, but its parts are hidden or not.
        walk.wait(lambda: not walk.ui.takeRefinedButton.isHidden(), "refined points are shown before they are taken")
        walk.press("takeRefinedButton")
        walk.check(phantom.t1_landmarks.GetNthControlPointPosition(0) != placed, "refined points are taken")
        walk.press("leaveRefinedButton")
        walk.check(phantom.t1_landmarks.GetNthControlPointPosition(0) == placed, "and put back")
        walk.wait(lambda: walk.ui.applyButton.enabled, "Apply is offered")
        walk.press("applyButton")
        transform = walk.parameters.outputTransform
        walk.check(phantom.t1.GetParentTransformNode() is transform, "the transform is applied to the moving volume")
        error_mm = phantom_error_mm(transform)
        walk.check(error_mm < 5.0, f"it is {error_mm:.2f} mm from the truth")
        walk.check_width("with pairs and a result")
        walk.compare(phantom.ct)
        walk.press("invertButton")
        walk.press("hardenButton")
        walk.check(phantom.t1.GetParentTransformNode() is None, "the movement is hardened")
        walk.save_and_load()
        walk.wait(lambda: walk.ui.pairTable.rowCount == 5, "the pairs come back with the scene")
        walk.close_scene()
        walk.check(not walk.ui.applyButton.enabled, "without points, Apply is off")
        walk.end()
