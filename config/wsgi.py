"""The web process: role `app`."""

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("DATABASE_ROLE", "app")

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from config import garbage
from config.door import DoorHandler, is_door

_every_other = get_wsgi_application()
_door = DoorHandler()


def application(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    environ["CONTENT_TYPE"] = _without_charset(environ.get("CONTENT_TYPE", ""))
    _await_body(environ)
    handler = _door if is_door(environ["PATH_INFO"]) else _every_other
    return handler(environ, start_response)


def _without_charset(content_type: str) -> str:
    """All text is UTF-8, whatever charset a client names.

    Django looks the named codec up before anything of ours runs, and fails on one that
    is no text (`bz2_codec`). The boundary of a form is the only parameter that is used.
    """
    kind, *parameters = content_type.split(";")
    used = [one for one in parameters if one.strip().lower().startswith("boundary=")]
    return ";".join([kind, *used])


def _await_body(environ: dict[str, Any]) -> None:
    """Read the body before anything else; one that is too long is refused unread.

    The server hands a request over before its body has come: a slow client shall keep a
    thread waiting, of which there are many, and not a connection to the database.
    """
    length = environ.get("CONTENT_LENGTH", "")
    if length.isdecimal() and int(length) <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(int(length)))


garbage.collect_seldom()
# A thread that waits for the database has its turn soon, beside one that reads a batch.
sys.setswitchinterval(0.0005)
