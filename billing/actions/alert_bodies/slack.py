"""What an incoming webhook of Slack is sent: a text, in which nothing pings anybody."""

import json

from billing.actions import alert_messages
from billing.actions.alert_bodies import links
from billing.models import Delivery

# Outside of these three, nothing in a text is more than text to Slack.
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def body(delivery: Delivery) -> bytes:
    alert = delivery.alert
    said = alert_messages.sentence(alert).translate(_ESCAPED)
    text = f"{said}\n<{links.page_of(alert)}|Open Purser> · alert {alert.pk}"
    # A name may hold the characters that make text bold.
    return json.dumps({"text": text, "mrkdwn": False}).encode()
