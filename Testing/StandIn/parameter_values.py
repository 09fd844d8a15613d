"""``slicer.parameterNodeWrapper``, first part: annotations, validators and how values of each type are stored.

The names under which values are stored are those of Slicer, so its scenes can be read here and the other way round.
"""

from __future__ import annotations

import enum
import pathlib
import types
import typing
from collections.abc import Callable, MutableMapping, MutableSequence
from typing import Any

import slicer


class Default:
    """Annotation: the value a parameter starts with."""

    def __init__(self, value: Any = None, *, generator: Callable[[], Any] | None = None) -> None:
        self._value, self._generator = value, generator

    @property
    def value(self) -> Any:
        return self._generator() if self._generator else self._value


class Validator:
    """Base of the annotations that refuse values."""

    def validate(self, value: Any) -> None:
        raise NotImplementedError


class NotNone(Validator):
    def validate(self, value: Any) -> None:
        if value is None:
            raise ValueError("Value must not be None")


class IsInstance(Validator):
    def __init__(self, classtype: Any) -> None:
        self.classtype = classtype

    def validate(self, value: Any) -> None:
        if value is not None and not isinstance(value, self.classtype):
            raise TypeError(f"Value must be of type '{self.classtype}', is type '{type(value)}' value '{value}'")


class WithinRange(Validator):
    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value: Any) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


class Minimum(Validator):
    def __init__(self, minimum: float) -> None:
        self.minimum = minimum

    def validate(self, value: Any) -> None:
        if value < self.minimum:
            raise ValueError(f"Value must not be less than {self.minimum}, is {value}")


class Maximum(Validator):
    def __init__(self, maximum: float) -> None:
        self.maximum = maximum

    def validate(self, value: Any) -> None:
        if value > self.maximum:
            raise ValueError(f"Value must not be greater than {self.maximum}, is {value}")


class Choice(Validator):
    def __init__(self, choices: Any) -> None:
        self.choices = choices

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"Value is {value}, but must be in one of the following: {self.choices}")


class Exclude(Validator):
    def __init__(self, excludedValues: Any) -> None:
        self.excludedValues = excludedValues

    def validate(self, value: Any) -> None:
        if value in self.excludedValues:
            raise ValueError(f"Value is {value}, but must not be one of {self.excludedValues}")


class RangeBounds(Validator):
    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value: Any) -> None:
        if not (self.minimum <= value.minimum and value.maximum <= self.maximum):
            raise ValueError(f"Range must be within [{self.minimum}, {self.maximum}], is {value}")


def split_annotations(annotated: Any) -> tuple[Any, list[Any]]:
    """The plain type and the annotations of a type."""
    if typing.get_origin(annotated) is typing.Annotated:
        plain, *annotations = typing.get_args(annotated)
        return plain, annotations
    return annotated, []


class Stored:
    """A value kept as the text of one parameter."""

    def __init__(self, kind: Any, default: Any, checks: list[Validator]) -> None:
        self.kind, self._default, self.checks = kind, default, checks

    def default(self) -> Any:
        return self._default

    def validate(self, value: Any) -> None:
        for check in self.checks:
            check.validate(value)

    def accepts(self, value: Any) -> bool:
        """Whether a union stores the value here."""
        return type(value) is self.kind

    def present(self, node: Any, name: str) -> bool:
        return bool(node.HasParameter(name))

    def store(self, node: Any, name: str, value: Any) -> None:
        self.validate(value)
        self.write(node, name, value)

    def write(self, node: Any, name: str, value: Any) -> None:
        node.SetParameter(name, str(value))

    def read(self, node: Any, name: str) -> Any:
        return self.kind(node.GetParameter(name))

    def remove(self, node: Any, name: str) -> None:
        node.UnsetParameter(name)


class StoredBool(Stored):
    def read(self, node: Any, name: str) -> bool:
        return bool(node.GetParameter(name) == "True")


