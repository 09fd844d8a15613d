"""PythonQt's rules in the stand-in: properties, signals by signature, processes and timers, and no name too many."""

from __future__ import annotations

import sys

import pytest
import slicer
from PySide6.QtCore import QObject

CHILD = """
import sys, time
print("started", flush=True)
sys.stderr.write("warned\\n")
print("answer", int(sys.argv[1]) * 2, flush=True)
if len(sys.argv) > 2:
    time.sleep(60)
sys.exit(3)
"""


@pytest.fixture
def qt(slicer_app):
    import qt

    return qt


@pytest.fixture
def ctk(slicer_app):
    import ctk

    return ctk


def test_properties_are_attributes_and_setters_are_methods(qt):
    button = qt.QPushButton("Go")
    button.setText("Stop")
    button.toolTip = "why"
    button.name = "stopButton"
    assert (button.text, button.toolTip, button.objectName, button.enabled) == ("Stop", "why", "stopButton", True)
    with pytest.raises(TypeError, match="not callable"):
        button.text()


@pytest.mark.parametrize(
    "use",
    [
        lambda qt, _: qt.QPushButton().label,
        lambda qt, _: qt.QPushButton().setLabel("x"),
        lambda qt, _: qt.QCheckBox().checkStateChanged,
        lambda qt, _: qt.QFancyButton,
        lambda qt, _: qt.Signal,
        lambda qt, _: qt.Qt.AlignmentFlag,
        lambda qt, _: qt.Qt.AlignMiddle,
        lambda qt, _: qt.QMessageBox.StandardButton,
        lambda qt, _: setattr(qt.QLabel(), "note", 1),
        lambda qt, _: setattr(qt.QLabel(), "setText", 1),
        lambda qt, _: setattr(qt.QLabel(), "hasSelectedText", True),
        lambda qt, _: setattr(qt.QLabel(), "text", 3),
        lambda qt, _: setattr(qt.QPushButton(), "enabled", None),
        lambda qt, _: setattr(qt.QPushButton(), "enabled", slicer.vtkMRMLModelNode()),
        lambda qt, _: setattr(qt.QSpinBox(), "value", 2.5),
        lambda qt, _: qt.QPushButton().connect("click(bool)", print),
        lambda qt, _: qt.QSpinBox().connect("valueChanged(double)", print),
        lambda _, ctk: ctk.ctkFancyWidget,
        lambda _, ctk: ctk.ctkCollapsibleButton().setCollapsed(True),
        lambda _, ctk: ctk.ctkSliderWidget().connect("valueChanged(int)", print),
        lambda _, __: slicer.qMRMLNodeComboBox().setNodeTypes(["vtkMRMLModelNode"]),
        lambda _, __: slicer.qMRMLNodeComboBox().connect("currentNodeChanged(vtkMRMLScene*)", print),
        lambda _, __: slicer.qMRMLNodeComboBox().nodeAddedByUserAction,
        lambda _, __: slicer.qMRMLFancyWidget,
        lambda _, __: slicer.app.fancy,
        lambda _, __: slicer.modules.fancy,
    ],
)
def test_what_slicer_lacks_raises(qt, ctk, use):
    with pytest.raises(AttributeError):
        use(qt, ctk)


def test_what_slicer_has_and_the_stand_in_lacks_says_so(slicer_app):
    with pytest.raises(NotImplementedError, match="exists in Slicer"):
        slicer.qMRMLSegmentsTableView().moveSelectedSegmentsUp()


def test_no_method_of_the_stand_in_is_invisible_in_slicer(slicer_app):
    """Methods that headers lack must begin with an underscore or be Qt's, else they were written in vain."""
    from StandIn.members import is_declared, members, qt_base
    from StandIn.pythonqt import _by_name

    own = {"build", "start", "stop", "open_views", "close_views", "open_main_window", "instantiate", "DEFAULTS"}
    for name, cls in _by_name.items():
        if is_declared(cls):
            written = {key for key in vars(cls) if not key.startswith("_")} - own - {"staticMetaObject"}
            assert not written - set(members(cls)) - set(dir(qt_base(cls))), name


def test_signals_by_signature_and_by_name(qt):
    heard = []
    box = qt.QCheckBox()
    one, none, every = (lambda a: heard.append(("one", a))), (lambda: heard.append("none")), heard.append
    box.connect("toggled(bool)", one)
    box.toggled.connect(none)
    box.connect("toggled( bool )", every)
    box.checked = True
    assert heard == [("one", True), "none", True]
    assert box.disconnect("toggled(bool)", one)
    assert box.toggled.disconnect(none)
    assert not box.disconnect("toggled(bool)", one)
    box.toggled(False)
    assert heard[3:] == [False]


