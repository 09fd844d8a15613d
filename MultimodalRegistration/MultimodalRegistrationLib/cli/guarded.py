"""Whatever may go wrong in a command, as one of this project's errors."""

from __future__ import annotations

from collections.abc import Callable

from ..core.errors import Cancelled, EngineError, InputError, RegistrationError

__all__ = ["run_guarded"]


def run_guarded(run: Callable[[], int]) -> int | RegistrationError:
    """Run a command: its exit code, or why it ended without one."""
    try:
        return int(run())
    except RegistrationError as error:
        return error
    except KeyboardInterrupt:
        return Cancelled()
    except MemoryError as error:
        return EngineError("Memory", f"used up ({error})", "Crop or downsample the volumes first.")
    except OSError as error:
        name = error.filename or "A file"
        return InputError(name, f"cannot be read or written ({error.strerror})", "Check its rights and the disk.")
