"""How well each landmark is localised: weights, standard deviations or covariances, and the table that gives them."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.points import Pairs, plain_label
from ..io.input_files import read_text

_SIDES = {
    side: [f"{side}_sd_{axis}_mm" for axis in ("left_right", "front_back", "head_foot")] for side in ("fixed", "moving")
}
_MIN_VALUE, _MAX_VALUE = 1e-3, 1e3
_REMEDY = (
    "Give a .csv file with the column 'label' and either 'weight', or 'sd_mm', or the standard deviations by "
    f"direction: {', '.join(_SIDES['fixed'])}, and likewise moving_..."
)


@dataclass(frozen=True)
class Confidence:
    """How well each pair is localised: weights, or covariances, or neither.

    Parameters
    ----------
    weights : array, shape (N,), optional
        Positive; larger counts more.
    sd_mm : array, shape (N,), optional
        Localisation error of each pair, RMS in three dimensions, both volumes together, mm; the weights are 1 / sd_mm^2
        then.
    moving_covariances, fixed_covariances : array, shape (N, 3, 3), optional
        Of the localisation errors, mm^2, in LPS of each volume; both or none, and only for rigid.
    """

    weights: NDArray[np.float64] | None = None
    sd_mm: NDArray[np.float64] | None = None
    moving_covariances: NDArray[np.float64] | None = None
    fixed_covariances: NDArray[np.float64] | None = None

    @property
    def is_absolute(self) -> bool:
        """Whether the size of the localisation errors is known, not only their ratios."""
        return self.sd_mm is not None or self.moving_covariances is not None

    @property
    def relative_weights(self) -> NDArray[np.float64] | None:
        """One weight for each pair, mean 1; None when all count alike."""
        weights = self.weights
        if self.moving_covariances is not None and self.fixed_covariances is not None:
            weights = 1.0 / np.trace(self.moving_covariances + self.fixed_covariances, axis1=1, axis2=2)
        return None if weights is None else weights / weights.mean()

    @property
    def localisation_error_mm(self) -> float | None:
        """RMS localisation error of a pair of mean weight, both volumes together; None where only ratios are known."""
        if self.sd_mm is not None:
            return float(np.mean(self.sd_mm**-2.0) ** -0.5)
        if self.moving_covariances is not None and self.fixed_covariances is not None:
            squares = np.trace(self.moving_covariances + self.fixed_covariances, axis1=1, axis2=2)
            return float(np.mean(1.0 / squares) ** -0.5)
        return None

    @property
    def exchanged(self) -> Confidence:
        """The same where fixed and moving change places."""
        return Confidence(self.weights, self.sd_mm, self.fixed_covariances, self.moving_covariances)

    def of(self, kept: NDArray[np.bool_]) -> Confidence:
        """The same for the pairs that are kept, mask of shape (N,)."""
        parts = (self.weights, self.sd_mm, self.moving_covariances, self.fixed_covariances)
        return Confidence(*(None if part is None else part[kept] for part in parts))


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
    found = []
    for index in pairs.fixed_index:
        row_of_pair = table.get(plain_label(pairs.fixed.landmarks[index].label))
        if row_of_pair is None:
            raise InputError(path, f"there is no row for the landmark {pairs.fixed.called(index)}", _REMEDY)
        found.append(row_of_pair)
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


def _numbers(rows: list[dict[str, str]], columns: list[str], path: Path) -> NDArray[np.float64]:
    values = np.empty((len(rows), len(columns)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            try:
                values[i, j] = float(row[column])
            except ValueError:
                values[i, j] = np.nan
            if not _MIN_VALUE <= values[i, j] <= _MAX_VALUE:
                remedy = f"Give a number from {_MIN_VALUE:g} to {_MAX_VALUE:g}, with a point before the decimals."
                raise InputError(path, f"line {row['line']}: {column} is '{row[column]}'", remedy)
    return values
