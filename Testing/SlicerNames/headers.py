"""Public names of the classes in a C++ header, as Python sees them: VTK's wrapping and PythonQt's differ."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["CppClass", "decorators", "read_classes"]

_CLASS = re.compile(
    r"\b(?:class|struct)\s+(?:(?:\w+_EXPORT|[A-Z][A-Z0-9_]*(?:\([^)]*\))?)\s+)*(\w+)\s*(?:final\s*)?(?::([^{;]*))?\{"
)
_ACCESS = re.compile(r"^\s*(?:(public|protected|private)\s*(slots|Q_SLOTS)?|(signals|Q_SIGNALS))\s*:(?!:)")
_PROPERTY = re.compile(r"Q_PROPERTY\s*\(\s*([\w:<>,\s*&]*?[\s*&>])(\w+)\s+READ\b")
_QT_MACRO = re.compile(
    r"\b(?:Q_OBJECT|Q_GADGET|QVTK_OBJECT|"
    r"(?:Q_(?:PROPERTY|ENUMS?|FLAGS?|DECLARE_\w+|DISABLE_\w+|CLASSINFO|INTERFACES|PLUGIN_METADATA))"
    r"\s*\((?:[^()]|\([^()]*\))*\))"
)
_ACCESSOR = re.compile(r"\bvtk(Get|Set)\w*Macro\s*\(\s*(\w+)")
_CLAMP = re.compile(r"\bvtkSetClampMacro\s*\(\s*(\w+)")
_BOOLEAN = re.compile(r"\bvtkBooleanMacro\s*\(\s*(\w+)")
_FUNCTION = re.compile(r"^(.*?)(~?\b\w+)\s*\(", re.DOTALL)
_POINTER = re.compile(r"\b([vqc]\w+)\s*\*\s*$")
_TEXT_OR_COMMENT = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)'|/\*.*?\*/|//[^\n]*", re.DOTALL)
# Types that VTK's wrapping does not know: a method with one of them in its signature does not exist in Python.
_NOT_WRAPPED = re.compile(
    r"stream\s*&|std::(?:map|set|list|deque|pair|function|vector<\s*std::pair)\b|char\s*\*\*|itk::"
    r"|vector<\s*(?:vtk\w+|const char)\s*\*|\bControlPoint\s*\*|PropertiesType\b"
)
_KEYWORDS = {"if", "for", "while", "switch", "return", "sizeof", "operator", "defined", "decltype", "noexcept"}


@dataclass
class CppClass:
    """What Python sees of a class, without what it inherits.

    ``signals`` are signatures. ``returns`` holds, by method, the class of the object that it returns a pointer to.
    """

    name: str
    bases: list[str]
    methods: set[str] = field(default_factory=set)
    properties: set[str] = field(default_factory=set)
    signals: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    returns: dict[str, str] = field(default_factory=dict)


def _plain(text: str) -> str:
    """The code without comments, strings and preprocessor lines; of ``#if 0`` nothing special is made."""
    # Strings and comments at once: each may hold what looks like the start of the other.
    text = _TEXT_OR_COMMENT.sub(lambda match: '""' if match[0].startswith('"') else " ", text)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.MULTILINE)


def _end(text: str, start: int) -> int:
    """Position after the brace that closes the one before ``start``."""
    depth = 1
    for match in re.compile(r"[{}]").finditer(text, start):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return match.end()
    return len(text)


def _statements(body: str) -> Iterator[tuple[str, str, str]]:
    """Declarations of a class body: section ("public", "public slots", "signals", ...), head, text in braces."""
    section = "private"
    position = 0
    while position < len(body):
        if access := _ACCESS.match(body[position:]):
            section = "signals" if access[3] else access[1] + (" slots" if access[2] else "")
            position += access.end()
            continue
        stop = re.compile(r"[;{]").search(body, position)
        if stop is None:
            return
        head = body[position : stop.start()]
        braces = ""
        position = stop.end()
        if stop[0] == "{":
            end = _end(body, position)
            braces = body[position : end - 1]
            position = end
        yield section, head.strip(), braces


def _enum_values(text: str) -> set[str]:
    return {match[1] for part in text.split(",") if (match := re.match(r"\s*(\w+)", part))}


def _of_enum(head: str, braces: str) -> set[str]:
    name = re.match(r"(?:typedef\s+)?enum\s+(?:class\s+)?(\w+)", head)
    return _enum_values(braces) | ({name[1]} if name else set())


def _type(parameter: str) -> str:
    """A parameter's type as Qt normalises it in a signature."""
    plain = re.sub(r"\s*=.*", "", parameter.strip(), flags=re.DOTALL)
    plain = re.sub(r"^const\s+(.*?)\s*&", r"\1 ", plain)
    if re.search(r"[*&>\s]\s*\w+$", plain) and not re.fullmatch(r"unsigned\s+\w+", plain):
        plain = re.sub(r"\w+$", "", plain)
    return re.sub(r"\s*([*&<>,])\s*", r"\1", plain.strip())


