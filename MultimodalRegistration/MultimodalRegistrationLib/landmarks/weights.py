"""Tables that say how well each landmark is localised."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.points import Pairs, plain_label
from ..io.text_files import read_text
from .models import Confidence

__all__ = ["read_confidence"]

_SIDES = {
    side: [f"{side}_sd_{axis}_mm" for axis in ("left_right", "front_back", "head_foot")] for side in ("fixed", "moving")
}
_SMALLEST, _LARGEST = 1e-3, 1e3
_REMEDY = (
    "Give a .csv file with the column 'label' and either 'weight', or 'sd_mm', or the standard deviations by "
    f"direction: {', '.join(_SIDES['fixed'])}, and likewise moving_..."
)


def read_confidence(path: str | Path, pairs: Pairs) -> Confidence:
    """Read weights or standard deviations of landmarks, one row for each pair, found by the label of the fixed point.

    Parameters
    ----------
    path : str or Path
        A comma-separated table with a header: ``label`` and ``weight``; or ``label`` and ``sd_mm``, the RMS
        localisation error, which gives the weight 1 / sd^2; or ``label`` and standard deviations along the axes of the
        patient in the fixed volume, the moving volume or both, where a volume that is left out has none.
    pairs : Pairs
        The landmarks.

    Returns
    -------
    Confidence
        In the order of the pairs.

    Raises
    ------
    InputError
        Unreadable, other columns, a landmark without a row, or a value that is not positive.
    """
    path = Path(path)
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path, kind="table of weights"))))
    except csv.Error as error:
        raise InputError(path, f"this is not a text table ({error})", _REMEDY) from error
    table: dict[str, dict[str, str]] = {}
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise InputError(path, f"line {number} has another number of cells than the header", _REMEDY)
        cells = {key.strip().lower(): value.strip() for key, value in row.items()}
        label = plain_label(cells.get("label", ""))
        if label in table:
            raise InputError(path, f"line {number}: the label '{cells['label']}' comes twice", "Keep one of the rows.")
        table[label] = {**cells, "line": str(number)}
    columns = [name.strip().lower() for name in rows[0]] if rows else []
    found = [_row(table, path, pairs, index) for index in pairs.fixed_index]
    given = set(columns)
    if given == {"label", "weight"}:
        return Confidence(weights=_numbers(found, ["weight"], path)[:, 0])
    if given == {"label", "sd_mm"}:
        sd_mm = _numbers(found, ["sd_mm"], path)[:, 0]
        return Confidence(weights=sd_mm**-2, sd_mm=sd_mm)
    sides = {side: names for side, names in _SIDES.items() if given >= set(names)}
    if not sides or given != {"label", *(name for names in sides.values() for name in names)}:
        raise InputError(path, f"the columns are {', '.join(columns) or 'missing'}", _REMEDY)
    covariances = {
        side: _numbers(found, names, path)[:, :, None] ** 2 * np.eye(3)
        if side in sides
        else np.zeros((len(pairs), 3, 3))
        for side, names in _SIDES.items()
    }
    return Confidence(moving_covariances=covariances["moving"], fixed_covariances=covariances["fixed"])


def _row(table: dict[str, dict[str, str]], path: Path, pairs: Pairs, index: int) -> dict[str, str]:
    row = table.get(plain_label(pairs.fixed.landmarks[index].label))
    if row is None:
        raise InputError(path, f"there is no row for the landmark {pairs.fixed.called(index)}", _REMEDY)
    return row


def _numbers(rows: list[dict[str, str]], columns: list[str], path: Path) -> NDArray[np.float64]:
    values = np.empty((len(rows), len(columns)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            try:
                values[i, j] = float(row[column])
            except ValueError:
                values[i, j] = np.nan
            if not _SMALLEST <= values[i, j] <= _LARGEST:
                raise InputError(
                    path,
                    f"line {row['line']}: {column} is '{row[column]}'",
                    f"Give a number from {_SMALLEST:g} to {_LARGEST:g}, with a point before the decimals.",
                )
    return values
