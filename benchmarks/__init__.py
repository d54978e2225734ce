"""Measures neopulse against the floor and against its peers: `make bench`; see benchmarks/README.md."""
