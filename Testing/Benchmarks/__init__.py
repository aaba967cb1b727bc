"""What the tool shows against its peers: accuracy, cost, and the worth of its suggested slices.

``make bench`` runs all three; each also runs alone, for instance
``PYTHONPATH=PGTToolkit:Testing python -m Benchmarks.accuracy --subset quick --slices 3``.
"""
