"""Files that are carried from one volume to the other, and where they go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..io.outputs import OutputFiles, output_folder, writing
from ..io.volumes import OUTPUT_VOLUME_SUFFIXES
from ..transforms.apply import Plan, carry_file, lost_words, output_name

__all__ = ["Carried", "plan_carried"]


@dataclass(frozen=True)
class Carried:
    """Files that ride along.

    Parameters
    ----------
    folder : Path
        Where the user finds them.
    files : tuple of (str, str, Path)
        Of each its input, its name in that folder, and where it is written until the run is done.
    """

    folder: Path
    files: tuple[tuple[str, str, Path], ...]

    @property
    def targets(self) -> list[Path]:
        """Where the user finds each file."""
        return [self.folder / name for _, name, _ in self.files]

    @property
    def has_volumes(self) -> bool:
        """Whether one of them needs a grid."""
        return any(name.lower().endswith(OUTPUT_VOLUME_SUFFIXES) for _, name, _ in self.files)

    def write(
        self, plan: Plan, on_warning: Callable[[str], None], on_file: Callable[[str, float], None] | None = None
    ) -> list[dict[str, Any]]:
        """Carry them.

        Parameters
        ----------
        plan : Plan
            How.
        on_warning : callable
            Told of points that have no place.
        on_file : callable, optional
            Told of each input and the share that is done before it.

        Returns
        -------
        list of dict
            What was done with each, ready for JSON.
        """
        done = []
        for number, (source, name, target) in enumerate(self.files):
            if on_file is not None:
                on_file(source, number / len(self.files))
            with writing(self.folder / name):
                one = carry_file(source, target, plan)
            if one.lost:
                on_warning(lost_words(source, one))
            done.append({"input": source, "output": str(self.folder / name), **asdict(one)})
        return done


def plan_carried(sources: Sequence[str], folder: str, outputs: OutputFiles) -> Carried:
    """Check the files and where they go.

    Parameters
    ----------
    sources : sequence of str
        What to carry.
    folder : str
        New or empty.
    outputs : OutputFiles
        Gets them.

    Raises
    ------
    InputError
        A file that cannot be carried, or a folder that cannot be used.
    """
    names = [output_name(source) for source in sources]
    path = output_folder(folder)
    targets = [outputs.add(path / name, (name[name.index(".") :].lower(),)) for name in names]
    return Carried(path, tuple(zip(sources, names, targets, strict=True)))
