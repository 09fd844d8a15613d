"""Every name taken from Slicer, CTK and Qt exists in the oldest and in the newest Slicer that is supported."""

from __future__ import annotations

import ast
import os
import sys
from xml.etree import ElementTree

import pytest
from conftest import PROJECT

if not os.environ.get("CI"):
    pytest.importorskip("PySide6.QtWidgets", reason="Qt's names come from PySide6")
    pytest.importorskip("vtk", reason="VTK's names come from vtk")
sys.path.insert(0, str(PROJECT / "Testing"))

from SlicerNames.bindings import binding_error
from SlicerNames.check_names import check_source
from SlicerNames.check_ui import check_ui
from SlicerNames.names import SlicerNames
from SlicerNames.sources import parameter_classes, widgets_of_ui

VERSIONS = {name: SlicerNames(PROJECT / "Testing" / "SlicerNames" / f"names-{name}.json") for name in ("5.10", "main")}
MODULE_FOLDERS = ("FiducialPrealign", "RegistrationPreprocess", "MultimodalRegistration", "RegistrationQA")
LIBRARY_FOLDERS = ("mrml", "application", "panels")
LIBRARY = PROJECT / "MultimodalRegistration" / "MultimodalRegistrationLib"
SOURCES = sorted(
    [path for folder in MODULE_FOLDERS for path in (PROJECT / folder).glob("*.py")]
    + [path for folder in LIBRARY_FOLDERS for path in (LIBRARY / folder).rglob("*.py")]
)
PANELS = sorted(path for folder in MODULE_FOLDERS for path in (PROJECT / folder).rglob("*.ui"))


def widgets_of(folder):
    """Classes by object name in the panels of a module; of all modules for the library, whose panels any may use."""
    widgets: dict[str, set[str]] = {}
    for path in PANELS:
        if folder in path.parents or folder == PROJECT:
            for name, kind in widgets_of_ui(path).items():
                widgets.setdefault(name, set()).add(kind)
    return widgets


def missing(text, widgets=None):
    """Findings by version; one that is guarded counts when no version has the name."""
    found = {version: check_source(text, names, widgets or {}) for version, names in VERSIONS.items()}
    everywhere = set.intersection(*(set(each) for each in found.values()))
    return [
        f"line {each.line}: {each.name}: {each.what} (Slicer {VERSIONS[version].version})"
        for version, findings in found.items()
        for each in findings
        if not each.guarded or each in everywhere
    ]


@pytest.mark.parametrize("path", PANELS, ids=lambda path: path.stem)
def test_no_place_of_a_panel_is_taken_twice(path):
    """Qt draws what comes second over the first, or at the corner of the window."""
    for layout in ElementTree.parse(path).iter("layout"):
        places = [(item.get("row"), item.get("column")) for item in layout.findall("item") if item.get("row")]
        assert len(places) == len(set(places)), f"{layout.get('name')}: {sorted(places)}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_name_exists_in_both_versions(path):
    folder = PROJECT if LIBRARY in path.parents else path.parent
    found = missing(path.read_text(encoding="utf-8"), widgets_of(folder))
    assert not found, "\n".join(f"{path.relative_to(PROJECT)}, {each}" for each in found)


@pytest.mark.parametrize("path", PANELS, ids=lambda path: str(path.relative_to(PROJECT)))
@pytest.mark.parametrize("version", VERSIONS)
def test_every_panel_file_is_sound(path, version):
    module_folder = next(PROJECT / folder for folder in MODULE_FOLDERS if PROJECT / folder in path.parents)
    module = next(iter(module_folder.glob("*.py"))).stem
    classes = {}
    for source in SOURCES:
        classes |= parameter_classes(ast.parse(source.read_text(encoding="utf-8")))
    found = check_ui(path, VERSIONS[version], f"{module}ParameterNode", classes)
    assert not found, "\n".join(f"{path.relative_to(PROJECT)}: {each}" for each in found)