def _signatures(name: str, after: str) -> set[str]:
    """Signatures of a signal, one for each number of arguments that defaults leave."""
    inside = after[: after.rfind(")")].strip()
    parameters = re.split(r",(?![^<]*>)", inside) if inside and inside != "void" else []
    fewest = next((place for place, text in enumerate(parameters) if "=" in text), len(parameters))
    types = [_type(text) for text in parameters]
    return {f"{name}({','.join(types[:count])})" for count in range(fewest, len(types) + 1)}


def _add_function(found: CppClass, head: str, *, signal: bool) -> None:
    function = _FUNCTION.match(head)
    if function is None or function[2] in _KEYWORDS or function[2].startswith("~") or "operator" in function[1]:
        return
    name = function[2]
    if name in (found.name, "New") or "Macro" in name or "typedef" in function[1].split():
        return
    if not signal and found.name.startswith("vtk") and _NOT_WRAPPED.search(head):
        return
    if signal:
        found.signals |= _signatures(name, head[function.end() :])
        return
    found.methods.add(name)
    if returned := _POINTER.search(function[1]):
        found.returns[name] = returned[1]


def _read_vtk(found: CppClass, body: str) -> None:
    for section, head, braces in _statements(body):
        if section != "public":
            continue
        if re.match(r"(typedef\s+)?enum\b", head):
            found.values |= _of_enum(head, braces)
            continue
        for kind, name in _ACCESSOR.findall(head):
            found.methods.add(f"{kind}{name}")
        for name in _CLAMP.findall(head):
            found.methods |= {f"Get{name}MinValue", f"Get{name}MaxValue"}
        for name in _BOOLEAN.findall(head):
            found.methods |= {f"{name}On", f"{name}Off"}
        for kind, returned in re.findall(r"\bvtk(?:Get)ObjectMacro\s*\(\s*(\w+)\s*,\s*(\w+)", head):
            found.returns[f"Get{kind}"] = returned
        if "vtkMRMLCopyContent" in head:
            found.methods.add("CopyContent")
        _add_function(found, head, signal=False)


def _read_qt(found: CppClass, body: str) -> None:
    declared = set(re.findall(r"Q_(?:ENUMS?|FLAGS?)\s*\(\s*(\w+)", body))
    found.properties |= {name for _, name in _PROPERTY.findall(body)}
    for section, head, braces in _statements(_QT_MACRO.sub(" ", body)):
        if section not in ("public", "public slots", "signals"):
            continue
        if re.match(r"(typedef\s+)?enum\b", head):
            names = _of_enum(head, braces)
            if names & declared or section == "public":
                found.values |= names
            continue
        if section == "public" and "Q_INVOKABLE" not in head:
            continue
        _add_function(found, head.replace("Q_INVOKABLE", " "), signal=section == "signals")


def read_classes(text: str) -> list[CppClass]:
    """Classes of a header whose names begin with vtk, q or ctk.

    Of VTK classes everything public counts; of Qt ones what PythonQt shows: properties, public slots, invokable
    methods, signals and enumerations.
    """
    text = _plain(text)
    classes = []
    for match in _CLASS.finditer(text):
        name = match[1]
        if not re.match(r"vtk|q[SM]|ctk", name) or name.endswith("Private"):
            continue
        bases = re.findall(r"\bpublic\s+(?:virtual\s+)?(\w+)", match[2] or "")
        body = text[match.end() : _end(text, match.end()) - 1]
        found = CppClass(name, bases)
        (_read_vtk if name.startswith("vtk") else _read_qt)(found, body)
        classes.append(found)
    return classes


def decorators(text: str) -> list[CppClass]:
    """Methods that a PythonQt decorator class adds to other classes."""
    text = _plain(text)
    added: dict[str, CppClass] = {}
    for match in _CLASS.finditer(text):
        body = text[match.end() : _end(text, match.end()) - 1]
        for section, head, _ in _statements(_QT_MACRO.sub(" ", body)):
            function = _FUNCTION.match(head)
            if section != "public slots" or function is None:
                continue
            name = function[2]
            if static := re.match(r"static_([A-Za-z]+)_(\w+)$", name):
                owner, name = static[1], static[2]
            elif not name.startswith(("new_", "delete_")) and (
                receiver := re.match(r"\s*(\w+)\s*\*", head[function.end() :])
            ):
                owner = receiver[1]
            else:
                continue
            target = added.setdefault(owner, CppClass(owner, []))
            target.methods.add(name)
            if returned := _POINTER.search(function[1]):
                target.returns[name] = returned[1]
    return list(added.values())
