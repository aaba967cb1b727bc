"""``python -m pgt`` is the same as ``pgt``."""

from pgt.cli import main

if __name__ == "__main__":
    main()
