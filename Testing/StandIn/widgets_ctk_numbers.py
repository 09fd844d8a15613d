"""The ctk widgets for numbers: slider with spin box, double spin box, slider, ranges and coordinates."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDoubleSpinBox, QSlider, QWidget

from StandIn.declare import declared
from StandIn.widgets_ctk import bare_row

STEPS = 1000


class Bounded:
    """A value between a minimum and a maximum; setting a bound moves the value."""

    def _limited(self: Any, value: float) -> float:
        limited = min(max(value, self.property("minimum")), self.property("maximum"))
        decimals = self.property("decimals")
        return round(limited, decimals) if decimals is not None else limited

    def _set_value(self: Any, value: float) -> None:
        limited = self._limited(value)
        changed = limited != self.property("value")
        self._values["value"] = limited
        self._show()
        if changed:
            self.valueChanged[float].emit(limited)

    def _set_minimum(self: Any, minimum: float) -> None:
        self._values["minimum"] = minimum
        self._values["maximum"] = max(minimum, self.property("maximum"))
        self._set_value(self.property("value"))

    def _set_maximum(self: Any, maximum: float) -> None:
        self._values["maximum"] = maximum
        self._values["minimum"] = min(maximum, self.property("minimum"))
        self._set_value(self.property("value"))

    def _set_decimals(self: Any, decimals: int) -> None:
        self._values["decimals"] = decimals
        self._set_value(self.property("value"))
        self.decimalsChanged.emit(decimals)


def show_in_spin_box(owner: Any, box: QDoubleSpinBox, value: float) -> None:
    blocked = box.blockSignals(True)
    box.setDecimals(owner.property("decimals"))
    box.setRange(owner.property("minimum"), owner.property("maximum"))
    box.setSingleStep(owner.property("singleStep"))
    box.setPrefix(owner.property("prefix") or "")
    box.setSuffix(owner.property("suffix") or "")
    box.setValue(value)
    box.blockSignals(blocked)


def show_in_slider(owner: Any, slider: QSlider, value: float) -> None:
    span = owner.property("maximum") - owner.property("minimum")
    blocked = slider.blockSignals(True)
    slider.setRange(0, STEPS)
    slider.setValue(round(STEPS * (value - owner.property("minimum")) / span) if 0 < span < float("inf") else 0)
    slider.blockSignals(blocked)


def from_slider(owner: Any, position: int) -> float:
    span = owner.property("maximum") - owner.property("minimum")
    return float(owner.property("minimum") + span * position / STEPS)


class Affixed:
    """Prefix and suffix of the spin box."""

    def _set_prefix(self: Any, text: str) -> None:
        self._values["prefix"] = text
        self._show()

    def _set_suffix(self: Any, text: str) -> None:
        self._values["suffix"] = text
        self._show()

    def _set_singleStep(self: Any, step: float) -> None:
        self._values["singleStep"] = step
        self._show()


@declared(QWidget)
class ctkSliderWidget:
    DEFAULTS = {"maximum": 99.0, "singleStep": 1.0, "pageStep": 10.0, "decimals": 2, "tracking": True}
    DEFAULTS["spinBoxVisible"] = True
    _limited, _set_value = Bounded._limited, Bounded._set_value
    _set_minimum, _set_maximum, _set_decimals = Bounded._set_minimum, Bounded._set_maximum, Bounded._set_decimals
    _set_prefix, _set_suffix, _set_singleStep = Affixed._set_prefix, Affixed._set_suffix, Affixed._set_singleStep

    def build(self: Any) -> None:
        row = bare_row(self)
        self._slider, self._box = QSlider(Qt.Orientation.Horizontal, self), QDoubleSpinBox(self)
        row.addWidget(self._slider, 1)
        row.addWidget(self._box)
        self._slider.valueChanged.connect(lambda position: self._set_value(from_slider(self, position)))
        self._box.valueChanged.connect(self._set_value)
        self._show()

    def _show(self: Any) -> None:
        show_in_slider(self, self._slider, self.property("value"))
        show_in_spin_box(self, self._box, self.property("value"))


@declared(QWidget)
class ctkDoubleSpinBox:
    DEFAULTS = {"maximum": 99.99, "singleStep": 1.0, "decimals": 2, "frame": True}
    _limited, _set_value = Bounded._limited, Bounded._set_value
    _set_minimum, _set_maximum, _set_decimals = Bounded._set_minimum, Bounded._set_maximum, Bounded._set_decimals
    _set_prefix, _set_suffix, _set_singleStep = Affixed._set_prefix, Affixed._set_suffix, Affixed._set_singleStep

    def build(self: Any) -> None:
        self._box = QDoubleSpinBox(self)
        bare_row(self).addWidget(self._box)
        self._box.valueChanged.connect(self._set_value)
        self._box.editingFinished.connect(self.editingFinished)
        self._show()

    def _show(self: Any) -> None:
        show_in_spin_box(self, self._box, self.property("value"))


@declared(QWidget)
class ctkDoubleSlider:
    DEFAULTS = {"maximum": 99.0, "singleStep": 1.0, "pageStep": 10.0, "tracking": True, "orientation": 1}
    _limited, _set_value = Bounded._limited, Bounded._set_value
    _set_minimum, _set_maximum = Bounded._set_minimum, Bounded._set_maximum

    def build(self: Any) -> None:
        self._slider = QSlider(Qt.Orientation.Horizontal, self)
        bare_row(self).addWidget(self._slider)
        self._slider.valueChanged.connect(lambda position: self._set_value(from_slider(self, position)))

    def _show(self: Any) -> None:
        show_in_slider(self, self._slider, self.property("value"))


class Range:
    """Two values between bounds, the lower never above the upper."""

    def setValues(self: Any, low: float, high: float) -> None:
        low, high = sorted((low, high))
        bottom, top = self.property("minimum"), self.property("maximum")
        low, high = min(max(low, bottom), top), min(max(high, bottom), top)
        before = self.property("minimumValue"), self.property("maximumValue")
        self._values.update(minimumValue=low, maximumValue=high)
        self._show()
        if low != before[0]:
            self.minimumValueChanged.emit(low)
        if high != before[1]:
            self.maximumValueChanged.emit(high)
        if (low, high) != before:
            self.valuesChanged.emit(low, high)

    def setRange(self: Any, bottom: float, top: float) -> None:
        self._values.update(minimum=bottom, maximum=max(bottom, top))
        self.setValues(self.property("minimumValue"), self.property("maximumValue"))
        self.rangeChanged.emit(bottom, top)

    def _set_minimum(self: Any, bottom: float) -> None:
        self.setRange(bottom, self.property("maximum"))

    def _set_maximum(self: Any, top: float) -> None:
        self.setRange(min(self.property("minimum"), top), top)

    def _set_minimumValue(self: Any, low: float) -> None:
        self.setValues(low, max(low, self.property("maximumValue")))

    def _set_maximumValue(self: Any, high: float) -> None:
        self.setValues(min(high, self.property("minimumValue")), high)


RANGE = {name: value for name, value in vars(Range).items() if not name.startswith("__")}


@declared(QWidget)
class ctkRangeWidget:
    DEFAULTS = {"maximum": 99.0, "maximumValue": 99.0, "singleStep": 1.0, "decimals": 2, "tracking": True}
    locals().update(RANGE)

    def build(self: Any) -> None:
        row = bare_row(self)
        self._boxes = QDoubleSpinBox(self), QDoubleSpinBox(self)
        for box in self._boxes:
            row.addWidget(box)
        self._show()
        self._boxes[0].valueChanged.connect(self._set_minimumValue)
        self._boxes[1].valueChanged.connect(self._set_maximumValue)

    def _show(self: Any) -> None:
        for box, name in zip(self._boxes, ("minimumValue", "maximumValue"), strict=True):
            show_in_spin_box(self, box, self.property(name))


@declared(QWidget)
class ctkDoubleRangeSlider:
    DEFAULTS = {"maximum": 99.0, "maximumValue": 99.0, "singleStep": 1.0, "tracking": True}
    locals().update(RANGE)

    def _show(self: Any) -> None: ...


@declared(QWidget)
class ctkCoordinatesWidget:
    """Some numbers beside each other; the property is text such as ``1,0,0``."""

    DEFAULTS = {"dimension": 3, "decimals": 3, "minimum": -100000.0, "maximum": 100000.0, "singleStep": 1.0}

    def build(self: Any) -> None:
        row = bare_row(self)
        self._boxes = [QDoubleSpinBox(self) for _ in range(3)]
        for box in self._boxes:
            row.addWidget(box)
            box.setRange(-100000, 100000)
            box.setDecimals(3)
            box.valueChanged.connect(lambda _: self.coordinatesChanged.emit(None))

    def _get_coordinates(self: Any) -> str:
        return ",".join(f"{box.value():g}" for box in self._boxes)

    def _set_coordinates(self: Any, text: str) -> None:
        for box, value in zip(self._boxes, text.split(","), strict=True):
            box.setValue(float(value))