class StoredEnum(Stored):
    """The name of the member."""

    def write(self, node: Any, name: str, value: Any) -> None:
        node.SetParameter(name, value.name)

    def read(self, node: Any, name: str) -> Any:
        text = node.GetParameter(name)
        if text not in self.kind.__members__:
            raise ValueError(f"Found {text!r} in parameter node but it is not a name in {self.kind!r}")
        return self.kind[text]


class StoredNone(Stored):
    def accepts(self, value: Any) -> bool:
        return value is None

    def write(self, node: Any, name: str, value: Any) -> None:
        node.SetParameter(name, "True")

    def read(self, node: Any, name: str) -> None:
        return None


class StoredNode(Stored):
    """A node reference, and an empty parameter that says the value was set."""

    def accepts(self, value: Any) -> bool:
        return isinstance(value, self.kind)

    def write(self, node: Any, name: str, value: Any) -> None:
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node: Any, name: str) -> Any:
        return node.GetNodeReference(name)

    def remove(self, node: Any, name: str) -> None:
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class StoredTuple(Stored):
    def __init__(self, parts: list[Stored]) -> None:
        super().__init__(tuple, None, [])
        self.parts = parts

    def default(self) -> Any:
        return tuple(part.default() for part in self.parts)

    def present(self, node: Any, name: str) -> bool:
        return self.parts[0].present(node, f"{name}.0")

    def write(self, node: Any, name: str, value: Any) -> None:
        for index, (part, item) in enumerate(zip(self.parts, value, strict=True)):
            part.store(node, f"{name}.{index}", item)

    def read(self, node: Any, name: str) -> tuple[Any, ...]:
        return tuple(part.read(node, f"{name}.{index}") for index, part in enumerate(self.parts))

    def remove(self, node: Any, name: str) -> None:
        for index, part in enumerate(self.parts):
            part.remove(node, f"{name}.{index}")


class StoredList(Stored):
    def __init__(self, item: Stored) -> None:
        super().__init__(list, None, [])
        self.item = item

    def default(self) -> Any:
        return []

    def present(self, node: Any, name: str) -> bool:
        return bool(node.HasParameter(f"{name}.len"))

    def length(self, node: Any, name: str) -> int:
        return int(node.GetParameter(f"{name}.len")) if self.present(node, name) else 0

    def write(self, node: Any, name: str, value: Any) -> None:
        for item in value:
            self.item.validate(item)
        before = self.length(node, name)
        for index, item in enumerate(value):
            self.item.store(node, f"{name}.{index}", item)
        node.SetParameter(f"{name}.len", str(len(value)))
        for index in range(len(value), before):
            self.item.remove(node, f"{name}.{index}")

    def items(self, node: Any, name: str) -> list[Any]:
        return [self.item.read(node, f"{name}.{index}") for index in range(self.length(node, name))]

    def read(self, node: Any, name: str) -> Any:
        return ObservedList(self.items(node, name), lambda value: self.store(node, name, value))

    def remove(self, node: Any, name: str) -> None:
        for index in range(self.length(node, name)):
            self.item.remove(node, f"{name}.{index}")
        node.UnsetParameter(f"{name}.len")


class StoredDict(StoredList):
    """A list of pairs."""

    def __init__(self, key: Stored, value: Stored) -> None:
        super().__init__(StoredTuple([key, value]))
        self.kind = dict

    def default(self) -> Any:
        return {}

    def write(self, node: Any, name: str, value: Any) -> None:
        super().write(node, name, list(value.items()))

    def read(self, node: Any, name: str) -> Any:
        return ObservedDict(dict(self.items(node, name)), lambda value: self.store(node, name, value))


