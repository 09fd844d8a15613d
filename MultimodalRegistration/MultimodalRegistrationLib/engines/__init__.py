"""Registration engines, each run in a child process.

==================  ==========================================================================
``catalogue``       which engines there are, and which of them are installed
``session``         the side of this process: start, hand over, progress, cancel, result
``supervisor``      a small process between the two that cleans up whatever happens
``worker``          the child: loads one engine and runs jobs
``run_<engine>``    one engine's run, inside the child
``handover``        volumes and jobs as files between the two
``logs``            what the engine prints, read as progress
``failures``        what the engine prints when it fails, read as cause and remedy
==================  ==========================================================================
"""
