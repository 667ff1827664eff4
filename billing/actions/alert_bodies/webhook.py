"""The headers that sign what a webhook is sent (Standard Webhooks)."""

from datetime import datetime

from billing.connectors import standard_webhooks
from billing.models import Delivery


def signed(delivery: Delivery, body: bytes, *, at: datetime) -> dict[str, str]:
    return standard_webhooks.headers(
        message=standard_webhooks.message_id(delivery.message_id),
        at=at,
        body=body,
        secrets=delivery.channel.secrets(at),
    )
