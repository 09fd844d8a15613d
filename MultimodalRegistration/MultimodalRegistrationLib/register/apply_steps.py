"""The preprocessing of a registration: on copies, before the search."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.volume import Volume
from ..preprocess.automatic_mask import choose_mask
from ..preprocess.bias import correct_bias
from ..preprocess.steps import ROLES, Role, Steps
from .masks import Masks
from .run import Run

__all__ = ["Prepared", "apply_steps"]


@dataclass(frozen=True)
class Prepared:
    """What the search, the engine and the verdict work on.

    Parameters
    ----------
    fixed, moving : Volume
        Corrected copies, or the volumes themselves.
    masks : Masks
        The user's, else the automatic ones, else none.
    automatic : Masks
        The same without the user's: the object ``masks`` itself where the user gave none.
    facts : tuple of str
        What was done, in words.
    """

    fixed: Volume
    moving: Volume
    masks: Masks
    automatic: Masks
    facts: tuple[str, ...]


def apply_steps(steps: Steps, fixed: Volume, moving: Volume, masks: Masks, run: Run) -> Prepared:
    """Prepare two volumes; they themselves are left alone.

    Parameters
    ----------
    steps : Steps
        What to do.
    fixed, moving : Volume
        World coordinates.
    masks : Masks
        The user's, on the grids of their volumes.
    run : Run
        Told of the progress of this step.

    Returns
    -------
    Prepared
        Volumes and masks.

    Raises
    ------
    InputError, Cancelled
        From the steps.
    """
    volumes: dict[Role, Volume] = {"fixed": fixed, "moving": moving}
    chosen: dict[Role, Volume | None] = {"fixed": masks.fixed, "moving": masks.moving}
    automatic: dict[Role, Volume | None] = {}
    facts: list[str] = []
    for number, role in enumerate(ROLES):
        volume = volumes[role]
        if steps.mask != "none":
            run.tell(f"looking for what to leave out of {volume.name}", number / 2)
        choice = choose_mask(volume, chosen[role], steps.mask)
        chosen[role], automatic[role] = choice.mask, choice.automatic
        facts += [f"{volume.name}: {fact}" for fact in choice.facts]
        if role in steps.bias_correct:
            words = f"correcting the bias field of {volume.name}"

            def on_progress(share: float, words: str = words, number: int = number) -> None:
                run.tell(words, (number + share) / 2)

            corrected = correct_bias(volume, mask=chosen[role], on_progress=on_progress, cancel=run.cancel)
            volumes[role] = corrected.corrected
            facts.append(f"{volume.name}: the bias field was taken out.")
    used = Masks(chosen["fixed"], chosen["moving"])
    unasked = Masks(automatic["fixed"], automatic["moving"]) if masks.roles else used
    return Prepared(volumes["fixed"], volumes["moving"], used, unasked, tuple(facts))
