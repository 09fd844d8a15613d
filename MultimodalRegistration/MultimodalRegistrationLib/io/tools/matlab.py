"""MATLAB files: numbers only, nothing in them is run."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

from ...core.errors import InputError
from .text import AGAIN

__all__ = ["loadmat_or_error"]


def loadmat_or_error(path: Path, names: list[str] | None = None) -> dict[str, Any]:
    """Variables of a MATLAB file of version 4 to 7, all of them or some by name.

    Raises
    ------
    InputError
        No such file, cut off, or of version 7.3.
    """
    # Few runs read one, and the import would slow the start of all.
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        return dict(loadmat(str(path), variable_names=names, appendmat=False))
    except NotImplementedError as error:
        raise InputError(path, "a MATLAB file of version 7.3", "Save it in MATLAB with save(..., '-v7').") from error
    except (MatReadError, ValueError, TypeError, OSError, LookupError, MemoryError, OverflowError, zlib.error) as error:
        raise InputError(path, f"this is not a MATLAB file, or it is cut off ({error})", AGAIN) from error