HEAD = """
import ctk, qt, slicer, vtk
from slicer import vtkMRMLTransformNode
def run(self, node: vtkMRMLTransformNode, other, button: qt.QPushButton, combo: "slicer.qMRMLNodeComboBox"):
    {}
"""


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("slicer.util.errorDisply('x')", "slicer.util.errorDisply"),
        ("slicer.app.processEvent()", "qSlicerApplication.processEvent"),
        ("slicer.modules.volumez.logic()", "slicer.modules.volumez"),
        ("slicer.modules.volumes.logic().AddArchetypeVolum('a')", "vtkSlicerVolumesLogic.AddArchetypeVolum"),
        ("slicer.mrmlScene.AddNewNodeByClass('vtkMRMLTransfomNode')", "vtkMRMLTransfomNode"),
        ("slicer.mrmlScene.AddNewNodeByClass('vtkMRMLTransformNode').Invers()", "vtkMRMLTransformNode.Invers"),
        ("return ['vtkMRMLTransfomNode']", "vtkMRMLTransfomNode"),
        ("node.IsLinea()", "vtkMRMLTransformNode.IsLinea"),
        ("other.GetSpacin()", "other.GetSpacin"),
        ("vtk.vtkMatrix4x4().DeepCpy(other)", "vtkMatrix4x4.DeepCpy"),
        ("qt.QComboBo()", "qt.QComboBo"),
        ("ctk.ctkCollapsibleButton().setCollapsed(True)", "ctkCollapsibleButton.setCollapsed"),
        ("combo.setNodeTypes([])", "qMRMLNodeComboBox.setNodeTypes"),
        ("combo.connect('currentNodeChanged(vtkMRMLNode)', run)", '"currentNodeChanged(vtkMRMLNode)"'),
        ("button.text()", "QPushButton.text()"),
        ("button.enable = False", "QPushButton.enable"),
        ("return qt.Qt.AlignmentFlag.AlignLeft", "Qt.AlignmentFlag.AlignLeft"),
        ("slicer.app.layoutManager().sliceWidge('Red')", "qSlicerLayoutManager.sliceWidge"),
        ("self.ui.applyButon.enabled = True", "ui.applyButon"),
        ("self.ui.applyButton.enable = True", "QPushButton.enable"),
        ("import slicer.packagin", "slicer.packagin"),
        # In the newest only, so it needs a guard.
        ("import slicer.packaging", "slicer.packaging"),
        # Inside a guard a name has to exist in one of them still.
        ("if hasattr(slicer.util, 'x'): slicer.util.x()", "slicer.util.x"),
    ],
)
def test_a_name_that_does_not_exist_is_found(line, name):
    found = missing(HEAD.format(line), {"applyButton": {"QPushButton"}})
    assert found
    assert all(name in each and each.startswith("line 5") for each in found)


@pytest.mark.parametrize(
    "line",
    [
        "slicer.util.errorDisplay('x'); slicer.app.processEvents(); node.Inverse(); other.GetSpacing()",
        "slicer.app.layoutManager().sliceWidget('Red').mrmlSliceNode().SetOrientationToAxial()",
        "combo.nodeTypes = ['vtkMRMLTransformNode']; combo.setMRMLScene(slicer.mrmlScene)",
        "combo.connect('currentNodeChanged(vtkMRMLNode*)', run); combo.currentNode().GetSpacing()",
        "button.clicked.connect(run); button.connect('clicked(bool)', run); button.text = 'x'; button.setText('x')",
        "ctk.ctkCollapsibleButton().collapsed = True; qt.Qt.AlignLeft; slicer.modules.MultimodalRegistrationWidget",
        "self.ui.applyButton.enabled = True; slicer.modules.multimodalregistration.logic().anything()",
        "try:\n        import slicer.packaging\n    except ImportError:\n        pass",
    ],
)
def test_names_that_exist_pass(line):
    assert missing(HEAD.format(line), {"applyButton": {"QPushButton"}}) == []


