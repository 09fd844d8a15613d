"""What engines print when they fail, as cause and remedy."""

from __future__ import annotations

import re

from ..core.errors import EngineError

__all__ = ["engine_error"]

_DESCRIPTION = re.compile(r"Description: (?:ITK ERROR: )?(.+)")
_ERROR_LINE = re.compile(r"error|exception|terminate|bad_alloc", re.IGNORECASE)

_NOT_OVERLAPPING = (
    "Check in the slice views that the start puts the two volumes roughly onto each other; give a better initial "
    "transform, or crop both volumes to the region that they share."
)
_EXPLANATIONS = (
    (
        r"[Tt]oo many samples map outside",
        "the volumes hardly overlap: most points of one fall outside the other",
        _NOT_OVERLAPPING,
    ),
    (
        r"[Jj]oint PDF summed to zero|All samples map outside|VirtualSampledPointSet must have 1 or more points",
        "no point of one volume falls inside the other, or inside its mask, so there is nothing to compare",
        _NOT_OVERLAPPING,
    ),
    (
        r"Could not find enough image samples|No valid voxels",
        "the region left by the masks is too small to draw samples from",
        "Enlarge the masks, or check that they lie where the volumes overlap.",
    ),
    (
        r"(std::bad_alloc|MemoryError|[Oo]ut of memory|Failed to allocate memory)",
        "there was not enough memory",
        "Close other programs, or crop or downsample the volumes first.",
    ),
    (
        r"ImportError|ModuleNotFoundError",
        "the engine's package is damaged or does not fit this Python",
        "Run 'multimodal-registration doctor', and install the engine again.",
    ),
)


def engine_error(engine: str, printed: str, log: str) -> EngineError:
    """Translate a failure.

    Parameters
    ----------
    engine : str
        Name of the engine.
    printed : str
        The error message or the end of the log.
    log : str
        Everything that it printed, kept with the error.

    Returns
    -------
    EngineError
        With the cause and the remedy if they are known, otherwise with the engine's own last words.
    """
    subject = f"Engine {engine}"
    # Of the log only lines that tell of an error: its ordinary lines use the same words.
    told = [line for line in log.splitlines() if _ERROR_LINE.search(line)]
    text = "\n".join([printed, *told])
    for pattern, cause, remedy in _EXPLANATIONS:
        if re.search(pattern, text):
            return EngineError(subject, cause, remedy, log=log)
    lines = [line.strip() for line in printed.strip().splitlines() if line.strip()]
    if "See elastix log" in printed:
        # elastix says only that; what happened is the last description in its log.
        lines = [match[1] for line in told if (match := _DESCRIPTION.search(line))] or lines
    last = lines[-1] if lines else "it printed nothing"
    return EngineError(subject, f"it stopped with: {last}", "The log holds what it printed before.", log=log)
