"""The Celery app and its schedule. Worker and beat have the role `worker`.

A message is a hint that work may be waiting; the work itself stands in the database.
So nothing is lost with a message, and a missed beat is made up by the next one.
"""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("DATABASE_ROLE", "worker")

from typing import Any

from celery import Celery
from celery.schedules import crontab
from celery.signals import worker_ready
from django.conf import settings
from kombu import Exchange, Queue

from config import databases, garbage
from config.heartbeat import Heartbeat


def _transport_options() -> dict[str, Any]:
    if not settings.CELERY_BROKER_URL.startswith("pgmq:"):
        return {}
    # The PGMQ client rebuilds the connection string and drops what it does not know. The
    # role, the timeouts and TLS reach its connections through libpq's own variables.
    os.environ |= databases.libpq_variables(settings.DATABASES["default"])
    return {
        "conn_string": databases.dsn(settings.DATABASES["default"]),
        "init_extension": False,
        # Polled, not notified: a notification is a trigger on the queue's table, made
        # anew at each connection, and that waits for whoever reads the table (a dump).
        "use_notify": False,
        "wait_time_seconds": 0,
        "polling_interval": 0.25,
        # Longer than any task may take, so that no message runs twice at once.
        "visibility_timeout": 120,
        "pool_size": 4,
    }


app = Celery("purser")
app.conf.update(
    broker_url=settings.CELERY_BROKER_URL,
    broker_transport_options=_transport_options(),
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    # A hint is spent when its task starts: a killed worker loses the hint, not the work,
    # and the next beat is at most a second away.
    task_acks_late=False,
    # Holds in a pool with a parent; in `solo` (docs/adr/0017) each task ends by itself.
    task_time_limit=60,
    # Each with an exchange and a key of its own: on a shared one every queue would get
    # every message.
    task_queues=[
        Queue(name, Exchange(name), name) for name in ("count", "deliver", "upkeep")
    ],
    task_default_queue="upkeep",
    task_routes={
        "billing.tasks.count_postings": {"queue": "count"},
        "billing.tasks.deliver_alerts": {"queue": "deliver"},
    },
    # Larger than the pool, or the PGMQ transport drains only as fast as it polls.
    worker_prefetch_multiplier=2,
    # Reply queues would need names longer than PGMQ allows.
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_max_tasks_per_child=5000,
    timezone="UTC",
    beat_scheduler="config.beat:OneTickScheduler",
    beat_max_loop_interval=1,
    beat_schedule={
        "count postings": {"task": "billing.tasks.count_postings", "schedule": 1.0},
        "deliver alerts": {"task": "billing.tasks.deliver_alerts", "schedule": 1.0},
        "say all is well": {"task": "billing.tasks.say_all_is_well", "schedule": 60.0},
        "evaluate budgets": {"task": "billing.tasks.evaluate_budgets", "schedule": 60.0},
        "say unpriced": {"task": "billing.tasks.say_unpriced", "schedule": 60.0},
        "watch": {"task": "billing.tasks.watch", "schedule": 60.0},
        "watch spend": {
            "task": "billing.tasks.watch_spend",
            "schedule": crontab(minute="*/15"),
        },
        # Before the rule that says so.
        "open reviews": {
            "task": "billing.tasks.open_reviews",
            "schedule": crontab(minute="9"),
        },
        "watch prices": {
            "task": "billing.tasks.watch_prices",
            "schedule": crontab(minute="11"),
        },
        "go on rerating": {"task": "billing.tasks.go_on_rerating", "schedule": 3.0},
        "retry unpriced": {"task": "billing.tasks.retry_unpriced", "schedule": 60.0},
        "keep partitions": {
            "task": "billing.tasks.keep_partitions",
            "schedule": crontab(minute="7"),
        },
        "verify ledger": {
            "task": "billing.tasks.verify_ledger",
            "schedule": crontab(minute="5"),
        },
        "measure forecasts": {
            "task": "billing.tasks.measure_forecasts",
            "schedule": crontab(minute="17"),
        },
        "forget holds": {
            "task": "billing.tasks.forget_holds",
            "schedule": crontab(minute="37"),
        },
        "propose rates": {
            "task": "billing.tasks.propose_rates",
            "schedule": crontab(hour="5", minute="23"),
        },
    },
)
app.steps["consumer"].add(Heartbeat)
app.autodiscover_tasks()


@worker_ready.connect
def _collect_seldom(**kwargs: Any) -> None:
    garbage.collect_seldom()
