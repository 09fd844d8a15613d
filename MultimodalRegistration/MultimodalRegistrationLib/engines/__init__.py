"""Registration engines, each run in a child process.

==================  ==========================================================================
``catalogue``       which engines there are, and which of them are installed
``installation``    what an engine needs, and installing it into a folder of its own
``session``         the side of this process: start, hand over, progress, cancel, result
``supervisor``      a small process between the two that cleans up whatever happens
``supervised``      starting a child process under the supervisor
``worker``          the child: loads one engine and runs jobs
``pip_process``     another child: installs packages
``run_<engine>``    one engine's run, inside the child
``handover``        volumes and jobs as files between the two
``logs``            what the engine prints, read as progress
``failures``        what the engine prints when it fails, read as cause and remedy
==================  ==========================================================================
"""
