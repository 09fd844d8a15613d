"""The ctk widgets a module panel uses: buttons, boxes and paths. Sliders and ranges are in ``widgets_ctk_numbers``."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QRect, QSize, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import (
    QAbstractButton,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QGroupBox,
    QHBoxLayout,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QStyle,
    QStyleOption,
    QTextBrowser,
    QToolButton,
    QWidget,
)

from StandIn.declare import declared


def bare_row(owner: QWidget) -> QHBoxLayout:
    row = QHBoxLayout(owner)
    row.setContentsMargins(0, 0, 0, 0)
    return row


class Collapsing:
    """What ctkCollapsibleButton and ctkCollapsibleGroupBox share: the children are hidden while collapsed."""

    def _hide_or_show(self: Any, collapsed: bool) -> None:
        for child in self.children():
            if not isinstance(child, QWidget):
                continue
            if collapsed and not child.isHidden():
                child.setProperty("_hidden_by_parent", True)
                child.hide()
            elif not collapsed and child.property("_hidden_by_parent"):
                child.setProperty("_hidden_by_parent", False)
                child.show()
        self.setMaximumHeight(self._header_height() if collapsed else 16777215)
        self.updateGeometry()


@declared(QAbstractButton)
class ctkCollapsibleButton:
    """A header that hides what is below; collapsed is the opposite of checked."""

    _hide_or_show = Collapsing._hide_or_show
    DEFAULTS = {"collapsedHeight": 10}

    def build(self: Any) -> None:
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(2, self._header_height(), 2, 2)
        self.toggled.connect(lambda checked: self._apply(not checked))

    def _header_height(self: Any) -> int:
        return self.fontMetrics().height() + 8

    def _get_collapsed(self: Any) -> bool:
        return bool(self._values.get("collapsed", False))

    def _set_collapsed(self: Any, collapsed: bool) -> None:
        self._apply(collapsed)

    def _apply(self: Any, collapsed: bool) -> None:
        if collapsed == self._get_collapsed():
            return
        self._values["collapsed"] = collapsed
        self.setChecked(not collapsed)
        self._hide_or_show(collapsed)
        self.contentsCollapsed.emit(collapsed)

    def showEvent(self: Any, event: QEvent) -> None:
        if self._get_collapsed():
            self._hide_or_show(True)
        QAbstractButton.showEvent(self, event)

    def hitButton(self: Any, position: Any) -> bool:
        return bool(QRect(0, 0, self.width(), self._header_height()).contains(position))

    def sizeHint(self: Any) -> QSize:
        header = QSize(self.fontMetrics().horizontalAdvance(self.text()) + 40, self._header_height())
        if self.layout() is None or self._get_collapsed():
            return header
        return self.layout().totalSizeHint().expandedTo(header)

    minimumSizeHint = sizeHint

    def paintEvent(self: Any, _event: QEvent) -> None:
        painter, option = QPainter(self), QStyleOption()
        height = self._header_height()
        painter.setPen(self.palette().mid().color())
        painter.drawRect(0, 0, self.width() - 1, height - 1)
        if not self._get_collapsed():
            painter.drawRect(0, height - 1, self.width() - 1, self.height() - height)
        option.initFrom(self)
        option.rect = QRect(4, (height - 12) // 2, 12, 12)
        collapsed = self._get_collapsed()
        arrow = QStyle.PrimitiveElement
        arrow = arrow.PE_IndicatorArrowRight if collapsed else arrow.PE_IndicatorArrowDown
        self.style().drawPrimitive(arrow, option, painter, self)
        painter.setPen(self.palette().windowText().color())
        painter.drawText(22, 0, self.width() - 24, height, Qt.AlignmentFlag.AlignVCenter, self.text())
        painter.end()


@declared(QGroupBox)
class ctkCollapsibleGroupBox:
    """A group box with an arrow; in ctk, too, it is checkable and checked when open."""

    _hide_or_show = Collapsing._hide_or_show

    def build(self: Any) -> None:
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(lambda checked: self._hide_or_show(not checked))

    def _header_height(self: Any) -> int:
        return self.fontMetrics().height() + 8

    def _get_collapsed(self: Any) -> bool:
        return not self.isChecked()

    def _set_collapsed(self: Any, collapsed: bool) -> None:
        self.setChecked(not collapsed)


@declared(QCheckBox)
class ctkCheckBox: ...


@declared(QComboBox)
class ctkComboBox:
    """A combo box that shows a default text while nothing is selected."""

    def _set_defaultText(self: Any, text: str) -> None:
        self._values["defaultText"] = text
        self.setPlaceholderText(text)


@declared(QPushButton)
class ctkPushButton: ...


@declared(QPushButton)
class ctkMenuButton: ...


@declared(ctkPushButton)
class ctkCheckablePushButton:
    DEFAULTS = {
        "checkBoxUserCheckable": True,
        "checkBoxControlsButton": True,
        "checkBoxControlsButtonToggleState": True,
    }


@declared(QToolButton)
class ctkExpandButton: ...


@declared(QLineEdit)
class ctkSearchBox: ...


@declared(QTextBrowser)
class ctkFittedTextBrowser: ...


@declared(QMessageBox)
class ctkMessageBox: ...


@declared(QPushButton)
class ctkColorPickerButton:
    DEFAULTS = {"displayColorName": True}

    def _set_color(self: Any, color: QColor) -> None:
        if color != self._values.get("color"):
            self._values["color"] = QColor(color)
            self.setText(color.name())
            self.colorChanged.emit(color)
            self.colorNameChanged.emit(color.name())


@declared(QWidget)
class ctkPathLineEdit:
    """A line for a file or folder, with a browse button."""

    DEFAULTS = {"showBrowseButton": True, "showHistoryButton": True}

    def build(self: Any) -> None:
        row = bare_row(self)
        self._box = QComboBox(self)
        self._box.setEditable(True)
        self._button = QToolButton(self)
        self._button.setText("...")
        row.addWidget(self._box, 1)
        row.addWidget(self._button)
        self._box.editTextChanged.connect(self._edited)
        self._button.clicked.connect(self.browse)

    def comboBox(self: Any) -> QComboBox:
        return self._box

    def _edited(self: Any, text: str) -> None:
        self.currentPathChanged.emit(text)
        self.validInputChanged.emit(bool(text))

    def _get_currentPath(self: Any) -> str:
        return self._box.currentText()

    def _set_currentPath(self: Any, path: str) -> None:
        self._box.setEditText(path)

    def addCurrentPathToHistory(self: Any) -> None:
        self._box.insertItem(0, self._box.currentText())

    def browse(self: Any) -> None:
        path = QFileDialog.getOpenFileName(self)[0]
        if path:
            self._box.setEditText(path)


@declared(QWidget)
class ctkDirectoryButton:
    def build(self: Any) -> None:
        self._button = QPushButton(self)
        bare_row(self).addWidget(self._button)
        self._button.clicked.connect(self.browse)

    def _set_directory(self: Any, directory: str) -> None:
        if directory != self._values.get("directory"):
            self._values["directory"] = directory
            self._button.setText(directory)
            self.directoryChanged.emit(directory)

    def browse(self: Any) -> None:
        directory = QFileDialog.getExistingDirectory(self)
        if directory:
            self._set_directory(directory)
            self.directorySelected.emit(directory)
