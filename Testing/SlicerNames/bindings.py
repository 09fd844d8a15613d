"""Which widgets the parameter node wrapper connects to which parameters (guiConnectors.py, the same since 5.10)."""

from __future__ import annotations

import re

__all__ = ["binding_error"]

_NUMBERS = {"int", "float"}
_TEXT = {"str"}
_PATH = {"pathlib.Path", "Path"}
_RANGE = {"FloatRange"}
_BOUNDED = {"ctkSliderWidget", "qMRMLSliderWidget"}
_CHOICES = {"QComboBox", "ctkComboBox"}
_TYPES = {
    "QCheckBox": {"bool"},
    "ctkCheckBox": {"bool"},
    "QPushButton": {"bool"},
    "ctkCheckablePushButton": {"bool"},
    "QSlider": {"int"},
    "QSpinBox": {"int"},
    "QDoubleSpinBox": _NUMBERS,
    "ctkSliderWidget": _NUMBERS,
    "qMRMLSliderWidget": _NUMBERS,
    "ctkDoubleSlider": _NUMBERS,
    "ctkDoubleSpinBox": _NUMBERS,
    "qMRMLSpinBox": _NUMBERS,
    "QLineEdit": _TEXT,
    "QLabel": _TEXT,
    "QTextEdit": _TEXT,
    "ctkRangeWidget": _RANGE,
    "ctkDoubleRangeSlider": _RANGE,
    "qMRMLRangeWidget": _RANGE,
    "ctkPathLineEdit": _PATH,
    "ctkDirectoryButton": _PATH,
    "ctkColorPickerButton": {"qt.QColor"},
}


def binding_error(widget: str, annotation: str) -> str | None:
    """Why a widget of a class cannot show a parameter with an annotation; None when it can."""
    annotated = re.fullmatch(r"(?:typing\.)?Annotated\[([^,]+),(.*)\]", annotation, re.DOTALL)
    plain, more = (annotated[1].strip(), annotated[2]) if annotated else (annotation, "")
    if widget == "qMRMLNodeComboBox":
        return None if "vtkMRML" in plain else f"a qMRMLNodeComboBox shows nodes, not {plain}"
    if widget in _CHOICES:
        if plain in {"bool", "str", *_NUMBERS}:
            return None if "Choice(" in more else f"a {widget} needs the annotation Choice"
        # Otherwise an enumeration, which has no brackets.
        return None if re.fullmatch(r"[\w.]+", plain) else f"a {widget} does not show {plain}"
    if widget not in _TYPES:
        return f"a {widget} is connected to no parameter"
    if plain not in _TYPES[widget]:
        return f"a {widget} does not show {plain}"
    if widget in _BOUNDED and not ("WithinRange(" in more or ("Minimum(" in more and "Maximum(" in more)):
        return f"a {widget} needs the annotation WithinRange"
    return None
