"""The core of PGT Toolkit: volumes, sparse annotation, planning, propagation. Runs without Slicer.

Importing this package costs nothing: every submodule is imported from where it lives.
"""

__version__ = "0.1.0"
