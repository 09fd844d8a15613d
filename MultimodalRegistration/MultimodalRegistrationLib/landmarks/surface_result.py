"""The result of a registration by shape, its JSON content and its message."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import MultimodalRegistrationLib

from ..core.frames import modelling_ras_from_resampling_lps, resampling_lps_from_modelling_ras
from .icp import Model, Overlap, kept_share


@dataclass(frozen=True)
class Distances:
    """Distances from the samples of one shape to the nearest points of the other, in the fixed frame.

    Parameters
    ----------
    kept_share : float
        Share of the samples taken to have a counterpart: the closest ones.
    mean_mm, rms_mm, p95_mm : float
        Mean, root mean square and 95th percentile over these.
    all_mean_mm, all_rms_mm, all_p95_mm : float
        The same over all samples.
    """

    kept_share: float
    mean_mm: float
    rms_mm: float
    p95_mm: float
    all_mean_mm: float
    all_rms_mm: float
    all_p95_mm: float

    @classmethod
    def of(cls, distances_mm: NDArray[np.float64], overlap: Overlap, floor_mm: float) -> Distances:
        """Summarise distances, shape (N,), of which the share ``overlap`` counts as kept."""
        everything = np.sort(distances_mm)
        count, _ = kept_share(everything, overlap, floor_mm)
        return cls(count / len(everything), *_summary(everything[:count]), *_summary(everything))


def _summary(distances_mm: NDArray[np.float64]) -> tuple[float, float, float]:
    rms = float(np.sqrt(np.mean(np.square(distances_mm))))
    return float(distances_mm.mean()), rms, float(np.percentile(distances_mm, 95))


@dataclass(frozen=True)
class Rival:
    """Another pose that was looked at closely.

    Parameters
    ----------
    start : str
        Where it came from.
    residual_mm : float
        Its trimmed residual, to compare with that of the result.
    away_mm : float
        Mean distance over the moving shape between where this pose and where the result put it.
    turn_deg : float
        Angle between the two.
    """

    start: str
    residual_mm: float
    away_mm: float
    turn_deg: float


@dataclass(frozen=True, eq=False)
class SurfaceRegistration:
    """The result of a registration by shape.

    Parameters
    ----------
    fixed_to_moving_lps : array, shape (4, 4)
        Maps points of the fixed shape to points of the moving one, LPS, mm.
    model : {"rigid", "similarity", "affine"}
        What was fitted.
    moving_to_fixed : Distances or None
        From the moved moving shape to the fixed one; None where the moving shape is a surface and the fixed one points.
    fixed_to_moving : Distances or None
        From the fixed shape to the moved moving one; None where the fixed shape is a surface and the moving one points.
    start : str
        Which kind of start led to the result: ``given``, ``principal axes`` or ``search``.
    iterations : int
        Rounds of its refinement.
    residual_mm : float
        Its trimmed residual, comparable with that of the rivals. It includes a floor for the size of the shapes.
    rivals : tuple of Rival
        Poses clearly apart from the result, the best first.
    ambiguous : bool
        Whether a rival fits about as well.
    notes : tuple of str
        Points that were left out and why, a sentence each, naming the list and the point.
    """

    fixed_to_moving_lps: NDArray[np.float64]
    model: Model
    moving_to_fixed: Distances | None
    fixed_to_moving: Distances | None
    start: str
    iterations: int
    residual_mm: float
    rivals: tuple[Rival, ...]
    ambiguous: bool
    notes: tuple[str, ...] = ()

    @property
    def scales(self) -> tuple[float, float, float]:
        """Principal scales from moving to fixed, largest first."""
        scales = np.linalg.svd(self.moving_to_fixed_ras[:3, :3], compute_uv=False)
        return float(scales[0]), float(scales[1]), float(scales[2])

    @property
    def mirrors(self) -> bool:
        """Whether the transform contains a reflection."""
        return bool(np.linalg.det(self.fixed_to_moving_lps[:3, :3]) < 0)

    @property
    def moving_to_fixed_ras(self) -> NDArray[np.float64]:
        """To-parent matrix, shape (4, 4), of the node that is applied to the moving shape."""
        return modelling_ras_from_resampling_lps(self.fixed_to_moving_lps)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know before using the result, a sentence or two each."""
        if not self.ambiguous:
            return ()
        rival = self.rivals[0]
        return (
            f"The shape does not settle the pose: one turned by {rival.turn_deg:.0f} degrees, {rival.away_mm:.0f} mm "
            f"away on average, fits about as well (residual {rival.residual_mm:.2f} mm against "
            f"{self.residual_mm:.2f} mm). The one that moves the shape least was taken; check it by eye, or give an "
            "initial transform near the right one.",
        )


