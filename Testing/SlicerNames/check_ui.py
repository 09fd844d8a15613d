"""Check the .ui files: classes, properties, connections, and the parameters that widgets are bound to."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from SlicerNames.bindings import binding_error
from SlicerNames.names import SlicerNames

__all__ = ["check_ui"]

# Properties that Designer's files have and the classes do not.
_OF_DESIGNER = {("QLabel", "buddy"), ("Line", "orientation")}


def _annotation(path: str, owner: str, classes: dict[str, dict[str, str]]) -> str | None:
    """Annotation of a parameter, "field" or "pack.field", of a parameter node class; None when there is none."""
    first, _, rest = path.partition(".")
    found = classes.get(owner, {}).get(first)
    if found is None or not rest:
        return found
    pack = next((name for name in classes if re.search(rf"\b{name}\b", found)), "")
    return _annotation(rest, pack, classes)


def check_ui(path: Path, names: SlicerNames, parameter_node: str, classes: dict[str, dict[str, str]]) -> list[str]:
    """What in a .ui file a version of Slicer does not have.

    Parameters
    ----------
    path : Path
        The file.
    names : SlicerNames
        Names of the version.
    parameter_node : str
        The module's parameter node class.
    classes : dict
        Fields with annotations of the parameter node classes and packs, by class.

    Returns
    -------
    list of str
        One sentence for each.
    """
    root = ElementTree.parse(path).getroot()
    found = []
    by_name = {}
    declared = {node.text for node in root.iterfind("customwidgets/customwidget/class")}
    for node in [*root.iter("widget"), *root.iter("layout"), *root.iter("action")]:
        kind = "QAction" if node.tag == "action" else node.get("class", "")
        name = node.get("name", "")
        if name in by_name and node.tag == "widget":
            found.append(f"two widgets are called {name}")
        by_name[name] = kind
        if not names.has_class(kind) or not re.match(r"Q|Line|ctk|qMRML|qSlicer", kind):
            found.append(f"{name} is a {kind}, which does not exist")
            continue
        if not kind.startswith(("Q", "Line")) and kind not in declared:
            found.append(f"{name} is a {kind}, which is not among the custom widgets")
        for given in node.findall("property"):
            key = given.get("name", "")
            if key == "SlicerParameterName":
                parameter = "".join(given.itertext()).strip()
                annotation = _annotation(parameter, parameter_node, classes)
                if annotation is None:
                    found.append(f"{name} is bound to {parameter}, which {parameter_node} does not have")
                elif wrong := binding_error(kind, annotation):
                    found.append(f"{name} is bound to {parameter}, but {wrong}")
            elif key == "nodeTypes":
                types = [node.text or "" for node in given.iter("string")]
                found += [f"{name} lists {each}, which does not exist" for each in types if not names.has_class(each)]
            elif (
                node.tag == "widget"
                and given.get("stdset") != "0"
                and (kind, key) not in _OF_DESIGNER
                and names.members(kind).get(key) != "property"
            ):
                found.append(f"{name} sets {key}, which {kind} does not have")
    for connection in root.iter("connection"):
        sender, signal, receiver, slot = (
            connection.findtext(key, "") for key in ("sender", "signal", "receiver", "slot")
        )
        if signal not in names.signals(by_name.get(sender, "")):
            found.append(f"{sender} has no signal {signal}")
        if names.members(by_name.get(receiver, "")).get(slot.split("(")[0]) not in ("method", "signal"):
            found.append(f"{receiver} has no slot {slot}")
    return found
