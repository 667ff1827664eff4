"""Signatures, checked with the specification's own library."""

import base64
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from billing.connectors import standard_webhooks

UID = UUID("0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b")
BODY = json.dumps({"type": "alert.fired", "name": "Zürich"}).encode()
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def now() -> datetime:
    """The library reads the clock itself."""
    return datetime.now(UTC)  # noqa: TID251


def signed(at: datetime, *secrets: str, body: bytes = BODY) -> dict[str, str]:
    message = standard_webhooks.message_id(UID)
    return standard_webhooks.headers(message=message, at=at, body=body, secrets=secrets)


def test_the_library_of_the_specification_accepts_it():
    assert Webhook(SECRET).verify(BODY, signed(now(), SECRET)) == json.loads(BODY)


def test_an_example_worked_out_elsewhere():
    """id, timestamp, body and signature of the specification's reference tests."""
    headers = standard_webhooks.headers(
        message="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at=datetime.fromtimestamp(1614265330, UTC),
        body=b'{"test": 2432232314}',
        secrets=[SECRET],
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_id_says_which_message_and_only_that():
    first, second = signed(now(), SECRET), signed(now() + timedelta(hours=5), SECRET)

    assert first["webhook-id"] == second["webhook-id"] == f"msg_{UID.hex}"
    assert first["webhook-timestamp"] != second["webhook-timestamp"]
    assert first["webhook-signature"] != second["webhook-signature"]


@pytest.mark.parametrize("which", [0, 1])
def test_both_secrets_hold_while_one_takes_over(which):
    secrets = [standard_webhooks.new_secret(), standard_webhooks.new_secret()]

    Webhook(secrets[which]).verify(BODY, signed(now(), *secrets))


@pytest.mark.parametrize(
    ("change", "body"),
    [
        ({}, BODY + b" "),
        ({"webhook-id": "msg_other"}, BODY),
    ],
)
def test_anything_changed_is_refused(change, body):
    headers = signed(now() - timedelta(seconds=10), SECRET) | change

    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(SECRET).verify(body, headers)


def test_another_time_is_refused():
    at = now() - timedelta(seconds=10)
    later = {"webhook-timestamp": str(int(at.timestamp()) + 1)}

    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(SECRET).verify(BODY, signed(at, SECRET) | later)


def test_a_copy_that_comes_later_is_refused():
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(SECRET).verify(BODY, signed(now() - timedelta(minutes=6), SECRET))


def test_another_secret_is_refused():
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(standard_webhooks.new_secret()).verify(BODY, signed(now(), SECRET))


def test_new_secrets_are_long_enough_and_never_the_same():
    secrets = {standard_webhooks.new_secret() for _ in range(100)}

    assert len(secrets) == 100
    for secret in secrets:
        prefix, key = secret[:6], base64.b64decode(secret[6:], validate=True)
        assert (prefix, len(key)) == ("whsec_", 24)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_not base64 at all, whatever is said",
        SECRET.removeprefix("whsec_"),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
    ],
)
def test_a_bad_secret_signs_nothing_and_is_not_repeated(secret):
    with pytest.raises(ValueError, match="24 to 64 bytes") as caught:
        signed(now(), secret)

    assert secret.removeprefix("whsec_") not in str(caught.value) or len(secret) <= 6


def test_without_a_secret_nothing_is_signed():
    with pytest.raises(ValueError, match="at least one"):
        signed(now())
