"""Whether a deformable stage has helped, and what speaks for it.

A stage with thousands of parameters always makes the volumes agree better, so agreement alone proves nothing. What
tells is a second run with the roles of the volumes exchanged: where the images determine the deformation, the one
undoes the other; where they do not, each follows its own noise (inverse consistency: Christensen and Johnson 2001,
doi:10.1109/42.932742). ``Resources/Docs/deformable.md`` has the figures on which the numbers rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...transforms.health import JacobianStatistics
from ...transforms.working_grid import DistanceStatistics

__all__ = ["DeformableEvidence", "DeformableVerdict", "DeformableWord", "judge_deformation"]

DeformableWord = Literal["helped", "unclear", "drop"]

_SMALLEST_GAIN = 0.02
# Shares of the bending that do not come back.
_CONSISTENT = 0.3
_INCONSISTENT = 0.75
_SMALLEST_BENDING_MM = 0.5
_SMALLEST_VOLUME, _LARGEST_VOLUME = 0.2, 5.0


@dataclass(frozen=True)
class DeformableEvidence:
    """What was measured of a deformable stage.

    Parameters
    ----------
    information_before, information_after : float or None
        Mutual information in nats, at the same points; None where the overlap is too small.
    bending : DistanceStatistics
        How far the stage moves the points that both volumes show, in mm.
    return_error : DistanceStatistics or None
        From such a point, through the stage and through that with exchanged roles, to where it comes back; None where
        the engine found nothing with exchanged roles.
    jacobian : JacobianStatistics
        Volume after over volume before, where the fixed volume shows something.
    symmetric : bool
        Whether the engine treats both volumes alike, so that the run with exchanged roles is no second opinion.
    """

    information_before: float | None
    information_after: float | None
    bending: DistanceStatistics
    return_error: DistanceStatistics | None
    jacobian: JacobianStatistics
    symmetric: bool = False

    @property
    def gain(self) -> float:
        """Relative gain of mutual information."""
        if not self.information_before or self.information_after is None:
            return 0.0
        return self.information_after / self.information_before - 1

    @property
    def inconsistent_share(self) -> float | None:
        """Share of the bending that does not come back, of the mean or of the strongest bending, where it is worse."""
        if self.return_error is None:
            return None
        return max(
            self.return_error.mean_mm / max(self.bending.mean_mm, 1e-9),
            self.return_error.p95_mm / max(self.bending.p95_mm, 1e-9),
        )


@dataclass(frozen=True)
class DeformableVerdict:
    """Whether to keep a deformable stage.

    Parameters
    ----------
    word : str
        ``"helped"``: keep it; ``"unclear"``: look closely; ``"drop"``: use the transform of the stages before it.
    against : tuple of str
        Sentences that speak against it.
    facts : tuple of str
        The measurements.
    evidence : DeformableEvidence or None
        The numbers; None where hardly anything was left to look at.
    """

    word: DeformableWord
    against: tuple[str, ...]
    facts: tuple[str, ...]
    evidence: DeformableEvidence | None


def judge_deformation(evidence: DeformableEvidence | None) -> DeformableVerdict:
    """Weigh the evidence.

    Parameters
    ----------
    evidence : DeformableEvidence or None
        Of one stage; None where hardly anything that one volume shows lies in the other after it.

    Returns
    -------
    DeformableVerdict
        In words.
    """
    if evidence is None:
        words = "Hardly anything that the fixed volume shows lies in the moving one after the bending."
        return DeformableVerdict("drop", (words,), (), None)
    e = evidence
    fatal, doubts = [], []
    if e.jacobian.folded_share > 0:
        fatal.append(f"The deformation folds {e.jacobian.folded_share:.2%} of the space.")
    elif e.jacobian.minimum < _SMALLEST_VOLUME or e.jacobian.maximum > _LARGEST_VOLUME:
        doubts.append(
            f"The deformation changes volumes by factors from {e.jacobian.minimum:.2f} to {e.jacobian.maximum:.2f}."
        )
    if e.information_after is None:
        doubts.append("Too few points lie in both volumes to tell whether they agree better.")
    elif e.gain < 0:
        fatal.append("The volumes agree no better than before the bending.")
    elif e.gain < _SMALLEST_GAIN:
        doubts.append(f"The agreement rose by {e.gain:.1%} only.")
    if e.inconsistent_share is None:
        doubts.append("With exchanged roles the engine found nothing.")
    elif e.bending.p95_mm < _SMALLEST_BENDING_MM:
        doubts.append(
            f"It moves 95 % of the points by less than {_SMALLEST_BENDING_MM} mm: the stage may not be needed."
        )
    elif e.inconsistent_share > _INCONSISTENT:
        fatal.append(f"With exchanged roles another deformation is found: {_returns(e)}.")
    elif e.inconsistent_share > _CONSISTENT:
        doubts.append(f"With exchanged roles a different deformation is found: {_returns(e)}.")
    if e.symmetric:
        doubts.append("SyN treats both volumes alike, so its second run proves little: compare with elastix.")
    word: DeformableWord = "drop" if fatal else "unclear" if doubts else "helped"
    return DeformableVerdict(word, (*fatal, *doubts), _facts(e), e)


def _returns(e: DeformableEvidence) -> str:
    assert e.return_error is not None, "checked before"
    return (
        f"on average points come back {e.return_error.mean_mm:.1f} mm beside where they were, moved by "
        f"{e.bending.mean_mm:.1f} mm"
    )


def _facts(e: DeformableEvidence) -> tuple[str, ...]:
    information = "Mutual information could not be measured."
    if e.information_before is not None and e.information_after is not None:
        information = f"Mutual information {e.information_before:.3f} nat before, {e.information_after:.3f} after."
    there_and_back = ""
    if e.return_error is not None:
        there_and_back = (
            f" {e.return_error.mean_mm:.1f} mm are left there, and back through a run with exchanged roles."
        )
    return (
        information,
        f"Bent by {e.bending.mean_mm:.1f} mm on average, at most {e.bending.max_mm:.1f} mm.{there_and_back}",
        f"Jacobian determinant {e.jacobian.minimum:.2f} to {e.jacobian.maximum:.2f}; "
        f"{e.jacobian.folded_share:.2%} folded.",
    )
