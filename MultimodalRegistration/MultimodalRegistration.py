"""Slicer module: put one volume onto another, and say whether to trust the result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Union

import slicer
import vtk
from MultimodalRegistrationLib.application.documentation import documentation_link
from MultimodalRegistrationLib.application.engine_packages import use_slicer_engines
from MultimodalRegistrationLib.application.sample_data import register_sample_data
from slicer import (
    vtkMRMLLabelMapVolumeNode,
    vtkMRMLMarkupsFiducialNode,
    vtkMRMLMarkupsROINode,
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


class MultimodalRegistration(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Multimodal Registration")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
        self.parent.dependencies = []
        self.parent.contributors = ["The MultimodalRegistration authors"]
        self.parent.helpText = _(
            "Registers CT, MRI, PET and other volumes of one subject to each other. Choose the volume that stays and "
            "the one that is moved onto it, and press Register. The result comes with a verdict and its evidence."
        )
        self.parent.helpText += documentation_link("MultimodalRegistration")
        self.parent.acknowledgementText = _("Engines: elastix, ANTs and SimpleITK.")
        use_slicer_engines()
        slicer.app.connect("startupCompleted()", register_sample_data)


class MultimodalRegistrationFileReader:
    """Loads transforms of elastix and FreeSurfer where Slicer loads files; its methods are those that Slicer calls."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent

    def description(self) -> str:
        """What the user may choose in the dialog."""
        return str(_("Transform of elastix or FreeSurfer"))

    def fileType(self) -> str:
        """The type for ``slicer.util.loadNodeFromFile``."""
        return "MultimodalRegistrationTransform"

    def extensions(self) -> list[str]:
        """Names of files that may be such transforms."""
        return [str(_("Transform of elastix")) + " (*.txt *.toml)", str(_("Transform of FreeSurfer")) + " (*.lta)"]

    def canLoadFile(self, filePath: str) -> bool:
        """Whether a file is such a transform, by what is in it."""
        from MultimodalRegistrationLib.mrml.transforms import is_tool_transform

        return is_tool_transform(Path(filePath))

    def canLoadFileConfidence(self, filePath: str) -> float:
        """Above that of readers that go by the name alone: many programs write .txt."""
        return 0.9 if self.canLoadFile(filePath) else 0.0

    def load(self, properties: dict[str, Any]) -> bool:
        """Load a file; messages tell why it cannot be, or how far the node is from it."""
        from MultimodalRegistrationLib.core.errors import RegistrationError
        from MultimodalRegistrationLib.mrml.transforms import add_tool_transform

        messages = self.parent.userMessages()
        try:
            node, warning = add_tool_transform(slicer.mrmlScene, Path(properties["fileName"]))
        except RegistrationError as error:
            messages.AddMessage(vtk.vtkCommand.ErrorEvent, str(error))
            return False
        if warning is not None:
            messages.AddMessage(vtk.vtkCommand.WarningEvent, warning)
        if properties.get("name"):
            node.SetName(slicer.mrmlScene.GenerateUniqueName(properties["name"]))
        self.parent.loadedNodes = [node.GetID()]
        return True


@parameterNodeWrapper
class MultimodalRegistrationParameterNode:
    """Everything that the user chooses; it is kept in the scene.

    Zero millimetres or degrees stand for any; an empty engine for the best one installed; an empty ``then`` for no
    second stage. The changed parameters of presets are JSON: preset, engine, stages.
    """

    fixedVolume: vtkMRMLScalarVolumeNode
    movingVolume: vtkMRMLScalarVolumeNode
    furtherVolumes: list[vtkMRMLScalarVolumeNode]
    preset: str = "rigid"
    then: str = ""
    fixedLandmarks: vtkMRMLMarkupsFiducialNode
    movingLandmarks: vtkMRMLMarkupsFiducialNode
    pairing: str = "order"
    initialTransform: vtkMRMLTransformNode
    fixedMask: Union[vtkMRMLSegmentationNode, vtkMRMLLabelMapVolumeNode, None]
    movingMask: Union[vtkMRMLSegmentationNode, vtkMRMLLabelMapVolumeNode, None]
    roi: vtkMRMLMarkupsROINode
    structures: Union[vtkMRMLSegmentationNode, vtkMRMLLabelMapVolumeNode, None]
    start: str = "auto"
    maxTranslation: Annotated[float, WithinRange(0, 2000)] = 0.0
    maxRotation: Annotated[float, WithinRange(0, 180)] = 0.0
    engine: str = ""
    changedParameters: str = "{}"
    outputTransform: vtkMRMLTransformNode
    applyToMoving: bool = True
    carried: list[vtkMRMLTransformableNode]
    resampledVolume: bool = False
    originalVolume: vtkMRMLScalarVolumeNode
    resampledCopy: vtkMRMLScalarVolumeNode
    resultTransform: vtkMRMLTransformNode


class MultimodalRegistrationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: MultimodalRegistrationLogic | None = None
        self.panel: Any = None
        self._parameterNode: Any = None
        self._parameterNodeGuiTag: Any = None

    def setup(self) -> None:
        """Build the panel."""
        from MultimodalRegistrationLib.panels.registration.panel import RegistrationPanel

        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MultimodalRegistration.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = MultimodalRegistrationLogic()
        self.panel = RegistrationPanel(self.ui)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        self.ui.registerButton.connect("clicked(bool)", self.onRegisterButton)
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

    def setInputs(self, fixedNode: Any, movingNode: Any, **others: Any) -> None:
        """Take over what another module hands on.

        Parameters
        ----------
        fixedNode, movingNode : vtkMRMLScalarVolumeNode
            The volumes.
        **others
            Further nodes by the name of their parameter: initialTransform, fixedLandmarks, movingLandmarks, fixedMask,
            movingMask, roi. Those that are not given are left as they are.
        """
        self.initializeParameterNode()
        for name, node in {"fixedVolume": fixedNode, "movingVolume": movingNode, **others}.items():
            setattr(self._parameterNode, name, node)

    def initializeParameterNode(self) -> None:
        """Make sure that there is a parameter node, with the first two volumes of the scene chosen."""
        self.setParameterNode(self.logic.getParameterNode())
        self.panel.choose_volumes()
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

    def onRegisterButton(self) -> None:
        """Start a run, or cancel the one that is going on."""
        self.panel.start_or_cancel()


class MultimodalRegistrationLogic(ScriptedLoadableModuleLogic):
    """What scripts call: ``slicer.util.getModuleLogic("MultimodalRegistration").register(fixed, moving)``."""

    def getParameterNode(self) -> Any:
        """The parameter node of the panel."""
        return MultimodalRegistrationParameterNode(super().getParameterNode())

    def register(self, fixedNode: Any, movingNode: Any, *, applyToMoving: bool = True, **options: Any) -> Any:
        """Register one volume to another and wait for it; works without a window.

        Parameters
        ----------
        fixedNode, movingNode : vtkMRMLScalarVolumeNode
            The volume that stays and the one that is moved onto it.
        applyToMoving : bool
            Put the moving volume under the result.
        **options
            As for :func:`MultimodalRegistrationLib.mrml.register.register_nodes`, whose help lists them: preset,
            further stages, masks, region, landmarks, initial transform, engine, start, bounds.

        Returns
        -------
        SceneRegistration
            ``.node`` leads from where the moving volume lay onto the fixed one; ``.verdict`` tells how far to trust it;
            ``.transform`` maps points; ``.report(folder)`` measures the result and writes a page.

        Raises
        ------
        RegistrationError
            Names the node, what was found and the remedy.
        """
        from MultimodalRegistrationLib.mrml.register import register_nodes
        from MultimodalRegistrationLib.mrml.transforms import apply_to_moving

        result = register_nodes(slicer.mrmlScene, fixedNode, movingNode, **options)
        if applyToMoving:
            apply_to_moving(result.node, movingNode)
        return result

    def runBatch(self, studyPath: str, outputDir: str, *options: str) -> int:
        """Run a whole study and wait for it; works without a window.

        Parameters
        ----------
        studyPath : str
            ``.csv`` or ``.json``, a row for each case.
        outputDir : str
            Folder for the results.
        *options : str
            Further ones of ``multimodal-registration batch``, such as ``"--resume"``.

        Returns
        -------
        int
            Of :class:`~MultimodalRegistrationLib.core.errors.ExitCode`: 0 all verified, 6 some failed, 7 others
            are not verified, 8 some have no result; 2 bad study file or folder, 4 cancelled.
        """
        from MultimodalRegistrationLib.cli.main import main

        try:
            return main(["batch", f"--output-dir={outputDir}", *options, "--", studyPath])
        except SystemExit as end:
            # A mistake in the options, which was printed; in Slicer it would end the application.
            return int(end.code or 0)

    def result(self, transformNode: Any) -> Any:
        """The result of a registration that a transform node keeps, as :meth:`register` gives it."""
        from MultimodalRegistrationLib.mrml.register import SceneRegistration

        return SceneRegistration.of_node(transformNode)