def test_an_error_in_a_slot_is_kept_for_the_test(slicer_app, qt):
    button = qt.QPushButton()
    button.clicked.connect(lambda: 1 / 0)
    button.click()
    assert [type(error) for error in slicer_app.slot_errors] == [ZeroDivisionError]
    slicer_app.slot_errors.clear()


def test_classes_are_compared_exactly_and_objects_keep_their_identity(qt):
    outer = qt.QWidget()
    layout = qt.QVBoxLayout(outer)
    inner = qt.QLineEdit()
    layout.addWidget(inner)
    assert type(inner) is qt.QLineEdit
    assert not isinstance(inner, qt.QWidget)
    assert inner.inherits("QWidget")
    assert inner.parent() is outer
    assert outer.findChildren(qt.QLineEdit) == (inner,)
    assert layout.itemAt(0).widget() is inner


def test_a_derived_class_overrides_events_and_has_attributes(qt):
    class Filter(qt.QObject):
        def __init__(self):
            super().__init__()
            self.seen = []

        def eventFilter(self, watched, event):  # noqa: N802
            self.seen.append((watched, int(event.type())))
            return False

    watched, spy = qt.QPushButton(), Filter()
    watched.installEventFilter(spy)
    watched.enabled = False
    assert (watched, int(qt.QEvent.EnabledChange)) in spy.seen


def test_enums_are_numbers_and_combine(qt):
    assert qt.Qt.AlignLeft == 1
    label = qt.QLabel()
    label.setAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
    assert label.alignment == qt.Qt.AlignRight | qt.Qt.AlignVCenter
    assert qt.QSizePolicy.Expanding == 7


def test_an_empty_layout_is_false_as_in_pythonqt(qt):
    host = qt.QWidget()
    layout = qt.QVBoxLayout(host)
    assert not layout
    layout.addWidget(qt.QLabel())
    assert layout
    assert not qt.QByteArray()


def test_a_process_tells_its_output_and_its_end(slicer_app, qt):
    process, output, ended = qt.QProcess(), [], []
    process.connect("readyReadStandardOutput()", lambda: output.append(process.readAllStandardOutput().data()))
    process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: ended.append((code, status)))
    process.start(sys.executable, ["-c", CHILD, "21"])
    assert process.state() == qt.QProcess.Starting
    slicer_app.wait_for(lambda: ended)
    assert ended == [(3, qt.QProcess.NormalExit)]
    assert b"".join(output).split() == [b"started", b"answer", b"42"]
    assert process.readAllStandardError().data() == b"warned\n"


def test_a_process_is_killed_at_once(slicer_app, qt):
    process, ended = qt.QProcess(), []
    process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: ended.append(status))
    process.start(sys.executable, ["-c", CHILD, "21", "wait"])
    slicer_app.wait_for(lambda: b"42" in process.readAllStandardOutput().data())
    process.kill()
    slicer_app.wait_for(lambda: ended, timeout_s=2)
    assert ended == [qt.QProcess.CrashExit]
    assert process.state() == qt.QProcess.NotRunning


def test_timers_tick_and_end_with_their_owner(slicer_app, qt):
    ticks, once, owner = [], [], qt.QWidget()
    timer = qt.QTimer(owner)
    timer.interval = 5
    timer.connect("timeout()", lambda: ticks.append(1))
    timer.start()
    qt.QTimer.singleShot(1, lambda: once.append(1))
    slicer_app.wait_for(lambda: len(ticks) > 2)
    assert once == [1]
    owner.delete()
    assert not timer
    count = len(ticks)
    slicer_app.process_events(30)
    assert len(ticks) == count


def test_a_blocked_event_loop_is_measured(slicer_app):
    import time

    from StandIn.blocks import BlockMeter

    with BlockMeter() as free:
        slicer_app.process_events(100)
    assert free.turns > 3
    with BlockMeter() as blocked:
        slicer_app.process_events(20)
        time.sleep(0.15)
        slicer_app.process_events(20)
    assert blocked.longest_ms > 140
    assert blocked.longest_cpu_ms < 100, "it slept"
    with BlockMeter() as computed:
        slicer_app.process_events(20)
        began = time.thread_time()
        while time.thread_time() - began < 0.15:
            pass
        slicer_app.process_events(20)
    assert computed.longest_cpu_ms > 140
    assert computed.longest_ms > 140


