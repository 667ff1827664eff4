"""Bodies of parameters: what is no JSON is refused, and no number loses a digit."""

import pytest

from billing.models import Budget
from tests.conftest import Cast, Service, as_owner, issue

pytestmark = pytest.mark.usefixtures("as_app")


@pytest.fixture
def finance(cast: Cast) -> Service:
    return Service(issue(cast.acme)[1])


PATHS = ["budgets", "channels", "estimates", "rerates", "rate-cards"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"[" * 100_000, 400, "too_deep"),
        (b'{"a":' * 100_000, 400, "too_deep"),
        (b"{", 400, "bad_json"),
        (b'{"amount": NaN}', 400, "bad_json"),
        (b'{"amount": ' + b"9" * 5000 + b"}", 400, "bad_json"),
        (b'{"amount": 1e' + b"9" * 30 + b"}", 400, "bad_json"),
        (b'{"amount": "\xff"}', 400, "bad_text"),
        ('{"amount": "1"}'.encode("utf-16"), 400, "bad_text"),
        (b" " * 2_000_001, 413, "body_too_large"),
    ],
    ids=["[", "{", "cut", "NaN", "long", "exponent", "not-utf-8", "utf-16", "large"],
)
def test_a_body_that_cannot_be_read_is_refused(
    finance: Service, path: str, content: bytes, status: int, code: str
):
    response = finance.post(path, content)

    assert response.status_code == status
    assert response["content-type"] == "application/problem+json"
    assert response.json()["code"] == code


@pytest.mark.parametrize("amount", ["NaN", '"NaN"', "1e999", '"Infinity"', "1e-400", "-1"])
def test_an_amount_that_is_none_is_refused(finance: Service, amount: str):
    assert finance.post("budgets", f'{{"amount": {amount}}}').status_code == 400
    with as_owner():
        assert not Budget.objects.exists()


def test_a_number_keeps_its_digits(finance: Service):
    """As a float it would have become 123456789012.12346."""
    response = finance.post("budgets", '{"amount": 123456789012.123456789}')

    assert response.json()["amount"] == "123456789012.123456789"