UI = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0"><class>Panel</class>
 <widget class="qMRMLWidget" name="Panel"><layout class="QFormLayout" name="form"><item row="0" column="0">
  <widget class="qMRMLNodeComboBox" name="fixedSelector">
   <property name="noneEnabled"><bool>true</bool></property>
   <property name="nodeTypes"><stringlist><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
   <property name="SlicerParameterName" stdset="0"><string>fixed</string></property>
  </widget></item></layout></widget>
 <customwidgets><customwidget><class>qMRMLWidget</class><extends>QWidget</extends></customwidget>
 <customwidget><class>qMRMLNodeComboBox</class><extends>QWidget</extends></customwidget></customwidgets>
 <connections><connection><sender>Panel</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
  <receiver>fixedSelector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections></ui>
"""
FIELDS = {
    "PanelParameterNode": {"fixed": "Optional[vtkMRMLScalarVolumeNode]", "search": "Search"},
    "Search": {"n": "int", "volume": "vtkMRMLScalarVolumeNode"},
}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", None),
        (">fixed<", ">search.volume<", None),
        (">fixed<", ">search.n<", "shows nodes, not int"),
        ("vtkMRMLScalarVolumeNode", "vtkMRMLScalarVolumNode", "lists vtkMRMLScalarVolumNode"),
        (">fixed<", ">fixd<", "bound to fixd"),
        (">fixed<", ">search.m<", "bound to search.m"),
        ("noneEnabled", "nonEnabled", "sets nonEnabled"),
        ('class="qMRMLNodeComboBox"', 'class="qMRMLNodeCombBox"', "does not exist"),
        ("<class>qMRMLNodeComboBox</class>", "<class>QWidget</class>", "not among the custom widgets"),
        ("mrmlSceneChanged(vtkMRMLScene*)", "mrmlSceneChanged()", "no signal"),
        (">setMRMLScene(", ">setScene(", "no slot"),
        ('name="Panel"><layout', 'name="fixedSelector"><layout', "two widgets"),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_faults_of_a_panel_file_are_found(tmp_path, version, old, new, said):
    path = tmp_path / "Panel.ui"
    path.write_text(UI.replace(old, new), encoding="utf-8")
    found = check_ui(path, VERSIONS[version], "PanelParameterNode", FIELDS)
    assert (said is None and not found) or any(said in each for each in found), found


@pytest.mark.parametrize(
    ("widget", "annotation", "said"),
    [
        ("QCheckBox", "bool", None),
        ("QCheckBox", "Optional[bool]", "does not show"),
        ("QSpinBox", "Annotated[int, WithinRange(0, 9)]", None),
        ("QSpinBox", "float", "does not show"),
        ("ctkSliderWidget", "Annotated[float, WithinRange(0, 1)]", None),
        ("ctkSliderWidget", "Annotated[float, Minimum(0), Maximum(1)]", None),
        ("ctkSliderWidget", "float", "WithinRange"),
        ("QComboBox", "Annotated[str, Choice(['a'])]", None),
        ("QComboBox", "str", "Choice"),
        ("QComboBox", "Engine", None),
        ("QComboBox", "list[str]", "does not show"),
        ("ctkPathLineEdit", "pathlib.Path", None),
        ("ctkPathLineEdit", "str", "does not show"),
        ("ctkCollapsibleButton", "bool", "no parameter"),
    ],
)
def test_widgets_are_bound_to_what_they_can_show(widget, annotation, said):
    wrong = binding_error(widget, annotation)
    assert wrong is None if said is None else said in wrong


def test_the_names_read_from_the_headers_are_those_of_the_wrapped_classes():
    """slicer-core is Slicer's own wrapping; it is a little older than the newest sources."""
    slicer = pytest.importorskip("slicer")
    names = VERSIONS["main"]
    compared = missed = invented = 0
    for name in names.classes:
        wrapped = getattr(slicer, name, None)
        if wrapped is None or not name.startswith("vtkMRML") or not name.endswith("Node"):
            continue
        real = {each for each in dir(wrapped) if each[:1].isupper()}
        read = {each for each in names.members(name) if each[:1].isupper()}
        compared += len(real)
        missed += len(real - read)
        invented += len(read - real)
    assert compared > 20000
    assert missed < 0.01 * compared
    assert invented < 0.01 * compared
