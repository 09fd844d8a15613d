"""Check every name that a source file takes from Slicer, CTK and Qt against what a version of Slicer has."""

from __future__ import annotations

import ast
import functools
import re
from dataclasses import dataclass

import SimpleITK as sitk
from names import SlicerNames, qt_class, qt_enumeration

__all__ = ["Finding", "check_source"]

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_CREATES = {"AddNewNodeByClass", "CreateNodeByClass"}
_FINDS = {"GetFirstNodeByClass", "GetNthNodeByClass", "GetFirstNode"}


@dataclass(frozen=True)
class Finding:
    """A name that does not exist."""

    line: int
    name: str
    what: str
    guarded: bool = False


@dataclass(frozen=True)
class Type:
    """What an expression is: a Python module, a class, an instance, the panel, or something of no concern.

    An instance is ``loose`` where its real class may derive from the one that is known.
    """

    kind: str
    name: str = ""
    loose: bool = False


Types = frozenset[Type]
UNKNOWN: Types = frozenset()
FOREIGN: Types = frozenset({Type("foreign")})


class _Checker:
    def __init__(self, tree: ast.Module, names: SlicerNames, widgets: dict[str, set[str]]) -> None:
        self.names = names
        self.widgets = widgets
        self.findings: set[Finding] = set()
        self.globals: dict[str, Types] = {}
        self.fields: dict[str, Types] = {}
        self.locals: list[dict[str, Types]] = []
        self.guards = 0
        self._collect(tree, self.globals)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                self.globals[node.name] = FOREIGN
        # Twice, because a field may be taken from another that a later method sets.
        for _ in range(2):
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    self._collect_fields(node)
        self._visit(tree)

    # What names stand for.

    def _collect(self, scope: ast.AST, found: dict[str, Types]) -> None:
        """Names of a scope with everything that is assigned to them in it, wherever."""
        unknown: set[str] = set()

        def add(name: str, types: Types) -> None:
            if types:
                found[name] = found.get(name, UNKNOWN) | types
            else:
                unknown.add(name)

        if isinstance(scope, _SCOPES):
            given = scope.args
            for argument in [*given.posonlyargs, *given.args, *given.kwonlyargs]:
                add(argument.arg, self._annotated(argument.annotation))
        waiting = list(ast.iter_child_nodes(scope))
        while waiting:
            node = waiting.pop(0)
            if isinstance(node, (*_SCOPES, ast.ClassDef)):
                continue
            if isinstance(node, ast.Import):
                for alias in node.names:
                    add((alias.asname or alias.name).split(".")[0], self._imported(alias.name, bool(alias.asname)))
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if alias.name == "*":
                        for name in self.names.python.get(node.module or "", ()):
                            add(name, FOREIGN)
                    else:
                        add(alias.asname or alias.name, self._from(node.module or "", alias.name))
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    self._collect_target(target, node.value, add)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                add(node.target.id, self._annotated(node.annotation))
            elif isinstance(node, ast.NamedExpr) and isinstance(node.target, ast.Name):
                add(node.target.id, self.type_of(node.value))
            elif isinstance(node, (ast.For, ast.comprehension)):
                self._collect_target(node.target, None, add)
            elif isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
                add(node.optional_vars.id, UNKNOWN)
            elif (
                isinstance(node, ast.Call)
                and _named(node.func) == "isinstance"
                and len(node.args) == 2
                and isinstance(node.args[0], ast.Name)
            ):
                for each in node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]:
                    add(node.args[0].id, self._instances(self.type_of(each)))
            waiting += ast.iter_child_nodes(node)
        for name in unknown:
            found[name] = UNKNOWN

    def _collect_target(self, target: ast.expr, value: ast.expr | None, add) -> None:
        if isinstance(target, ast.Name):
            if not (isinstance(value, ast.Constant) and value.value is None):
                add(target.id, self.type_of(value) if value is not None else UNKNOWN)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for each in target.elts:
                self._collect_target(each, None, add)

    def _collect_fields(self, owner: ast.ClassDef) -> None:
        unknown = set()
        for method in owner.body:
            if not isinstance(method, ast.FunctionDef):
                continue
            scope: dict[str, Types] = {}
            self.locals.append(scope)
            self._collect(method, scope)
            for node in ast.walk(method):
                if isinstance(node, ast.AnnAssign):
                    targets, types = [node.target], self._annotated(node.annotation)
                elif isinstance(node, ast.Assign):
                    targets, types = node.targets, self.type_of(node.value)
                    if isinstance(node.value, ast.Constant) and node.value.value is None:
                        continue
                else:
                    continue
                for target in targets:
                    if isinstance(target, ast.Attribute) and _named(target.value) == "self":
                        key = f"{owner.name}.{target.attr}"
                        if types:
                            self.fields[key] = self.fields.get(key, UNKNOWN) | types
                        else:
                            unknown.add(key)
            self.locals.pop()
        for key in unknown:
            self.fields[key] = UNKNOWN

    def _imported(self, module: str, renamed: bool) -> Types:
        root = module.split(".")[0]
        if root in ("slicer", "qt", "ctk", "vtk"):
            return frozenset({Type("module", module if renamed else root)})
        return FOREIGN

    def _from(self, module: str, name: str) -> Types:
        if module in ("slicer", "qt", "ctk", "vtk"):
            return self._member_of_module(module, name)
        return FOREIGN

    def _annotated(self, annotation: ast.expr | None) -> Types:
        if annotation is None:
            return UNKNOWN
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            try:
                annotation = ast.parse(annotation.value, mode="eval").body
            except SyntaxError:
                return UNKNOWN
        if isinstance(annotation, ast.BinOp):
            return self._annotated(annotation.left) | self._annotated(annotation.right)
        if isinstance(annotation, ast.Subscript):
            if _named(annotation.value).split(".")[-1] in ("Optional", "Annotated"):
                inner = annotation.slice
                return self._annotated(inner.elts[0] if isinstance(inner, ast.Tuple) else inner)
            return UNKNOWN
        return self._instances(self.type_of(annotation))

    @staticmethod
    def _instances(types: Types) -> Types:
        return frozenset(
            Type("instance", each.name, each.name == "vtkMRMLNode") for each in types if each.kind == "class"
        )

    # What expressions are.

    def type_of(self, node: ast.expr | None) -> Types:
        if isinstance(node, ast.Name):
            for scope in [*reversed(self.locals), self.globals]:
                if node.id in scope:
                    return scope[node.id]
            return frozenset({Type("ui")}) if node.id == "ui" else UNKNOWN
        if isinstance(node, ast.Attribute):
            return self._type_of_attribute(node)
        if isinstance(node, ast.Call):
            return self._type_of_call(node)
        return UNKNOWN

    def _type_of_attribute(self, node: ast.Attribute) -> Types:
        if node.attr in ("ui", "_ui"):
            return frozenset({Type("ui")})
        if _named(node.value) == "self":
            keys = [key for key in self.fields if key.split(".")[1] == node.attr]
            types = [self.fields[key] for key in keys]
            return frozenset().union(*types) if all(types) else UNKNOWN
        found: set[Type] = set()
        for owner in self.type_of(node.value):
            if owner.kind == "module":
                found |= self._member_of_module(owner.name, node.attr)
            elif owner.kind == "foreign":
                found |= FOREIGN
            elif owner.kind == "class" and qt_enumeration(owner.name, node.attr):
                found.add(Type("enumeration", f"{owner.name}.{node.attr}"))
            elif owner.kind == "ui":
                found |= {Type("instance", each) for each in self.widgets.get(node.attr, ())}
        return frozenset(found)

    def _member_of_module(self, module: str, name: str) -> Types:
        if module == "slicer.modules":
            return frozenset({Type("slicer module", name)})
        full = f"{module}.{name}"
        if full == "slicer.app":
            return frozenset({Type("instance", "qSlicerApplication")})
        if full == "slicer.mrmlScene":
            return frozenset({Type("instance", "vtkMRMLScene")})
        if full == "slicer.modules" or full in self.names.python:
            return frozenset({Type("module", full)})
        if module in ("slicer", "ctk", "qt", "vtk") and re.match(r"vtk|q[A-Z]|ctk|Q", name):
            return frozenset({Type("class", name)})
        return FOREIGN if module == "vtk" else UNKNOWN

    def _type_of_call(self, node: ast.Call) -> Types:
        function = node.func
        first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
        if isinstance(function, ast.Attribute):
            if function.attr in _CREATES and isinstance(first, str):
                return frozenset({Type("instance", first)})
            if function.attr in _FINDS:
                named = [each.value for each in node.args if isinstance(each, ast.Constant)]
                classes = [each for each in named if isinstance(each, str) and each.startswith("vtkMRML")]
                return frozenset({Type("instance", each, True) for each in classes})
            if function.attr in ("SafeDownCast", "NewInstance"):
                return self._instances(self.type_of(function.value))
        called = self.type_of(function)
        found: set[Type] = set(self._instances(called))
        if any(each.kind == "foreign" for each in called):
            found |= FOREIGN
        if isinstance(function, ast.Attribute):
            for owner in self.type_of(function.value):
                if owner.kind == "instance" and (name := self.names.returned(owner.name, function.attr)):
                    found.add(Type("instance", name, True))
                if owner.kind == "slicer module" and function.attr == "logic":
                    found |= {Type("instance", name) for name in [self.names.logic_class(owner.name)] if name}
        return frozenset(found)

    # The checks.

    def _report(self, node: ast.AST, name: str, what: str) -> None:
        self.findings.add(Finding(getattr(node, "lineno", 0), name, what, self.guards > 0))

    def _visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.Try):
            caught = {_named(handler.type) for handler in node.handlers if handler.type is not None}
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
        if isinstance(node, _SCOPES):
            scope: dict[str, Types] = {}
            self.locals.append(scope)
            self._collect(node, scope)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self._check_import(node)
        elif isinstance(node, ast.Attribute):
            self._check_attribute(node)
        elif isinstance(node, ast.Call):
            self._check_call(node)
        for child in ast.iter_child_nodes(node):
            self._visit(child)
        if isinstance(node, _SCOPES):
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
        if owner.kind != "slicer module" and not self.names.has_class(owner.name):
            self._report(node, owner.name, "no such class")
            return False
        self._report(node, f"{owner.name}.{name}", "does not exist")
        return False

    def _check_call(self, node: ast.Call) -> None:
        function = node.func
        if not isinstance(function, ast.Attribute):
            return
        owners = self.type_of(function.value)
        first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
        if function.attr in _CREATES and isinstance(first, str) and not self.names.has_class(first):
            self._report(node, first, "no such class")
        # Of an object that nothing is known about; a method of the file's own classes is none of Slicer's.
        strange = not owners and _named(function.value) != "self" and re.match(r"[A-Z][a-zA-Z]*[a-z]", function.attr)
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


def _named(node: ast.AST | None) -> str:
    return ast.unparse(node) if isinstance(node, (ast.Name, ast.Attribute)) else ""


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
