"""Read from the C++ headers of Slicer, CTK and PythonQt which names a module may use, and write ``names.json``.

Run it once for a new version of Slicer; the tests need only the file it writes::

    python read_names.py OLDEST_SLICER NEWEST_SLICER OLDEST_CTK NEWEST_CTK PYTHONQT names.json

Each argument is a folder with an unpacked source tree. A name is kept when both versions have it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

SLICER_CLASSES = """
    qMRMLWidget qMRMLNodeComboBox qMRMLCheckableNodeComboBox qMRMLSliderWidget qMRMLSpinBox qMRMLRangeWidget
    qMRMLCoordinatesWidget qMRMLCollapsibleButton qMRMLSegmentSelectorWidget qMRMLSegmentsTableView
    qMRMLTableView qMRMLPlotView qMRMLSliceWidget qMRMLThreeDWidget qMRMLThreeDView qMRMLLayoutManager
    qSlicerWidget qSlicerSimpleMarkupsWidget
    qSlicerMarkupsPlaceWidget qSlicerAbstractCoreModule qSlicerAbstractModule qSlicerScriptedLoadableModule
    qSlicerLoadableModule qSlicerAbstractModuleWidget qSlicerScriptedLoadableModuleWidget qSlicerModuleManager
    qSlicerModuleFactoryManager qSlicerAbstractModuleFactoryManager qSlicerCoreApplication qSlicerApplication
    qSlicerCoreIOManager qSlicerLayoutManager qMRMLSliceView qMRMLSliceControllerWidget
    qSlicerMainWindow qSlicerModuleSelectorToolBar
""".split()  # noqa: SIM905
CTK_CLASSES = """
    ctkCollapsibleButton ctkCollapsibleGroupBox ctkSliderWidget ctkDoubleSlider ctkDoubleSpinBox ctkRangeWidget
    ctkDoubleRangeSlider ctkPathLineEdit ctkDirectoryButton ctkCheckBox ctkComboBox ctkPushButton
    ctkCheckablePushButton ctkMenuButton ctkColorPickerButton ctkFittedTextBrowser ctkCoordinatesWidget
    ctkMessageBox ctkExpandButton ctkSearchBox ctkCheckableComboBox ctkLayoutManager
