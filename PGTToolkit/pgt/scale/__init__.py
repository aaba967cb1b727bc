"""Whole lists of cases, on this machine's cores or GPUs or on a Dask cluster."""
