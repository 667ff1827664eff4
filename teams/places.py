"""Places that are few and come free with time: how often something may be done."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.cache import cache
from django.utils.crypto import salted_hmac


@dataclass(frozen=True, slots=True)
class Places:
    """For one purpose (`sign-in`) so many of one person, address or other thing. Each is
    free again after so long, or when it is given back."""

    purpose: str
    of: str
    count: int
    free_after: timedelta

    def claim(self, now: datetime) -> str | None:
        """The key of a free place, now taken; None when there is none.

        To add a key is one statement of the database: of two attempts at once one gets
        the place.
        """
        keys = self._keys()
        taken = cache.get_many(keys)
        free = (key for key in keys if key not in taken)
        until, seconds = (
            (now + self.free_after).isoformat(),
            self.free_after.total_seconds(),
        )
        return next((key for key in free if cache.add(key, until, seconds)), None)

    def next_free(self, now: datetime) -> datetime:
        taken = cache.get_many(self._keys()).values()
        return min(map(datetime.fromisoformat, taken), default=now)

    def _keys(self) -> list[str]:
        # What was typed is not to be read in the cache: it may be a password.
        salt = f"purser.{self.purpose}"
        digest = salted_hmac(salt, self.of, algorithm="sha256").hexdigest()
        return [f"{self.purpose}:{digest}:{place}" for place in range(self.count)]


def give_back(keys: list[str]) -> None:
    cache.delete_many(keys)
