"""What tasks that another process carries out on nodes have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import vtk

__all__ = ["ChildJob", "weak"]


class ChildJob:
    """A task of the library's command, with nodes instead of files.

    Making one checks the nodes; nothing is written yet. Steps of its generators take some milliseconds.

    Parameters
    ----------
    folder : Path
        An empty folder, which the caller removes.
    """

    result_codes = frozenset({0})
    """Exit codes of the command with which there is a result."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, str] = {}

    @property
    def arguments(self) -> list[str]:
        """Of the command, which writes nothing outside the folder."""
        raise NotImplementedError

    def write(self) -> Iterator[float]:
        """Write the files.

        Yields
        ------
        float
            How much is written, 0 to 1.
        """
        raise NotImplementedError

    def read(self) -> Iterator[float]:
        """Read the result.

        Yields
        ------
        float
            How much is read, 0 to 1.
        """
        raise NotImplementedError

    def withdraw(self) -> None:
        """Remove what :meth:`read` added to a scene, if it adds anything: the run was cancelled, or failed."""

    def named(self, text: str) -> str:
        """A text of the command with the names of the nodes instead of those of the files."""
        for path, name in self._names.items():
            text = text.replace(path, name)
        return text

    def renamed(self, content: Any) -> Any:
        """JSON content with every text in it renamed like that."""
        if isinstance(content, str):
            return self.named(content)
        if isinstance(content, dict):
            return {key: self.renamed(value) for key, value in content.items()}
        if isinstance(content, list):
            return [self.renamed(value) for value in content]
        return content


def weak(node: Any) -> Any:
    """A reference that does not keep a node alive; its method Get gives the node, or None."""
    reference = vtk.vtkWeakReference()
    reference.Set(node)
    return reference
