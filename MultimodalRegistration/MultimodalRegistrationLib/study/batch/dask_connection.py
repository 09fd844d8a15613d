"""A connection to a Dask scheduler: made, lost, and made again."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ...core.errors import EngineError, InputError, install_remedy

__all__ = [
    "LostError",
    "answer_of",
    "briefly",
    "check_scheduler",
    "client_again",
    "dask_of",
    "first_client",
    "losses",
]

_PATIENCE_SECONDS = 300.0
_BETWEEN_TRIALS_SECONDS = 1.0
_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 30.0
_CLOSE_SECONDS = 1.0

T = TypeVar("T")


class LostError(Exception):
    """The scheduler does not answer, or has forgotten what it was told."""


def dask_of(scheduler: str) -> Any:
    """Dask's module ``distributed``, for an address that may be one of a scheduler.

    Raises
    ------
    InputError
        It is not installed, or the address is of another kind.
    """
    try:
        parts = urlsplit(scheduler)
        good = parts.scheme in ("tcp", "tls") and parts.hostname and parts.port
    except ValueError:
        good = False
    if not good:
        raise InputError("--scheduler", f"{scheduler!r} was given", "Give tcp://HOST:PORT or tls://HOST:PORT.")
    try:
        import distributed
    except ImportError as error:
        raise InputError(
            "The Python package distributed (Dask)",
            f"it is missing ({error})",
            install_remedy("distributed>=2025.1"),
        ) from error
    return distributed


def check_scheduler(scheduler: str) -> None:
    """See that a scheduler answers.

    Raises
    ------
    InputError
        It does not, or as of :func:`dask_of`.
    """

    async def check() -> None:
        await briefly((await first_client(distributed, scheduler)).close())

    distributed = dask_of(scheduler)
    asyncio.run(check())


async def first_client(distributed: Any, scheduler: str) -> Any:
    """A client of a scheduler that must be there.

    Raises
    ------
    InputError
        It is not.
    """
    try:
        return await _new_client(distributed, scheduler)
    except LostError as error:
        raise InputError(
            scheduler,
            f"no Dask scheduler can be reached there ({error})",
            "Start one (`dask scheduler`), or check the address.",
        ) from error


async def client_again(distributed: Any, scheduler: str, why: LostError, tell: Callable[[str], None]) -> Any:
    """A client of a scheduler that was lost, which may take some minutes to come back.

    Parameters
    ----------
    distributed : module
        Dask's.
    scheduler : str
        Its address.
    why : LostError
        What was found.
    tell : callable
        Called with a sentence.

    Raises
    ------
    EngineError
        It did not come back.
    """
    minutes = f"{_PATIENCE_SECONDS / 60:g} min"
    tell(f"The scheduler at {scheduler} was lost ({why}). It is tried again for {minutes}.")
    ends = time.monotonic() + _PATIENCE_SECONDS
    while True:
        await asyncio.sleep(_BETWEEN_TRIALS_SECONDS)
        try:
            client = await _new_client(distributed, scheduler)
        except LostError as error:
            if time.monotonic() > ends:
                raise EngineError(
                    f"The Dask scheduler at {scheduler}",
                    f"it went away and did not come back within {minutes} ({error})",
                    "What was done stays. Start it again, then go on with --resume.",
                ) from error
        else:
            tell(f"The scheduler at {scheduler} is back.")
            return client


async def _new_client(distributed: Any, scheduler: str) -> Any:
    # It opens no port and starts nothing: an address is given.
    client = distributed.Client(scheduler, asynchronous=True, set_as_default=False, timeout=_CONNECT_SECONDS)
    try:
        with losses():
            # Dask's own limit does not hold for a program that listens and says nothing.
            return await asyncio.wait_for(client, _CONNECT_SECONDS + _CLOSE_SECONDS)
    except MemoryError as error:
        # The first bytes of another protocol, taken for a length.
        raise LostError("what listens there is no Dask scheduler") from error
    except TypeError as error:
        raise InputError(
            scheduler, str(error), "Give Dask the certificates (DASK_DISTRIBUTED__COMM__TLS__...), or use tcp://."
        ) from error
    finally:
        if client.status != "running":
            await briefly(client.close())


@contextmanager
def losses() -> Iterator[None]:
    """What Dask raises where the scheduler does not answer, in one error."""
    try:
        yield
    except (OSError, TimeoutError, asyncio.TimeoutError, concurrent.futures.CancelledError) as error:
        raise LostError(str(error) or type(error).__name__) from error


async def answer_of(client: Any, ask: Callable[[], Awaitable[T]]) -> T:
    """What the scheduler answers.

    Raises
    ------
    LostError
        It does not.
    """
    if client.status != "running":
        raise LostError(f"the connection is {client.status}")
    with losses():
        return await asyncio.wait_for(ask(), _ANSWER_SECONDS)


async def briefly(call: Awaitable[Any]) -> None:
    """Say good-bye. Whoever cannot answer has nothing to end, or ends it when the mark of the run is gone."""
    with suppress(Exception):
        await asyncio.wait_for(call, _CLOSE_SECONDS)
