"""What tasks that another process carries out on nodes have in common."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import vtk

from ..cli.jobs import Context, Job
from ..cli.progress import CallbackPrinter
from ..core.errors import ExitCode, FieldName, InputError, RegistrationError
from .steps import drained, in_turn

# A result is of these, or about them; what else is handed over is not needed once it is written.
_NEEDED = ("fixed", "moving", "original", "resampled")


class ChildJob:
    """A task of the library's command, with nodes instead of files.

    Making one checks the nodes; nothing is written yet. Steps of its generators take some milliseconds.

    Parameters
    ----------
    folder : Path
        An empty folder, which the caller removes.
    nodes : mapping
        The nodes by their roles, None where there is none. They may be removed while the task is carried out.
    """

    result_codes: frozenset[int] = frozenset({ExitCode.DONE})
    """Exit codes of the command with which there is a result."""

    _removed = "it was removed from the scene meanwhile", "Load it and try again; nothing was added to the scene."
    """What is found, and the remedy, where a node is needed that is not there any more."""

    def __init__(self, folder: Path, nodes: Mapping[str, Any]) -> None:
        self._folder = folder
        self._names: dict[str, str] = {}
        self._fields: dict[str, Any] = {}
        self._writers: list[Iterator[float]] = []
        self._nodes = {role: _weak(node) for role, node in nodes.items() if node is not None}
        self.node_names = {role: str(node.GetName()) for role, node in nodes.items() if node is not None}

    def node(self, role: str) -> Any:
        """The node of a role, or None where there is none or it was removed from its scene."""
        node = self._nodes[role].Get() if role in self._nodes else None
        return node if node is not None and node.GetScene() is not None else None

    def check_nodes(self) -> None:
        """See that the nodes the result needs are still there.

        Raises
        ------
        InputError
            One was removed from its scene.
        """
        for role in _NEEDED:
            if role in self._nodes:
                self._present(role)

    def _present(self, role: str) -> Any:
        """The node of a role; InputError where it was removed."""
        node = self.node(role)
        if node is None:
            raise InputError(self.node_names[role], *self._removed)
        return node

    def _file(self, stem: str, suffix: str, *, field: str | None = None, name: str | None = None) -> Path:
        """A file for what a node holds, handed over as a field of the request.

        Messages about it have the name instead: by default that of the node whose role is the stem.
        """
        path = self._folder / f"{stem}{suffix}"
        self._names[str(path)] = self.node_names[stem] if name is None else name
        if field is not None:
            self._fields[field] = str(path)
        return path

    def job(self) -> Job:
        """The request, which writes nothing outside the folder; once everything is written."""
        raise NotImplementedError

    @property
    def arguments(self) -> list[str]:
        """Of the library's command, which carries the job out in another process."""
        path = self._folder / "job.json"
        path.write_text(json.dumps(self.job().content()), encoding="utf-8")
        return ["--events", "run", str(path), "--quiet"]

    def carry_out(self, context: Context) -> None:
        """Carry the task out in this process, up to the files of its result.

        Raises
        ------
        RegistrationError
            As of the command; it names nodes where that names files.
        """
        try:
            drained(self.write())
            printer = CallbackPrinter(
                context.printer.progress, lambda message: context.printer.warning(self.named(message))
            )
            code = self.job().run(replace(context, printer=printer))
            assert code in self.result_codes, "what has no result raises"
        except RegistrationError as error:
            raise self.renamed_error(error) from error

    def run_here(self, context: Context) -> None:
        """Carry it out, and read the result."""
        self.carry_out(context)
        try:
            drained(self.read())
        except BaseException:
            self.withdraw()
            raise

    def renamed_error(self, error: RegistrationError) -> RegistrationError:
        """An error of the command with the names of the nodes instead of those of the files."""
        error.found, error.remedy = self.named(error.found), self.named(error.remedy)
        return error.about(error.subject if isinstance(error.subject, FieldName) else self.named(error.subject))

    def write(self) -> Iterator[float]:
        """Write the files.

        Yields
        ------
        float
            How much is written, 0 to 1; a step takes some milliseconds.
        """
        yield from in_turn(self._writers)
        # The voxels are not needed any more.
        self._writers.clear()

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


def _weak(node: Any) -> Any:
    """A reference that does not keep a node alive; its method Get gives the node, or None."""
    reference = vtk.vtkWeakReference()
    reference.Set(node)
    return reference
