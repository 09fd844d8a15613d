"""What a job is asked to do: a frozen dataclass whose fields are its JSON, its options and its study columns.

A field is declared once, with :func:`option`. Its type, its default, its help and its range are read from there by
everyone who asks: the parser of the command line, the JSON and its schema, the columns of a study, and the parameter
node of a panel. Errors name the field; :func:`flag_of_field` and the panels know what their users call it.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import inspect
import math
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import FieldName, InputError, suggest

# What a value is: files of several kinds, names that may be files, or plain values.
Kind = Literal[
    "value",
    "volume",
    "mask",
    "segmentation",
    "file",
    "any file",
    "preset",
    "stage",
    "steps",
    "automatic mask",
    "output",
]
_UNITS = ("_mm", "_deg", "_gib")
_OPTION = "option"
_R = TypeVar("_R", bound="Request")
_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Option:
    """What a field is, beyond its type and its default.

    Parameters
    ----------
    help : str
        What the user is told; ``%(default)s`` stands for the default.
    metavar : str or None
        Stands for the value in the help of the command line.
    kind : str
        What the value is.
    flag : str or None
        Its name on the command line, without dashes, where that does not follow from the name of the field.
    minimum, maximum : float or None
        Allowed range of a number.
    above_minimum : bool
        Whether the minimum itself is not allowed.
    choices : tuple of str
        Allowed values, where the type does not say.
    repeated : bool
        Whether the flag is given once for each value of a list.
    column : bool
        Whether a study has a column for it.
    encode, decode : callable or None
        To and from JSON, of a value that is not plain data.
    """

    help: str
    metavar: str | None = None
    kind: Kind = "value"
    flag: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    above_minimum: bool = False
    choices: tuple[str, ...] = ()
    repeated: bool = False
    column: bool = True
    encode: Callable[[Any], Any] | None = None
    decode: Callable[[Any], Any] | None = None


def option(help: str, *, default: Any = dataclasses.MISSING, **settings: Any) -> Any:  # noqa: A002
    """A field of a request; see :class:`Option` for the settings."""
    return dataclasses.field(default=default, metadata={_OPTION: Option(help, **settings)})


@dataclass(frozen=True)
class RequestField:
    """A field of a request, as its readers need it.

    Parameters
    ----------
    name : str
        In the code and in JSON.
    option : Option
        What was declared.
    default : object
        ``dataclasses.MISSING`` where a value is needed.
    many : bool
        Whether it holds any number of values.
    choices : tuple of str
        Allowed values; empty for any.
    value_type : type
        Of one value: str, int, float, bool, or a :class:`Request` of its own.
    """

    name: str
    option: Option
    default: Any
    many: bool
    choices: tuple[str, ...]
    value_type: type

    @property
    def flag(self) -> str:
        """Its name on the command line and in studies, without dashes."""
        if self.option.flag is not None:
            return self.option.flag
        words = next((self.name.removesuffix(unit) for unit in _UNITS if self.name.endswith(unit)), self.name)
        return ("no-" if self.value_type is bool and self.default is True else "") + words.replace("_", "-")

    @property
    def nested(self) -> type[Request] | None:
        """The class of its values, where they are requests of their own."""
        return self.value_type if issubclass(self.value_type, Request) else None

    def check(self, value: Any) -> None:
        """Refuse a value out of range.

        Raises
        ------
        InputError
            Names the field.
        """
        declared = self.option
        for one in value if isinstance(value, tuple) else (value,):
            if self.choices and one is not None and one not in self.choices:
                raise InputError(FieldName(self.name), f"'{one}' was given", f"Use one of {', '.join(self.choices)}.")
            if isinstance(one, bool) or not isinstance(one, int | float):
                continue
            low = -math.inf if declared.minimum is None else declared.minimum
            high = math.inf if declared.maximum is None else declared.maximum
            inside = low <= one <= high and not (declared.above_minimum and one == low)
            if not inside or not math.isfinite(one):
                raise InputError(FieldName(self.name), f"{one:g} was given", self._range_message())

    def _range_message(self) -> str:
        low, high = self.option.minimum, self.option.maximum
        number = "a whole number" if self.value_type is int else "a number"
        if high is not None:
            return f"Give {number} from {low:.10g} to {high:.10g}."
        if low is None:
            return f"Give {number}."
        if self.option.above_minimum:
            return f"Give {number} above {low:g}." if low else f"Give {number} above zero."
        return f"Give {number} from {low:g}." if low or self.value_type is int else "Give zero or a positive number."


def both_or_none(given: Mapping[str, Any], one: str, other: str) -> Iterator[InputError]:
    """Refuse one of two fields without the other."""
    if (one in given) != (other in given):
        yield InputError(FieldName(one, other), "only one of the two was given", "Give both, or none.")


def needs(given: Mapping[str, Any], one: str, other: str) -> Iterator[InputError]:
    """Refuse a field without another one, or with one that is no file."""
    if one in given and given.get(other) in (None, "auto", "none"):
        yield InputError(
            FieldName(one, other), "the first was given without the second", "Give both, or leave the first out."
        )


def at_most_one(given: Mapping[str, Any], *names: str) -> Iterator[InputError]:
    """Refuse more than one of some fields."""
    together = [name for name in names if name in given]
    if len(together) > 1:
        yield InputError(FieldName(*together), "given together", "Leave all but one out.")


@dataclass(frozen=True, kw_only=True)
class Request:
    """Base of all requests."""

    def __post_init__(self) -> None:
        given = {}
        for one in fields_of(type(self)):
            value = getattr(self, one.name)
            one.check(value)
            if value != one.default:
                given[one.name] = value
        for error in self.conflicts(given):
            raise error

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[InputError]:
        """What is wrong with values together; ``given`` has those that differ from the defaults."""
        yield from ()

    def content(self) -> dict[str, Any]:
        """For JSON: every field."""
        return {one.name: _encoded(one, getattr(self, one.name)) for one in fields_of(type(self))}

    @classmethod
    def from_content(cls: type[_R], content: Any, *, where: str) -> _R:
        """The request of :meth:`content`; what is missing has its default.

        Parameters
        ----------
        content : object
            From JSON.
        where : str
            The file, for messages.

        Raises
        ------
        InputError
            An unknown or missing entry, or one with another type or out of range.
        """
        if not isinstance(content, Mapping):
            raise InputError(where, "a request is no JSON object", "See the documentation of requests.")
        known = {one.name: one for one in fields_of(cls)}
        for name in content:
            if name not in known:
                raise InputError(
                    where, f"'{name}' is no entry of such a request", f"Leave it out.{suggest(name, known)}"
                )
        missing = [name for name, one in known.items() if one.default is dataclasses.MISSING and name not in content]
        if missing:
            raise InputError(where, f"'{missing[0]}' is missing", "Give it.")
        return cls(**{name: _decoded(known[name], value, where) for name, value in content.items()})

    @classmethod
    def from_options(cls: type[_R], options: argparse.Namespace) -> _R:
        """The request that parsed options of :func:`add_options` are.

        Raises
        ------
        InputError
            A value out of range.
        """
        values: dict[str, Any] = {}
        for one in fields_of(cls):
            given = getattr(options, one.name, None)
            # What was not given has its default, which a parser does not know of lists.
            if given is None:
                if one.default is dataclasses.MISSING:
                    raise InputError(FieldName(one.name), "was not given", "Give it.")
                continue
            values[one.name] = value_of_texts(one, given) if one.many else given
        return cls(**values)

    @classmethod
    def from_text(cls: type[_R], text: str) -> _R:
        """The request that a user writes as one text, where it is part of another one."""
        raise NotImplementedError


_FIELDS: dict[type, tuple[RequestField, ...]] = {}


def fields_of(request: type[Request]) -> tuple[RequestField, ...]:
    """The declared fields of a class of requests, in their order."""
    if request not in _FIELDS:
        _FIELDS[request] = tuple(_declared(request))
    return _FIELDS[request]


def _declared(request: type[Request]) -> Iterator[RequestField]:
    hints = get_type_hints(request)
    for one in dataclasses.fields(request):
        if _OPTION not in one.metadata:
            continue
        declared: Option = one.metadata[_OPTION]
        base, many, choices = _parsed(hints[one.name])
        yield RequestField(one.name, declared, one.default, many, declared.choices or choices, base)


def _parsed(hint: Any) -> tuple[type, bool, tuple[str, ...]]:
    """Type of one value, whether there may be many, and the choices that the type states."""
    if get_origin(hint) in (Union, types.UnionType):
        # The first one is what a user writes; others are in-memory forms, or None.
        hint = next(part for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is tuple:
        base, _, choices = _parsed(get_args(hint)[0])
        return base, True, choices
    if get_origin(hint) is Literal:
        return str, False, tuple(str(choice) for choice in get_args(hint))
    return hint, False, ()


def _encoded(one: RequestField, value: Any) -> Any:
    if isinstance(value, tuple):
        return [_encoded(one, part) for part in value]
    if isinstance(value, Request):
        return value.content()
    if one.option.encode is not None:
        return one.option.encode(value)
    return value


def _decoded(one: RequestField, value: Any, where: str) -> Any:
    if value is None and one.default is None:
        return None
    if one.many:
        if not isinstance(value, list):
            raise InputError(where, f"'{one.name}' is {value!r}", "Give a list.")
        return tuple(_decoded_one(one, part, where) for part in value)
    return _decoded_one(one, value, where)


def _decoded_one(one: RequestField, value: Any, where: str) -> Any:
    if one.nested is not None:
        return one.nested.from_content(value, where=where)
    if one.option.decode is not None and not isinstance(value, str):
        return one.option.decode(value)
    if one.value_type is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not one.value_type:
        expected = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}[one.value_type]
        raise InputError(where, f"'{one.name}' is {value!r}", f"Give {expected}.")
    return value


# --- the command line ---


def add_options(parser: argparse.ArgumentParser, *requests: type[Request]) -> None:
    """Add an option for each field of some classes of requests."""
    for request in requests:
        for one in fields_of(request):
            _add_option(parser, one)


def _add_option(parser: argparse.ArgumentParser, one: RequestField) -> None:
    flag = f"--{one.flag}"
    settings: dict[str, Any] = {"dest": one.name, "help": one.option.help}
    required = one.default is dataclasses.MISSING
    if one.value_type is bool:
        parser.add_argument(flag, action="store_false" if one.default is True else "store_true", **settings)
        return
    if one.choices and one.option.metavar is None:
        settings["choices"] = one.choices
        if all(choice.islower() for choice in one.choices):
            settings["type"] = str.lower
    else:
        settings["metavar"] = one.option.metavar
    if one.value_type in (int, float):
        settings["type"] = one.value_type
    if one.many:
        settings |= {"action": "append"} if one.option.repeated else {"nargs": "+"}
    else:
        settings["default"] = None if required else one.default
    parser.add_argument(flag, required=required, **settings)


def arguments_of(request: Request) -> list[str]:
    """The options of the command line that state a request, but for its defaults."""
    arguments: list[str] = []
    for one in fields_of(type(request)):
        value = getattr(request, one.name)
        if value == one.default:
            continue
        if one.value_type is bool:
            arguments.append(f"--{one.flag}")
        elif one.many and not one.option.repeated:
            arguments += [f"--{one.flag}", *map(str, value)]
        else:
            arguments += [f"--{one.flag}={part}" for part in (value if one.many else (value,))]
    return arguments


def accepts_fields(request: type[Request], *, without: Collection[str] = ()) -> Callable[[_F], _F]:
    """Let a function with ``**options`` take the fields of a class of requests, as its signature and its help then say.

    Parameters
    ----------
    request : type
        The class of requests.
    without : collection of str
        Fields that are no options of the function, as it has parameters for them or does without.
    """
    fields = {one.name: one for one in fields_of(request) if one.name not in without}

    def decorate(function: _F) -> _F:
        @functools.wraps(function)
        def checked(*given: Any, **options: Any) -> Any:
            for name in options:
                if name not in fields and name not in own:
                    raise TypeError(f"{function.__name__}() has no parameter '{name}'.{suggest(name, [*fields, *own])}")
            return function(*given, **options)

        signature = inspect.signature(function)
        own = {name: one for name, one in signature.parameters.items() if one.kind is not one.VAR_KEYWORD}
        hints = get_type_hints(request)
        keywords = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=hints[name])
            for name, one in fields.items()
            if name not in own
        ]
        checked.__signature__ = signature.replace(parameters=[*own.values(), *keywords])  # type: ignore[attr-defined]
        listed = "\n".join(f"    {name} : {_description(one)}" for name, one in fields.items() if name not in own)
        checked.__doc__ = f"{inspect.getdoc(function)}\n\nOptions\n-------\n{inspect.cleandoc(listed)}\n"
        return checked  # type: ignore[return-value]

    return decorate


def _description(one: RequestField) -> str:
    return one.option.help.replace("%(default)g", str(one.default)).replace("%(default)s", str(one.default))


def flag_of_field(name: str, requests: Iterable[type[Request]]) -> str:
    """What the command line calls a field, such as ``--max-rotation``."""
    flags = {one.name: one.flag for request in requests for one in fields_of(request)}
    return f"--{flags.get(name, name.replace('_', '-'))}"


def value_of_texts(one: RequestField, given: Any) -> Any:
    """The value of a field that holds any number of values, from what a user wrote for each."""
    nested = one.nested
    return tuple(given if nested is None else (nested.from_text(part) for part in given))


class _Refused(Exception):
    """What a parser finds wrong."""


class _RaisingParser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise _Refused(message)


@cache
def _parser_of(one: RequestField) -> argparse.ArgumentParser:
    parser = _RaisingParser(add_help=False, allow_abbrev=False)
    _add_option(parser, dataclasses.replace(one, default=None) if one.default is dataclasses.MISSING else one)
    return parser


def value_of_text(one: RequestField, text: str | Sequence[str]) -> Any:
    """The value that a text stands for, as on the command line, and within its range.

    Parameters
    ----------
    one : RequestField
        No flag.
    text : str or sequence of str
        Of a field that holds any number of values, the texts of all.

    Raises
    ------
    InputError
        Names the field.
    """
    texts = [text] if isinstance(text, str) else list(text)
    if one.many and any(part.startswith("-") for part in texts):
        raise InputError(FieldName(one.name), f"'{' '.join(texts)}' was given", "None may begin with a dash.")
    arguments = [f"--{one.flag}", *texts] if one.many and not one.option.repeated else []
    arguments = arguments or [f"--{one.flag}={part}" for part in texts]
    try:
        value = getattr(_parser_of(one).parse_args(arguments), one.name)
    except _Refused as refused:
        message = str(refused).removeprefix(f"argument --{one.flag}: ")
        raise InputError(FieldName(one.name), message, "Correct it.") from refused
    value = value_of_texts(one, value) if one.many else value
    one.check(value)
    return value


# --- JSON Schema ---

_JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def json_schema(request: type[Request]) -> dict[str, Any]:
    """The JSON Schema of a class of requests (json-schema.org, draft 2020-12)."""
    fields = fields_of(request)
    required = [one.name for one in fields if one.default is dataclasses.MISSING]
    return {
        "type": "object",
        "properties": {one.name: _property(one) for one in fields},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _property(one: RequestField) -> dict[str, Any]:
    declared = one.option
    found: dict[str, Any] = {"type": _JSON_TYPES[one.value_type]} if one.nested is None else json_schema(one.nested)
    if declared.decode is not None:
        found["type"] = [found["type"], "object"]
    if one.choices:
        found["enum"] = list(one.choices)
    if declared.minimum is not None:
        found["exclusiveMinimum" if declared.above_minimum else "minimum"] = declared.minimum
    if declared.maximum is not None:
        found["maximum"] = declared.maximum
    if one.many:
        found = {"type": "array", "items": found}
    if one.default is None:
        found = {"anyOf": [found, {"type": "null"}]}
    if one.default not in (dataclasses.MISSING, None, ()):
        found["default"] = one.default
    return {"description": _description(one), **found}
