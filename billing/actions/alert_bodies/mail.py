"""The e-mail of an alert: text, and the same as HTML, with a picture of the figures."""

from dataclasses import dataclass
from email.mime.image import MIMEImage
from email.utils import parseaddr
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from billing.actions import alert_messages
from billing.actions.alert_bodies import links
from billing.actions.alert_messages import printable
from billing.charts.drawing import WIDTH, Picture
from billing.models import Alert, Delivery

_PICTURE = "figures"


@dataclass(frozen=True, slots=True)
class Letter:
    """All that is said, read from the database; it is put into shape without it."""

    to: str
    uid: UUID
    subject: str
    said: dict[str, Any]

    def message(self, picture: Picture | None, png: bytes | None) -> EmailMultiAlternatives:
        """The e-mail, not sent yet. Its Message-ID is the same at any time.

        Without `png` the picture is told in words alone.
        """
        said = self.said | {
            "words": printable(picture.words) if picture else "",
            "cid": _PICTURE if png else "",
            "width": WIDTH,
        }
        message = _Message(
            subject=f"[Purser] {self.subject}",
            body=render_to_string("billing/mail/alert.txt", said),
            to=[self.to],
            headers={
                "Message-ID": f"<{self.uid.hex}@{_domain()}>",
                # Out-of-office replies are not wanted.
                "Auto-Submitted": "auto-generated",
            },
        )
        html = render_to_string("billing/mail/alert.html", said)
        message.attach_alternative(html, "text/html")
        if png:
            message.attach(_image(png))
        return message


class _Message(EmailMultiAlternatives):
    """What is attached belongs to the HTML, and is no file to be saved."""

    mixed_subtype = "related"


def letter(delivery: Delivery) -> Letter:
    alert = delivery.alert
    return Letter(
        to=delivery.channel.address,
        uid=delivery.message_id,
        subject=alert_messages.subject(alert),
        said={
            "sentence": alert_messages.sentence(alert),
            "level": _level(alert),
            "refuses": _refuses(alert),
            "cause": _cause(alert),
            "failed": _failed(delivery.instead_of),
            "rows": _rows(alert),
            "url": links.page_of(alert),
        },
    )


def _rows(alert: Alert) -> list[tuple[str, str]]:
    """What stands below the sentence, name by name."""
    rows = [("Organization", printable(alert.organization.name))]
    crossing = alert.crossing
    if alert.details.get("why"):
        rows.append(("Why", printable(alert.details["why"])))
    if crossing is None:
        return [*rows, ("Alert", str(alert.pk))]
    its = crossing.budget.window.shown_on(crossing.period_start)
    named = f"{alert.pk}, of budget {alert.budget_id} in its revision {crossing.revision}"
    return [
        *rows,
        ("Period", f"from {its.first} until before {its.until}"),
        ("Alert", named),
    ]


_NEWS = (
    Alert.Kind.TEST,
    Alert.Kind.RAISE_REQUEST,
    Alert.Kind.ESTIMATE,
    Alert.Kind.REVIEW_DUE,
    Alert.Kind.PRICE_CHANGE,
)


def _level(alert: Alert) -> str:
    """How bad it is, as the pages colour it."""
    if alert.kind in _NEWS:
        return "news"
    return "over" if alert.kind == Alert.Kind.CAP_REACHED else "risk"


def _refuses(alert: Alert) -> bool:
    """Whether nothing more may be spent."""
    crossing = alert.crossing
    if crossing is None or alert.kind != Alert.Kind.CAP_REACHED:
        return False
    return alert_messages.is_hard(crossing)


def _cause(alert: Alert) -> str:
    rerate = alert.rerate
    return f"{rerate} ({printable(rerate.reason)})" if rerate else ""


def _failed(dead: Delivery | None) -> str:
    """Which channel this e-mail stands in for, and why."""
    if dead is None:
        return ""
    channel = dead.channel
    name = f"{channel.get_kind_display()} ({printable(channel.shown_place)})"
    return f"{name} was to say this and could not: {printable(dead.last_error)}."


def _image(png: bytes) -> MIMEImage:
    image = MIMEImage(png, "png")
    image.add_header("Content-ID", f"<{_PICTURE}>")
    image.add_header("Content-Disposition", "inline", filename=f"{_PICTURE}.png")
    return image


def _domain() -> str:
    address = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    return address.rpartition("@")[2] or "localhost"
