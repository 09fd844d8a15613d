"""``qt.QUiLoader``: .ui files with ctk and qMRML widgets. Classes, properties and slots that Slicer lacks raise."""

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree

from PySide6.QtCore import QBuffer, QByteArray, QObject
from PySide6.QtUiTools import QUiLoader as PySideLoader
from PySide6.QtWidgets import QWidget

from StandIn import pythonqt
from StandIn.members import members, qt_base
from StandIn.pythonqt import register, wrap


class QUiLoader(PySideLoader):
    """Loader of Slicer's .ui files."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        for cls in pythonqt._by_name.values():
            if issubclass(cls, QWidget):
                self.registerCustomWidget(cls)

    def load(self, device: Any, parent: QWidget | None = None) -> QWidget:  # type: ignore[override]
        data = device.readAll().data() if hasattr(device, "readAll") else open(device, "rb").read()  # noqa: SIM115
        tree = ElementTree.parse(io.BytesIO(data))
        root = tree.getroot()
        self._check_widgets(root)
        connections = root.find("connections")
        wanted = [] if connections is None else list(connections)
        if connections is not None:
            root.remove(connections)
        buffer = QBuffer()
        buffer.setData(QByteArray(ElementTree.tostring(root)))
        buffer.open(QBuffer.OpenModeFlag.ReadOnly)
        made = super().load(buffer, parent)
        if made is None:
            raise RuntimeError(f"Could not load the .ui file: {self.errorString()}")
        for connection in wanted:
            self._connect(made, connection)
        return made

    def _check_widgets(self, root: ElementTree.Element) -> None:
        known = set(self.availableWidgets())
        for widget in root.iter("widget"):
            name = widget.get("class", "")
            if name not in known and name != "Line":
                raise RuntimeError(f"the .ui file has a {name}, which the stand-in does not know")
            cls = pythonqt._by_name.get(name)
            for described in widget.findall("property"):
                if cls is not None and described.get("stdset") != "0" and described.get("name") not in members(cls):
                    raise AttributeError(f"the .ui file sets {described.get('name')}, which {name} does not have")

    def _connect(self, root: QWidget, connection: ElementTree.Element) -> None:
        def named(tag: str) -> Any:
            name = connection.findtext(tag)
            found = root if root.objectName() == name else root.findChild(QObject, name or "")
            if found is None:
                raise RuntimeError(f"the .ui file connects {name}, which it does not hold")
            return wrap(found)

        sender, receiver = named("sender"), named("receiver")
        signal, slot = connection.findtext("signal") or "", connection.findtext("slot") or ""
        called = slot.partition("(")[0]
        if called not in members(receiver._pyside):
            raise AttributeError(f"the .ui file connects to {slot}, which {receiver.className()} does not have")
        made = receiver._qt

        def deliver(*arguments: Any) -> None:
            # Looked up at the time of the call: a property with the slot's name would hide it in PythonQt's view.
            getattr(made, called)(*[argument._qt if hasattr(argument, "_qt") else argument for argument in arguments])

        taken = [part for part in slot.partition("(")[2].rstrip(")").split(",") if part]
        sender.connect(signal, (lambda *arguments: deliver(*arguments[: len(taken)])))


register(QUiLoader)
assert qt_base(QUiLoader) is PySideLoader
