"""Run the command line as ``python -m MultimodalRegistrationLib``."""

import sys

from MultimodalRegistrationLib.cli.main import main

sys.exit(main())
