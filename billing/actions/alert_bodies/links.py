"""Where a person sees more of an alert."""

from urllib.parse import urljoin

from django.conf import settings
from django.urls import reverse

from billing.models import Alert


def page_of(alert: Alert) -> str:
    """The alert's own, in its organization, where somebody is in several."""
    path = reverse("alert-details", args=[alert.pk])
    path = f"{path}?organization={alert.organization.slug}"
    return str(urljoin(settings.PUBLIC_URL, path))
