"""N4 on one or several images at once, in threads, followed and cancelled from outside."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import SimpleITK as sitk

from ..core.cores import usable_cores
from ..core.errors import Cancelled, EngineError

__all__ = ["log_bias_fields"]

_SECONDS_BETWEEN_LOOKS = 0.05
_LEVELS = 4
_ITERATIONS = 50


def log_bias_fields(
    images: Sequence[sitk.Image],
    masks: Sequence[sitk.Image],
    name: str,
    *,
    on_progress: Callable[[float], None] | None = None,
    cancel: threading.Event | None = None,
) -> list[sitk.Image]:
    """Find the logarithm of the bias field of each image.

    Each image has a thread of its own, and the cores are shared out between them. A cancel is answered at once; the
    threads end after their current iteration.

    Parameters
    ----------
    images : sequence of SimpleITK.Image
        32-bit float.
    masks : sequence of SimpleITK.Image
        Unsigned 8-bit, one for each image.
    name : str
        What errors call the volume.
    on_progress : callable, optional
        Called with the share of the work that is done, 0 to 1, from the calling thread.
    cancel : threading.Event, optional
        Set it to stop.

    Returns
    -------
    list of SimpleITK.Image
        On the grids of the images.

    Raises
    ------
    EngineError
        N4 failed.
    Cancelled
        ``cancel`` was set.
    """
    cores = max(1, min(usable_cores(), sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()) // len(images))
    runs = [_Run(image, mask, cores) for image, mask in zip(images, masks, strict=True)]
    for run in runs:
        run.start()
    told = 0.0
    try:
        for run in runs:
            while run.is_alive():
                run.join(_SECONDS_BETWEEN_LOOKS)
                if cancel is not None and cancel.is_set():
                    raise Cancelled("Bias correction")
                share = sum(run.watcher.share for run in runs) / len(runs)
                if on_progress is not None and share > told:
                    told = share
                    on_progress(told)
    except BaseException:
        for run in runs:
            run.watcher.ended.set()
        raise
    for run in runs:
        if run.failure is not None:
            raise EngineError(name, f"N4 stopped ({run.failure})", "Give a mask of the tissue.") from run.failure
    return [run.n4.GetLogBiasFieldAsImage(run.image) for run in runs]


class _Run(threading.Thread):
    def __init__(self, image: sitk.Image, mask: sitk.Image, cores: int) -> None:
        super().__init__(name="N4")
        self.image, self._mask = image, mask
        self.n4 = sitk.N4BiasFieldCorrectionImageFilter()
        self.n4.SetMaximumNumberOfIterations([_ITERATIONS] * _LEVELS)
        self.n4.SetNumberOfThreads(cores)
        self.watcher = _Watcher(self.n4)
        self.n4.AddCommand(sitk.sitkIterationEvent, self.watcher)
        self.failure: RuntimeError | None = None

    def run(self) -> None:
        try:
            self.n4.Execute(self.image, self._mask)
        except RuntimeError as error:
            self.failure = error


class _Watcher(sitk.Command):  # type: ignore[misc]
    """Notes the progress after each iteration and ends the filter.

    N4 never looks at the flag that ``Abort`` sets; an exception out of a command does end it.
    """

    def __init__(self, n4: sitk.N4BiasFieldCorrectionImageFilter) -> None:
        super().__init__()
        self._n4 = n4
        self.share = 0.0
        self.ended = threading.Event()

    def Execute(self) -> None:  # noqa: N802 (the name that SimpleITK calls)
        if self.ended.is_set():
            raise Cancelled("Bias correction")
        within = min(1.0, self._n4.GetElapsedIterations() / _ITERATIONS)
        self.share = (self._n4.GetCurrentLevel() + within) / _LEVELS
