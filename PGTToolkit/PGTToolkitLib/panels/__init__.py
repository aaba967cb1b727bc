"""Qt panels of the modules."""
