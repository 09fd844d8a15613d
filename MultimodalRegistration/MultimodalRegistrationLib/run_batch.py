"""A study without a window, always with an exit code.

    Slicer --no-main-window --python-script .../MultimodalRegistrationLib/run_batch.py STUDY.json --output-dir D

Takes the options of ``multimodal-registration batch`` and runs the same code; without Slicer, any Python that has the
packages runs it as well. Slicer itself would stay open after an error.
"""

import sys
import traceback
from pathlib import Path

# As ExitCode.UNEXPECTED, which a broken installation may not have.
_UNEXPECTED = 1


def _run() -> int:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    try:
        from MultimodalRegistrationLib.cli.main import main

        return main(["batch", *sys.argv[1:]])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else _UNEXPECTED
    except BaseException:
        traceback.print_exc()
        return _UNEXPECTED


if __name__ == "__main__":
    sys.exit(_run())
