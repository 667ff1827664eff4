"""Tasks are hints: spent when they start, short, and on a queue that somebody reads."""

from collections.abc import Iterator
from typing import Any

from celery import Celery, Task


def complaints(app: Celery, visibility_timeout: int) -> list[str]:
    """`visibility_timeout`: after how many seconds the broker hands a message on again."""
    found = [*_of_results(app), *_of_limits(app.conf, visibility_timeout)]
    for name, task in sorted(_tasks(app).items()):
        found += [f"{name} {sentence}" for sentence in _of_task(app, task)]
    for title, entry in app.conf.beat_schedule.items():
        if entry["task"] not in app.tasks:
            found.append(f"beat's {title!r} names no task: {entry['task']}")
    return found


def _tasks(app: Celery) -> dict[str, Task[..., Any]]:
    return {name: task for name, task in app.tasks.items() if name[:7] != "celery."}


def _of_results(app: Celery) -> Iterator[str]:
    if app.conf.result_backend:
        yield "results are kept"
    if app.conf.task_serializer != "json" or list(app.conf.accept_content) != ["json"]:
        yield "messages may be other than JSON"


def _of_limits(conf: Any, visibility_timeout: int) -> Iterator[str]:
    hard = conf.task_time_limit
    if not hard:
        yield "a task may run for ever"
    elif hard >= visibility_timeout:
        yield f"a task may run for {hard} s, and its message comes again meanwhile"
    if conf.task_soft_time_limit:
        yield "an exception may be thrown into the middle of a batch"


def _of_task(app: Celery, task: Task[..., Any]) -> Iterator[str]:
    if task.acks_late:
        yield "is acknowledged late: a killed worker's message comes again"
    if not task.ignore_result:
        yield "keeps its result"
    limits = (app.conf.task_time_limit, app.conf.task_soft_time_limit)
    if (task.time_limit, task.soft_time_limit) != limits:
        yield "has limits of its own"
    queue = app.amqp.router.route({}, task.name)["queue"].name
    if queue not in {declared.name for declared in app.conf.task_queues or ()}:
        yield f"goes to {queue}, which no worker reads"
