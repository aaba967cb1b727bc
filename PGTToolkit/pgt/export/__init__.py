"""Finished cases for those who train and archive: label files, data sets, provenance, checksums."""
