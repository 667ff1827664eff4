"""Where a person sees more of an alert."""

from urllib.parse import urljoin

from django.conf import settings
from django.urls import reverse

from billing.models import Alert


def page_of(alert: Alert) -> str:
    """The page of its team, else the first one."""
    path = reverse("team", args=[alert.team.slug]) if alert.team else reverse("home")
    return str(urljoin(settings.PUBLIC_URL, path))
