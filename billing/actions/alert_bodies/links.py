"""Where a person sees more of an alert."""

from urllib.parse import urlencode, urljoin

from django.conf import settings
from django.urls import reverse

from billing.models import Alert


def page_of(alert: Alert) -> str:
    """Its own, or that of the raise, the estimate or the review that it is about.

    In the organization of the alert, where somebody is in several.
    """
    if alert.kind == Alert.Kind.RAISE_REQUEST:
        path = reverse("raise", args=[alert.details["raise"]])
    elif alert.kind == Alert.Kind.ESTIMATE:
        path = reverse("estimate", args=[alert.details["estimate"]])
    elif alert.kind == Alert.Kind.REVIEW_DUE:
        path = reverse("review", args=[alert.details["review"]])
    else:
        path = reverse("alert-details", args=[alert.pk])
    query = urlencode({"organization": alert.organization.slug})
    return f"{urljoin(settings.PUBLIC_URL, path)}?{query}"
