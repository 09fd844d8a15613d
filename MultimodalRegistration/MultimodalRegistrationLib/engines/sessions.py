"""Running engines by name, for everything that a run, or one run after the other, needs."""

from __future__ import annotations

from types import TracebackType

from .session import EngineSession

__all__ = ["EngineSessions"]


class EngineSessions:
    """Engines that start when they are first asked for and stay.

    Parameters
    ----------
    threads : int, optional
        For each engine; by default as many as leave the result reproducible.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self._running: dict[str, EngineSession] = {}

    def __enter__(self) -> EngineSessions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all engines."""
        for session in self._running.values():
            session.close()

    def of(self, engine: str) -> EngineSession:
        """The running engine; a new one where the last one died, which takes no more jobs.

        Raises
        ------
        EngineNotInstalledError
            The engine is not installed.
        """
        session = self._running.get(engine)
        if session is None or session.closed:
            session = self._running[engine] = EngineSession(engine, threads=self.threads)
        return session

    def has_died(self, engine: str) -> bool:
        """Whether the process of an engine ended by itself, and nobody has asked for a new one."""
        session = self._running.get(engine)
        return session is not None and session.closed
