"""Where a person sees more of an alert."""

from urllib.parse import urljoin

from django.conf import settings
from django.urls import reverse

from billing.models import Alert


def page_of(alert: Alert) -> str:
    """The page of a raise, or of its team, else the first one.

    In the organization of the alert, where somebody is in several.
    """
    if alert.kind == Alert.Kind.RAISE_REQUEST:
        path = reverse("raise", args=[alert.details["raise"]])
        path = f"{path}?organization={alert.organization.slug}"
        return str(urljoin(settings.PUBLIC_URL, path))
    path = reverse("team", args=[alert.team.slug]) if alert.team else reverse("home")
    return str(urljoin(settings.PUBLIC_URL, path))
