"""Breaking a real Purser on purpose, and holding what it did against what it promised.

`service` runs the real processes, `faults` breaks them, `load` posts and remembers what
was acknowledged, `oracle` says what should have come of it, `director` brings these
together. `python -m tests.chaos` is a run of its own; tests/journeys uses the parts.
"""
