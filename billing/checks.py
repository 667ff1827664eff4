"""What `manage.py check` says of the settings, and `check --deploy` besides."""

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register


@register()
def limits_let_something_through(**kwargs: Any) -> list[CheckMessage]:
    return [
        Error(f"{name} has to be 1 or more.", id="billing.E002")
        for name in ("RATE_LIMIT", "BACKLOG_LIMIT")
        if getattr(settings, name) < 1
    ]


@register(Tags.security, deploy=True)
def nothing_private_is_called(**kwargs: Any) -> list[CheckMessage]:
    """In production no webhook may reach what only this server can reach."""
    if not settings.OUTGOING_ALLOW:
        return []
    return [
        Error(
            "OUTGOING_ALLOW lets webhooks reach private addresses, without TLS.",
            hint="It is for development: unset it.",
            id="billing.E001",
        )
    ]


@register(Tags.security, deploy=True)
def e_mails_leave(**kwargs: Any) -> list[CheckMessage]:
    """In production an alert that ends in a file warns nobody."""
    if settings.EMAIL_URL:
        return []
    return [
        checks.Warning(
            "EMAIL_URL is not set: alerts by e-mail are written to files, in"
            " PURSER_HOME/mail, and reach nobody.",
            hint="Set EMAIL_URL to a mail server.",
            id="billing.W001",
        )
    ]
