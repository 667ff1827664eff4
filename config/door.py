"""Where services post usage, thousands of times a second."""

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

DOOR = "/api/v1/usage"


class DoorHandler(WSGIHandler):
    """Django without what only pages need: sessions, cookies, forms, a content policy.

    They take an eighth of the time of a request that posts one record.
    """

    def load_middleware(self, is_async: bool = False) -> None:
        of_pages = settings.MIDDLEWARE
        # Read once, here; everybody else asks for the full list.
        settings.MIDDLEWARE = settings.DOOR_MIDDLEWARE
        try:
            super().load_middleware(is_async)
        finally:
            settings.MIDDLEWARE = of_pages