def surface_content(result: SurfaceRegistration, *, inputs: dict[str, Any]) -> dict[str, Any]:
    """Everything about a registration by shape that a script may want, ready for JSON.

    Parameters
    ----------
    result : SurfaceRegistration
        The registration.
    inputs : dict
        What was given, by option.

    Returns
    -------
    dict
        Keys and values are documented in ``Resources/Docs/landmarks.md``.
    """
    return {
        "schema": 1,
        "inputs": inputs,
        "model": result.model,
        "transform": {
            "type": "linear",
            "moving_to_fixed_ras": result.moving_to_fixed_ras.tolist(),
            "scales": result.scales,
            "mirrors": result.mirrors,
        },
        "distances": {
            "moving_to_fixed": None if result.moving_to_fixed is None else asdict(result.moving_to_fixed),
            "fixed_to_moving": None if result.fixed_to_moving is None else asdict(result.fixed_to_moving),
        },
        "start": result.start,
        "iterations": result.iterations,
        "residual_mm": result.residual_mm,
        "rivals": [asdict(rival) for rival in result.rivals],
        "ambiguous": result.ambiguous,
        "notes": list(result.notes),
        "warnings": list(result.warnings),
        "versions": {"multimodal-registration": MultimodalRegistrationLib.__version__},
    }


def surface_registration_of(content: dict[str, Any]) -> SurfaceRegistration:
    """Take a registration by shape back from its content.

    Parameters
    ----------
    content : dict
        From :func:`surface_content`.
    """
    moving_to_fixed, fixed_to_moving = (
        None if content["distances"][side] is None else Distances(**content["distances"][side])
        for side in ("moving_to_fixed", "fixed_to_moving")
    )
    return SurfaceRegistration(
        fixed_to_moving_lps=resampling_lps_from_modelling_ras(np.array(content["transform"]["moving_to_fixed_ras"])),
        model=content["model"],
        moving_to_fixed=moving_to_fixed,
        fixed_to_moving=fixed_to_moving,
        start=content["start"],
        iterations=content["iterations"],
        residual_mm=content["residual_mm"],
        rivals=tuple(Rival(**rival) for rival in content["rivals"]),
        ambiguous=content["ambiguous"],
        notes=tuple(content["notes"]),
    )


def surface_message(result: SurfaceRegistration) -> list[str]:
    """The result in lines of text."""
    lines = [f"Fitted {result.model} to the shapes; the start that won: {result.start}."]
    if result.model != "rigid":
        scales = result.scales[:1] if result.model == "similarity" else result.scales
        lines.append(f"Scale from moving to fixed: {', '.join(f'{scale:.4f}' for scale in scales)}.")
    sides = (("moved moving to fixed", result.moving_to_fixed), ("fixed to moved moving", result.fixed_to_moving))
    lines += [_distances(words, distances) for words, distances in sides if distances is not None]
    lines.append("These distances say how well the shapes lie on each other, not how far a point in them is off.")
    return [*lines, *result.notes]


def _distances(words: str, distances: Distances) -> str:
    kept = f"mean {distances.mean_mm:.2f}, RMS {distances.rms_mm:.2f}, 95 % {distances.p95_mm:.2f}"
    if distances.kept_share > 0.999:
        return f"Distance in mm, {words}: {kept}."
    return (
        f"Distance in mm, {words}, over the {distances.kept_share:.0%} that have a counterpart: {kept}; over all: "
        f"mean {distances.all_mean_mm:.2f}, 95 % {distances.all_p95_mm:.2f}."
    )
