"""What the checks need to know of a source file beside single calls: its parameter nodes and its panel."""

from __future__ import annotations

import ast
from pathlib import Path
from xml.etree import ElementTree

__all__ = ["parameter_classes", "widgets_of_ui"]


def parameter_classes(tree: ast.AST) -> dict[str, dict[str, str]]:
    """Fields with their annotation, by class, of the parameter node wrappers and packs in a file."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(
            ast.unparse(each).split("(")[0].endswith(("parameterNodeWrapper", "parameterPack"))
            for each in node.decorator_list
        ):
            found[node.name] = {
                each.target.id: ast.unparse(each.annotation)
                for each in node.body
                if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
            }
    return found


def widgets_of_ui(path: Path) -> dict[str, str]:
    """Class by object name of everything in a .ui file that ``childWidgetVariables`` finds."""
    root = ElementTree.parse(path).getroot()
    objects = {node.get("name", ""): node.get("class", "") for tag in ("widget", "layout") for node in root.iter(tag)}
    return objects | {node.get("name", ""): "QAction" for node in root.iter("action")}
