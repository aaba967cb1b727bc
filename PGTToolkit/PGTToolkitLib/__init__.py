"""The Slicer side of PGT Toolkit: between MRML and :mod:`pgt`. Only `PGTToolkitLib.panels` knows Qt."""
