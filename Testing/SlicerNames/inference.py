"""What the expressions of a source file are, as far as it shows: modules, classes, and instances of known classes."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass

from SlicerNames.names import SlicerNames, qt_enumeration

__all__ = ["SCOPES", "Inference", "Type", "Types", "named"]

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_CREATES = {"AddNewNodeByClass", "CreateNodeByClass"}
_FINDS = {"GetFirstNodeByClass", "GetNthNodeByClass", "GetFirstNode"}


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


def named(node: ast.AST | None) -> str:
    """Dotted name of an expression that is one, else an empty text."""
    return ast.unparse(node) if isinstance(node, (ast.Name, ast.Attribute)) else ""


class Inference:
    """Types of the names and expressions of one file.

    Parameters
    ----------
    tree : ast.Module
        The file.
    names : SlicerNames
        Names of a version of Slicer.
    widgets : dict
        Classes by object name in the .ui files.
    """

    def __init__(self, tree: ast.Module, names: SlicerNames, widgets: dict[str, set[str]]) -> None:
        self.names = names
        self.widgets = widgets
        self.globals: dict[str, Types] = {}
        self.fields: dict[str, Types] = {}
        self.locals: list[dict[str, Types]] = []
        self.collect(tree, self.globals)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                self.globals[node.name] = FOREIGN
        # Twice, because a field may be taken from another that a later method sets.
        for _ in range(2):
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    self._collect_fields(node)

    # What names stand for.

    def collect(self, scope: ast.AST, found: dict[str, Types]) -> None:
        """Names of a scope with everything that is assigned to them in it, wherever."""
        unknown: set[str] = set()

        def add(name: str, types: Types) -> None:
            if types:
                found[name] = found.get(name, UNKNOWN) | types
            else:
                unknown.add(name)

        if isinstance(scope, SCOPES):
            given = scope.args
            for argument in [*given.posonlyargs, *given.args, *given.kwonlyargs]:
                add(argument.arg, self._annotated(argument.annotation))
        waiting = list(ast.iter_child_nodes(scope))
        while waiting:
            node = waiting.pop(0)
            if isinstance(node, (*SCOPES, ast.ClassDef)):
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
                and named(node.func) == "isinstance"
                and len(node.args) == 2
                and isinstance(node.args[0], ast.Name)
            ):
                for each in node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]:
                    add(node.args[0].id, self._instances(self.type_of(each)))
            waiting += ast.iter_child_nodes(node)
        for name in unknown:
            found[name] = UNKNOWN

    def _collect_target(self, target: ast.expr, value: ast.expr | None, add: Callable[[str, Types], None]) -> None:
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
            self.collect(method, scope)
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
                    if isinstance(target, ast.Attribute) and named(target.value) == "self":
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
            if named(annotation.value).split(".")[-1] in ("Optional", "Annotated"):
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
        if named(node.value) == "self":
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