def test_a_table_holds_texts_widgets_and_reports_edits(qt):
    table, edits = qt.QTableWidget(2, 2), []
    table.setHorizontalHeaderLabels(["Point", "Error"])
    table.connect("cellChanged(int,int)", lambda row, column: edits.append((row, column)))
    item = qt.QTableWidgetItem("7.5")
    item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
    table.setItem(1, 1, item)
    table.setCellWidget(0, 0, qt.QComboBox())
    table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
    assert (table.rowCount, table.columnCount, table.item(1, 1).text()) == (2, 2, "7.5")
    assert table.cellWidget(0, 0).className() == "QComboBox"
    assert table.item(0, 1) is None
    assert edits == [(1, 1)]


def test_sliders_keep_their_value_within_bounds(ctk):
    slider, heard = ctk.ctkSliderWidget(), []
    slider.connect("valueChanged(double)", heard.append)
    slider.maximum = 10
    slider.value = 20
    slider.setValue(3.14159)
    assert (slider.value, heard) == (3.14, [10, 3.14])


def test_slice_views_have_nodes_and_logics(slicer_app):
    assert slicer.app.layoutManager() is None
    assert slicer.util.mainWindow() is None
    manager = slicer_app.open_slice_views()
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "ct")
    slicer.util.setSliceViewerLayers(background=volume, foregroundOpacity=0.25)
    assert manager.sliceViewNames() == ("Red", "Yellow", "Green")
    composite = manager.sliceWidget("Yellow").mrmlSliceCompositeNode()
    assert (composite.GetBackgroundVolumeID(), composite.GetForegroundOpacity()) == (volume.GetID(), 0.25)
    slicer.util.resetSliceViews()


def test_a_layout_brings_views_that_stay_when_it_is_left(slicer_app):
    manager = slicer_app.open_slice_views()
    before, node = manager.layout, manager.layoutLogic().GetLayoutNode()
    view = '<view class="vtkMRMLSliceNode" singletontag="Own"><property name="viewgroup">7</property></view>'
    assert node.AddLayoutDescription(501, f'<layout type="horizontal"><item>{view}</item></layout>')
    assert manager.sliceWidget("Own") is None
    manager.setLayout(501)
    own, red = (manager.sliceWidget(name).mrmlSliceNode() for name in ("Own", "Red"))
    assert (own.IsMappedInLayout(), red.IsMappedInLayout(), own.GetViewGroup()) == (1, 0, 7)
    manager.setLayout(before)
    assert (own.IsMappedInLayout(), red.IsMappedInLayout()) == (0, 1)
    assert "Own" in manager.sliceViewNames()


def test_what_would_wait_for_the_user_takes_queued_answers_or_raises(slicer_app, qt):
    with pytest.raises(RuntimeError, match="wait for the user"):
        qt.QFileDialog.getOpenFileName(None, "Open")
    with pytest.raises(RuntimeError, match="wait for the user"):
        qt.QDialog().exec_()
    slicer_app.dialog_answers += ["/data/ct.nrrd", 1]
    assert qt.QFileDialog.getOpenFileName(None, "Open") == "/data/ct.nrrd"
    assert qt.QDialog().exec_() == qt.QDialog.Accepted
    qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile("/data/report.html"))
    assert slicer_app.opened_urls == ["file:///data/report.html"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('class="QLabel"', 'class="qMRMLFancyWidget"'),
        ('name="text"', 'name="fancy"'),
        ("mrmlSceneChanged(vtkMRMLScene*)", "sceneChanged(vtkMRMLScene*)"),
        ("setMRMLScene(vtkMRMLScene*)", "setScene(vtkMRMLScene*)"),
        ("<receiver>inputSelector", "<receiver>fancySelector"),
    ],
)
def test_ui_files_are_checked(slicer_app, tmp_path, old, new):
    from test_stand_in import EXAMPLE

    text = (EXAMPLE / "Resources" / "UI" / "StandInExample.ui").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "wrong.ui").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises((AttributeError, RuntimeError)):
        slicer.util.loadUI(str(tmp_path / "wrong.ui"))


def test_nothing_is_left_behind():
    from StandIn.install import StandIn

    before = set(vars(slicer))
    standin = StandIn()
    standin.uninstall()
    assert set(vars(slicer)) == before
    assert "qt" not in sys.modules
    assert QObject().thread() is not None