""".split()  # noqa: SIM905
UNUSED = (
    "QXml",
    "QDom",
    "QGL",
    "QOpenGL",
    "QSql",
    "QNetwork",
    "QSsl",
    "QHttp",
    "QFtp",
    "QMedia",
    "QAudio",
    "QWeb",
    "QSvg",
    "QDesigner",
    "QPrint",
    "QScript",
    "QTest",
    "QHelp",
    "QAccessible",
    "QState",
    "QGesture",
    "QVideo",
    "QCamera",
)
NOT_METHODS = ("new_", "delete_", "static_", "promoted_", "py_", "operator_", "PythonQt", "__")
SECTION = re.compile(r"\b(public|protected|private)?\s*(slots|Q_SLOTS|signals|Q_SIGNALS)?\s*:(?!:)")


def without_comments(text: str) -> str:
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r"//[^\n]*", "", text)


def parameter_types(parameters: str) -> list[tuple[str, bool]]:
    """Type of each parameter and whether it has a default."""
    found = []
    for part in re.split(r",(?![^<(]*[>)])", parameters):
        declared, _, default = part.partition("=")
        text = re.sub(r"\b(const|virtual|enum)\b|&", " ", declared)
        text = re.sub(r"\s*\*", "* ", text)
        words = text.split()
        if not words or words == ["void"]:
            continue
        if (len(words) > 1 and words[0] not in ("unsigned", "long")) or len(words) > 2:
            words = words[:-1]
        found.append(("".join(words).replace("::", "::"), bool(default.strip())))
    return found


def signatures(name: str, parameters: str) -> list[str]:
    """The full signature first, then those that leave out parameters with defaults."""
    types = parameter_types(parameters)
    found = [f"{name}({','.join(kind for kind, _ in types)})"]
    while types and types[-1][1]:
        types = types[:-1]
        found.append(f"{name}({','.join(kind for kind, _ in types)})")
    return found


def enum_values(text: str) -> dict[str, int | str]:
    """Values by label; one that is written with a name of Qt stays text."""
    values: dict[str, int | str] = {}
    following: int | str = 0
    for item in filter(str.strip, text.split(",")):
        label, _, number = (part.strip() for part in item.partition("="))
        number = number.replace("EXIT_SUCCESS", "0").replace("EXIT_FAILURE", "1")
        if re.fullmatch(r"-?\w+", number) and number not in values:
            values[label] = int(number, 0)
        elif number:
            values[label] = values.get(number, number)
        else:
            values[label] = following
        value = values[label]
        following = value + 1 if isinstance(value, int) else 0
    return values


def read_class(text: str, name: str) -> dict[str, Any] | None:
    """Base, properties, methods, signals and enum values of one class, or None when the text does not declare it."""
    head = re.search(rf"class\s+(?:\w+\s+)?{name}\s*(?::\s*public\s+(\w+)[^{{]*)?\{{", text)
    if head is None:
        return None
    body = text[head.end() : text.index("\n};", head.end())]
    properties = {
        found[2]: {"type": found[1], "write": "WRITE" in found[3]}
        for found in re.finditer(r"Q_PROPERTY\(\s*([\w:<>]+\*?)\s+(\w+)\s+([^)]*)\)", body)
    }
    methods: set[str] = set()
    signals: list[str] = []
    parts = SECTION.split(body)
    section, kind = "private", None
    for index in range(0, len(parts), 3):
        declarations = re.sub(r"\{[^{}]*\}", ";", parts[index])
        for found in re.finditer(
            r"(?:^|[;\n])\s*((?:[\w:<>,*&]+\s+[*&]?)*?)(\w+)\s*\(([^;]*?)\)[^;()]*;", declarations, re.DOTALL
        ):
            qualifiers, called, parameters = found[1], found[2], found[3]
            if kind in ("signals", "Q_SIGNALS"):
                signals += signatures(called, parameters)
            elif section == "public" and (kind in ("slots", "Q_SLOTS") or "Q_INVOKABLE" in qualifiers):
                methods.add(called)
        if index + 2 < len(parts):
            section, kind = parts[index + 1] or "public", parts[index + 2]
    enums: dict[str, int | str] = {}
    declared = re.findall(r"Q_(?:ENUMS?|FLAGS?)\(\s*(\w+)", body)
    for found in re.finditer(r"enum\s+(\w+)\s*\{([^}]*)\}", body):
        if found[1] in declared or f"{found[1]}s" in declared:
            enums.update(enum_values(found[2]))
    return {"base": head[1], "properties": properties, "methods": sorted(methods), "signals": signals, "enums": enums}


def decorated(tree: Path) -> dict[str, set[str]]:
    """Methods that decorators add for Python, by class."""
    found: dict[str, set[str]] = {}
    for path in tree.rglob("*PythonQtDecorators.h"):
        text = without_comments(path.read_text(encoding="utf-8", errors="replace"))
        for method, owner in re.findall(r"\b(\w+)\(\s*(\w+)\s*\*\s*\w+", text):
            if not method.startswith(("static_", "new_", "delete_")):
                found.setdefault(owner, set()).add(method)
        for rest in re.findall(r"\bstatic_(\w+)\(", text):
            owner, _, method = rest.partition("_")
            found.setdefault(owner, set()).add(method)
    return found


def read_tree(tree: Path, wanted: list[str]) -> dict[str, Any]:
    classes = {}
    extra = decorated(tree)
    for name in wanted:
        for path in tree.rglob(f"{name}.h"):
            found = read_class(without_comments(path.read_text(encoding="utf-8", errors="replace")), name)
            if found:
                found["methods"] = sorted({*found["methods"], *extra.get(name, set())})
                classes[name] = found
    return classes


def in_both(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """What two versions of a class share."""
    properties = {
        name: {**value, "write": value["write"] and old["properties"][name]["write"]}
        for name, value in new["properties"].items()
        if name in old["properties"]
    }
    return {
        "base": new["base"],
        "properties": properties,
        "methods": [name for name in new["methods"] if name in old["methods"]],
        "signals": [name for name in new["signals"] if name in old["signals"]],
        "enums": {name: value for name, value in new["enums"].items() if name in old["enums"]},
    }


def read_pythonqt(tree: Path) -> dict[str, list[str]]:
    """Methods and enum values that PythonQt's generated wrappers for Qt 5.15 add to those of the meta-object."""
    classes: dict[str, set[str]] = {}
    for path in sorted(tree.rglob("generated_cpp_515/*/*.h")):
        text = without_comments(path.read_text(encoding="utf-8", errors="replace"))
        for part in re.split(r"\nclass PythonQtWrapper_", text)[1:]:
            name = re.match(r"\w+", part)[0]  # type: ignore[index]
            names = classes.setdefault(name, set())
            names.update(
                method
                for method, owner in re.findall(r"\b(\w+)\(\s*(?:const\s+)?(\w+)\s*[*&]\s*\w+", part)
                if owner == name and not method.startswith(NOT_METHODS)
            )
            names.update(re.findall(rf"\bstatic_{name}_(\w+)\(", part))
            names.update(
                f"bool{sign}{asked}"
                for sign, asked in re.findall(r"__nonzero__\([^)]*\)\s*\{\s*return (!?)obj->(\w+)\(\)", part)
            )
            names.update(label for label, again in re.findall(rf"\b(\w+) = {name}::(\w+)", part) if label == again)
    return {name: sorted(value) for name, value in sorted(classes.items()) if not name.startswith(UNUSED)}


def main(arguments: list[str]) -> None:
    old_slicer, new_slicer, old_ctk, new_ctk, pythonqt, written = map(Path, arguments)
    classes = {}
    for old_tree, new_tree, wanted in (
        (old_slicer, new_slicer, SLICER_CLASSES),
        (old_ctk, new_ctk, CTK_CLASSES),
    ):
        old, new = read_tree(old_tree, wanted), read_tree(new_tree, wanted)
        missing = [name for name in wanted if name not in old or name not in new]
        if missing:
            sys.exit(f"not found in both versions: {', '.join(missing)}")
        classes.update({name: in_both(old[name], new[name]) for name in wanted})
    qt = read_pythonqt(pythonqt)
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(classes.items())]
    qt_lines = [f"{json.dumps(name)}: {json.dumps(' '.join(value))}" for name, value in qt.items()]
    text = '{\n"classes": {\n' + ",\n".join(lines) + '\n},\n"qt": {\n' + ",\n".join(qt_lines) + "\n}\n}\n"
    json.loads(text)
    written.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
