"""The child process that installs packages: pip, which dies with the supervisor.

``python -m MultimodalRegistrationLib.engines.pip_process install ...`` takes the arguments of pip.
"""

from __future__ import annotations

import runpy

from .worker import join_supervisor

if __name__ == "__main__":
    join_supervisor()
    runpy.run_module("pip", run_name="__main__", alter_sys=True)
