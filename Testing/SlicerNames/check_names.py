"""Check every name that a source file takes from Slicer, CTK and Qt against what a version of Slicer has."""

from __future__ import annotations

import ast
import functools
import re
from dataclasses import dataclass

import SimpleITK as sitk

from SlicerNames.inference import SCOPES, Inference, Type, Types, named
from SlicerNames.names import SlicerNames, qt_class

__all__ = ["Finding", "check_source"]


@dataclass(frozen=True)
class Finding:
    """A name that does not exist."""

    line: int
    name: str
    what: str
    guarded: bool = False


class _Checker(Inference):
    def __init__(self, tree: ast.Module, names: SlicerNames, widgets: dict[str, set[str]]) -> None:
        super().__init__(tree, names, widgets)
        self.findings: set[Finding] = set()
        self.guards = 0
        self._visit(tree)

    def _report(self, node: ast.AST, name: str, what: str) -> None:
        self.findings.add(Finding(getattr(node, "lineno", 0), name, what, self.guards > 0))

    def _visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.Try):
            caught = {named(handler.type) for handler in node.handlers if handler.type is not None}
            guarded = bool(caught & {"ImportError", "ModuleNotFoundError", "AttributeError"})
            self.guards += guarded
            for each in node.body:
                self._visit(each)
            self.guards -= guarded
            for each in [*node.handlers, *node.orelse, *node.finalbody]:
                self._visit(each)
            return
        if isinstance(node, ast.If) and "hasattr(" in ast.unparse(node.test):
            self.guards += 1
            for each in ast.iter_child_nodes(node):
                self._visit(each)
            self.guards -= 1
            return
        if isinstance(node, SCOPES):
            scope: dict[str, Types] = {}
            self.locals.append(scope)
            self.collect(node, scope)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self._check_import(node)
        elif isinstance(node, ast.Attribute):
            self._check_attribute(node)
        elif isinstance(node, ast.Call):
            self._check_call(node)
        elif isinstance(node, ast.Constant) and re.fullmatch(r"vtkMRML\w+Node", str(node.value)):
            self._check_class(node, str(node.value))
        for child in ast.iter_child_nodes(node):
            self._visit(child)
        if isinstance(node, SCOPES):
            self.locals.pop()

    def _check_import(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("slicer.") and alias.name not in self.names.python:
                    self._report(node, alias.name, "no such module")
        elif node.module and node.module.split(".")[0] in ("slicer", "qt", "ctk"):
            if "." in node.module and node.module not in self.names.python:
                self._report(node, node.module, "no such module")
                return
            for alias in node.names:
                if alias.name != "*":
                    self._check_member(node, Type("module", node.module), alias.name)

    def _check_attribute(self, node: ast.Attribute) -> None:
        owners = self.type_of(node.value)
        if not owners:
            return
        before = set(self.findings)
        for owner in owners:
            if self._check_member(node, owner, node.attr):
                self.findings = before
                return

    def _check_member(self, node: ast.AST, owner: Type, name: str) -> bool:
        """Whether the member exists; otherwise it is reported."""
        if owner.kind == "module":
            known = {
                "slicer": self.names.in_slicer,
                "slicer.modules": self.names.in_modules,
                "qt": lambda each: each == "Signal" or (each.startswith("Q") and qt_class(each) is not None),
                "ctk": lambda each: each.startswith("ctk") and each in self.names.classes,
                "vtk": lambda each: not each.startswith("vtk") or self.names.has_class(each),
            }.get(owner.name, lambda each: each in self.names.python[owner.name] or each.startswith("__"))
            if known(name):
                return True
            self._report(node, f"{owner.name}.{name}", "does not exist")
            return False
        if owner.kind == "ui" and self.widgets and name not in self.widgets:
            self._report(node, f"ui.{name}", "no widget of that name in the .ui files")
            return False
        if owner.kind == "enumeration":
            self._report(
                node, f"{owner.name}.{name}", "in PythonQt the value belongs to the class, not to the enumeration"
            )
            return False
        classes = [owner.name]
        if owner.kind == "slicer module":
            classes = self.names.module_classes(owner.name)
        elif owner.kind == "instance" and owner.loose:
            classes = self.names.derived(owner.name)
        elif owner.kind not in ("instance", "class"):
            return True
        if name.startswith("__") or any(name in self.names.members(each) for each in classes):
            return True
        if owner.kind != "slicer module" and not self._check_class(node, owner.name):
            return False
        self._report(node, f"{owner.name}.{name}", "does not exist")
        return False

    def _check_class(self, node: ast.AST, name: str) -> bool:
        if not self.names.has_class(name):
            self._report(node, name, "no such class")
        return self.names.has_class(name)

    def _check_call(self, node: ast.Call) -> None:
        function = node.func
        if not isinstance(function, ast.Attribute):
            return
        owners = self.type_of(function.value)
        first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
        # Of an object that nothing is known about; a method of the file's own classes is none of Slicer's.
        strange = not owners and named(function.value) != "self" and re.match(r"[A-Z][a-zA-Z]*[a-z]", function.attr)
        if strange and function.attr not in self.names.vtk_style | _other_style():
            self._report(node, f"{ast.unparse(function.value)}.{function.attr}", "no VTK or MRML class has it")
        for owner in owners:
            if owner.kind == "instance" and self.names.members(owner.name).get(function.attr) == "property":
                self._report(node, f"{owner.name}.{function.attr}()", "is a property, so its value would be called")
        if function.attr == "connect" and isinstance(first, str):
            self._check_signal(node, owners, first)

    def _check_signal(self, node: ast.Call, owners: Types, signature: str) -> None:
        known = [self.names.signals(each.name) for each in owners if each.kind == "instance"]
        if any(each.kind == "foreign" for each in owners):
            return
        normal = re.sub(r"\s*,\s*", ",", signature)
        if not any(normal in signals for signals in known or [self.names.all_signals]):
            of = "/".join(sorted(each.name for each in owners)) or "any class"
            self._report(node, f'"{signature}"', f"is no signal of {of}")


@functools.cache
def _other_style() -> frozenset[str]:
    """Capital-letter methods of SimpleITK, whose images and transforms look like VTK's objects."""
    classes = [each for each in vars(sitk).values() if isinstance(each, type)]
    return frozenset(name for each in classes for name in dir(each) if name[:1].isupper())


def check_source(text: str, names: SlicerNames, widgets: dict[str, set[str]]) -> list[Finding]:
    """Names in a source file that a version of Slicer does not have.

    Parameters
    ----------
    text : str
        The source.
    names : SlicerNames
        Names of the version.
    widgets : dict
        Classes by object name in the .ui files that ``self.ui`` may stand for.

    Returns
    -------
    list of Finding
        By line. Guarded ones stand where their absence is caught (``except ImportError`` or ``hasattr``).
    """
    return sorted(_Checker(ast.parse(text), names, widgets).findings, key=lambda each: (each.line, each.name))
