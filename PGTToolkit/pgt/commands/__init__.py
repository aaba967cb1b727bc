"""The commands of ``pgt``, one a file, and what they share. They import what is heavy only when they run."""
