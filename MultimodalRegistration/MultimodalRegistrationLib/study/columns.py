"""Which columns a study may have: the fields of the requests that a case consists of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from ..assess.request import AssessRequest
from ..core.request import Request, RequestField, fields_of
from ..io.request import VolumePairFields
from ..preprocess.request import PreprocessRequest
from ..register.request import RegisterRequest

NAME = "name"
REPORT = "report"
PREPROCESS_PREFIX = "preprocess."
REQUESTS: Mapping[str, type[Request]] = {
    "preprocess": PreprocessRequest,
    "register": RegisterRequest,
    "qa": AssessRequest,
}


@dataclass(frozen=True)
class Column:
    """A column of a study, or a key of a case.

    Parameters
    ----------
    name : str
        What the study file calls it.
    field : RequestField
        What its values are.
    commands : tuple of str
        Those whose request has the field.
    """

    name: str
    field: RequestField
    commands: tuple[str, ...]

    @property
    def is_flag(self) -> bool:
        """Whether it says yes or no."""
        return self.field.value_type is bool


@cache
def all_columns() -> Mapping[str, Column]:
    """All columns by name, but for ``name`` and ``report``, which are no fields."""
    shared = {field.name for field in fields_of(VolumePairFields)}
    columns: dict[str, Column] = {}
    for command, request in REQUESTS.items():
        for field in fields_of(request):
            if not field.option.column:
                continue
            prefix = PREPROCESS_PREFIX if command == "preprocess" and field.name not in shared else ""
            name = prefix + field.flag
            known = columns.get(name)
            columns[name] = Column(name, field, (*(known.commands if known else ()), command))
    return columns


def measuring_columns() -> frozenset[str]:
    """Columns that ask for a measurement of the result: those of no other command."""
    return frozenset(column.name for column in all_columns().values() if column.commands == ("qa",))
