"""Multimodal image registration for 3D Slicer, usable without the application.

The library has four layers; imports only point downward (``Testing/Python/test_layers.py``):

1. ``geometry``, ``io``, ``presets``, ``engines``, ``registration``, ``pictures``, ``cli``:
   numpy, SimpleITK and files.
2. ``mrml``: MRML nodes in an explicit scene.
3. ``application``: the Slicer application.
4. ``panels``: Qt widgets.

Coordinates are patient coordinates in millimetres. Files and engines use LPS, MRML nodes use RAS;
:mod:`MultimodalRegistrationLib.geometry.frames` is the only place that converts.
"""

__version__ = "0.1.0"
