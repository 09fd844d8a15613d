"""What a program tells of the data that it hands over in files: its own names for them, and what else it knows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..io.input_files import refuse_special_files
from ..io.run_records import RunRecord


@dataclass(frozen=True)
class Handover:
    """What the files do not tell.

    Parameters
    ----------
    names : dict of str to str
        What to call a file, by its path.
    records : dict of str to RunRecord
        How a transform was made, by its path.
    warnings : list of str
        What the user should know.
    command : str or None
        What repeats the run.
    """

    names: dict[str, str] = field(default_factory=dict)
    records: dict[str, RunRecord] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    command: str | None = None

    def name(self, path: str, otherwise: str) -> str:
        """The name of a file."""
        return self.names.get(path, otherwise)

    def named(self, value: Any) -> Any:
        """Names for a path, a list of paths, or None."""
        if isinstance(value, list | tuple):
            return [self.named(one) for one in value]
        return None if value is None else self.name(value, value)


def read_handover(file: str | None) -> Handover:
    """Read it; nothing is told where there is no file.

    Raises
    ------
    InputError
        No such file, or another one.
    """
    if file is None:
        return Handover()
    path = Path(file)
    refuse_special_files(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        records = {file: RunRecord(one["source"], one["content"]) for file, one in content["records"].items()}
        return Handover(dict(content["names"]), records, list(content["warnings"]), str(content["command"]))
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "Check the path.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(path, f"no handover of a program ({error!r})", "Leave the option out.") from error
