"""Where a person sees more of an alert."""

from urllib.parse import urlencode, urljoin

from django.conf import settings
from django.urls import reverse

from billing.models import Alert


def page_of(alert: Alert) -> str:
    """Its own page, in its organization: some people are in several."""
    path = reverse("alert-details", args=[alert.pk])
    query = urlencode({"organization": alert.organization.slug})
    return f"{urljoin(settings.PUBLIC_URL, path)}?{query}"
