"""Where services post usage, thousands of times a second, and ask before they spend."""

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

_DOORS = frozenset({"/api/v1/usage", "/api/v1/holds", "/api/v1/budgets/verdict"})
_HOLD = "/api/v1/holds/"


def is_door(path: str) -> bool:
    return path in _DOORS or path.startswith(_HOLD)


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
