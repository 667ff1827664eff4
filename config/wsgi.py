"""The web process: role `app`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("DATABASE_ROLE", "app")

from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

from config import garbage
from config.door import DOOR, DoorHandler

_every_other = get_wsgi_application()
_door = DoorHandler()


def application(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    handler = _door if environ["PATH_INFO"] == DOOR else _every_other
    return handler(environ, start_response)


garbage.collect_seldom()
