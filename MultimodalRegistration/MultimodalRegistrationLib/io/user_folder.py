"""The folder that holds what belongs to the user: presets and installed engines."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["user_folder"]


def user_folder() -> Path:
    """Folder of the user's data: ``MULTIMODAL_REGISTRATION_HOME`` if set, else one in the home folder.

    It is outside the extension, so updating or removing the extension leaves it alone.
    """
    override = os.environ.get("MULTIMODAL_REGISTRATION_HOME")
    return Path(override) if override else Path.home() / ".multimodal-registration"
