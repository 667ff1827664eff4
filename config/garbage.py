"""How often a process looks for garbage."""

import gc


def collect_seldom() -> None:
    """For a process that has loaded its code, and now handles batches of records.

    A batch is thousands of objects in no cycle: they go with their last reference, and
    looking through them for cycles, as often as is usual, costs a sixth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