class StoredUnion(Stored):
    def __init__(self, parts: list[Stored]) -> None:
        super().__init__(None, None, [])
        self.parts = parts

    def default(self) -> Any:
        optional = len(self.parts) == 2 and isinstance(self.parts[1], StoredNone)
        return None if optional else self.parts[0].default()

    def present(self, node: Any, name: str) -> bool:
        return any(part.present(node, f"{name}.{index}") for index, part in enumerate(self.parts))

    def write(self, node: Any, name: str, value: Any) -> None:
        index = next((index for index, part in enumerate(self.parts) if part.accepts(value)), None)
        if index is None:
            raise TypeError(f"Unable to write value '{value}' of type '{type(value)}'")
        self.parts[index].validate(value)
        self.remove(node, name)
        self.parts[index].write(node, f"{name}.{index}", value)

    def read(self, node: Any, name: str) -> Any:
        for index, part in enumerate(self.parts):
            if part.present(node, f"{name}.{index}"):
                return part.read(node, f"{name}.{index}")
        raise KeyError(f"Unable to find value for name: {name}")

    def remove(self, node: Any, name: str) -> None:
        for index, part in enumerate(self.parts):
            part.remove(node, f"{name}.{index}")


class ObservedList(MutableSequence[Any]):
    """A list that is stored again whenever it changes."""

    def __init__(self, values: list[Any], save: Callable[[Any], None]) -> None:
        self._list, self._save = values, save

    def __getitem__(self, index: Any) -> Any:
        return self._list[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._list[index] = value
        self._save(self._list)

    def __delitem__(self, index: Any) -> None:
        del self._list[index]
        self._save(self._list)

    def __len__(self) -> int:
        return len(self._list)

    def insert(self, index: int, value: Any) -> None:
        self._list.insert(index, value)
        self._save(self._list)

    def __eq__(self, other: object) -> bool:
        return self._list == (other._list if isinstance(other, ObservedList) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ObservedList({self._list})"


class ObservedDict(MutableMapping[Any, Any]):
    """A dictionary that is stored again whenever it changes."""

    def __init__(self, values: dict[Any, Any], save: Callable[[Any], None]) -> None:
        self._dict, self._save = values, save

    def __getitem__(self, key: Any) -> Any:
        return self._dict[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._dict[key] = value
        self._save(self._dict)

    def __delitem__(self, key: Any) -> None:
        del self._dict[key]
        self._save(self._dict)

    def __iter__(self) -> Any:
        return iter(self._dict)

    def __len__(self) -> int:
        return len(self._dict)

    def __repr__(self) -> str:
        return f"ObservedDict({self._dict})"


def stored(annotated: Any) -> Stored:
    """How a (possibly annotated) type is stored; raises for a type that Slicer cannot store."""
    plain, annotations = split_annotations(annotated)
    made = stored_plain(plain)
    made.checks = [*made.checks, *(check for check in annotations if isinstance(check, Validator))]
    return made


def stored_plain(kind: Any) -> Stored:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return StoredUnion([stored(argument) for argument in arguments])
    if origin is tuple and arguments:
        return StoredTuple([stored(argument) for argument in arguments])
    if origin is list and len(arguments) == 1:
        return StoredList(stored(arguments[0]))
    if origin is dict and len(arguments) == 2:
        return StoredDict(stored(arguments[0]), stored(arguments[1]))
    if kind is type(None):
        return StoredNone(kind, None, [])
    if kind is bool:
        return StoredBool(bool, False, [NotNone(), IsInstance(bool)])
    if kind in (int, float):
        return Stored(kind, 0, [NotNone(), IsInstance((int, float) if kind is float else int)])
    if kind is str:
        return Stored(str, "", [NotNone(), IsInstance(str)])
    if isinstance(kind, type):
        if issubclass(kind, pathlib.PurePath):
            return Stored(kind, kind(), [NotNone(), IsInstance(kind)])
        if issubclass(kind, enum.Enum):
            return StoredEnum(kind, next(iter(kind)), [IsInstance(kind)])
        if issubclass(kind, slicer.vtkMRMLNode):
            return StoredNode(kind, None, [IsInstance(kind)])
        if hasattr(kind, "_stored_pack"):
            return kind._stored_pack()  # type: ignore[no-any-return]
    raise TypeError(f"Unable to create serializer for type: {kind}")
