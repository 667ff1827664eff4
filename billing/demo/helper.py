"""A second process that posts for some teams, so that two cores seed the demo.

It is started anew (not forked: the driver's libraries do not bear that everywhere) and
ends with its parent, however that ends.
"""

import gc
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread

import django


@contextmanager
def second_process() -> Iterator[ProcessPoolExecutor]:
    """Takes work until the block ends, one piece after the other."""
    _look_for_no_cycles()
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_start)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _start() -> None:
    _look_for_no_cycles()
    Thread(target=_end_with_parent, daemon=True).start()
    django.setup()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _look_for_no_cycles() -> None:
    """Or seldom: a batch is many small objects without any, and a tenth of the time."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