class MultimodalRegistrationTest(ScriptedLoadableModuleTest):
    """Runs inside Slicer: a phantom is registered in the panel and compared with its known pose."""

    def setUp(self) -> None:
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """Run everything."""
        self.setUp()
        self.test_panel()
        self.test_panel_width()
        self.setUp()
        self.test_views()

    def test_panel_width(self) -> None:
        """The panel does not force the dock wide."""
        panel = slicer.util.getModuleWidget("MultimodalRegistration").parent
        self.assertLessEqual(panel.minimumSizeHint.width(), 400)

    def test_panel(self) -> None:
        """Choose, register, look, undo, register again, save, load and close."""
        from MultimodalRegistrationLib.application.panel_walk import PanelWalk
        from MultimodalRegistrationLib.engines.presets.preset import find_preset
        from MultimodalRegistrationLib.mrml.phantom_case import add_phantom_case, phantom_error_mm
        from MultimodalRegistrationLib.mrml.scene_nodes import nodes_of_class

        walk = PanelWalk("MultimodalRegistration")
        phantom = add_phantom_case(slicer.mrmlScene)
        walk.wait(
            lambda: (walk.parameters.fixedVolume, walk.parameters.movingVolume) == (phantom.ct, phantom.t1),
            "two volumes that come into the scene are chosen",
        )
        before = {node.GetID() for node in nodes_of_class(slicer.mrmlScene, "vtkMRMLDisplayableNode")}
        for run in ("a result", "a second result"):
            walk.press("registerButton")
            walk.wait(lambda: walk.parameters.resultTransform is not None and not walk.widget.panel.running, run)
            error_mm = phantom_error_mm(walk.parameters.resultTransform)
            walk.check(error_mm < 2.0, f"it is {error_mm:.2f} mm from the truth")
            if run == "a result":
                walk.check_width("with a result")
                walk.compare(phantom.ct)
                walk.press("undoButton")
                walk.check(phantom.t1.GetParentTransformNode() is None, "Undo puts the moving volume back")
                after = {node.GetID() for node in nodes_of_class(slicer.mrmlScene, "vtkMRMLDisplayableNode")}
                walk.check(after == before, "Undo leaves no node behind")
                # SimpleITK alone, as in a new Slicer, takes half a minute a run.
                stages = [{**stage, "samples": 20_000} for stage in find_preset("rigid").engines["simpleitk"]]
                changed = json.dumps({"rigid": {"simpleitk": stages}})
                walk.parameters.changedParameters = changed
        words = walk.ui.verdictLabel.text
        walk.save_and_load()
        walk.wait(lambda: walk.ui.verdictLabel.text == words, "the verdict comes back with the scene")
        walk.check(walk.parameters.changedParameters == changed, "and so do changed parameters of the preset")
        walk.check_planes(walk.parameters.fixedVolume, "after the scene was loaded")
        walk.close_scene()
        walk.check(not walk.ui.registerButton.enabled, "without volumes, Register is off")
        walk.end()

    def test_views(self) -> None:
        """Every mode shows both volumes in the planes of the fixed one; afterwards the views are as before."""
        import time

        from MultimodalRegistrationLib.application.slice_views import slice_composite_nodes
        from MultimodalRegistrationLib.mrml.phantom_case import add_phantom_case
        from MultimodalRegistrationLib.panels.common.comparison import CHECKERBOARD, COLOR, EDGES, GREY, Comparison

        comparison = Comparison()
        if not comparison.available:
            return
        phantom = add_phantom_case(slicer.mrmlScene)
        layers = slice_composite_nodes()[0]
        before = layers.GetBackgroundVolumeID(), layers.GetForegroundVolumeID(), layers.GetLabelVolumeID()
        nodes = slicer.mrmlScene.GetNumberOfNodes()
        comparison.show(phantom.ct, phantom.t1, [], None)
        done = {
            EDGES: lambda: layers.GetLabelVolumeID() != before[2],
            CHECKERBOARD: lambda: (
                "checkerboard" in slicer.mrmlScene.GetNodeByID(layers.GetForegroundVolumeID()).GetName()
            ),
        }
        for mode in (GREY, EDGES, CHECKERBOARD, COLOR):
            comparison.set_mode(mode)
            latest = time.monotonic() + 20
            while mode in done and not done[mode]():
                self.assertLess(time.monotonic(), latest, f"the mode {mode} shows nothing")
                slicer.app.processEvents()
            self.assertEqual(layers.GetBackgroundVolumeID(), phantom.ct.GetID())
        comparison.show_surfaces(True)
        latest = time.monotonic() + 20
        while slicer.mrmlScene.GetFirstNodeByName(f"{phantom.t1.GetName()} surface") is None:
            self.assertLess(time.monotonic(), latest, "the 3D view shows no surface")
            slicer.app.processEvents()
        comparison.hide()
        after = layers.GetBackgroundVolumeID(), layers.GetForegroundVolumeID(), layers.GetLabelVolumeID()
        self.assertEqual(after, before)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), nodes)
