"""How fast holds are, and whether they keep the caps: `python -m tests.bench.holds`."""
