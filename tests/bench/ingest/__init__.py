"""How much usage a whole Purser takes in: `python -m tests.bench.ingest`."""
