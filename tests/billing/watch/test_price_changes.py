"""Price changes that move what an organization pays."""

from datetime import timedelta
from decimal import Decimal

import pytest

from billing.actions import alert_messages, post, rate_cards, receive
from billing.formats.body import split
from billing.models import Alert, LanguageModel, Publication, Rate, RateCard
from tests.billing.watch.conftest import DAY, HOUR, Look
from tests.builders import body, record
from tests.conftest import NOW, Cast, issue

KIND = Alert.Kind.PRICE_CHANGE


@pytest.fixture
def spent(cast: Cast) -> None:
    """Ten million tokens in at four dollars each, and half a million out at 20."""
    key, _ = issue(cast.acme)
    usage = {"input_tokens": 10_000_000, "output_tokens": 500_000}
    raws = split(body(record(usage=usage)), "application/json", 1000)
    receive.receive(key=key, raws=raws, now=NOW)
    for team_id in post.batches_waiting():
        post.count(team_id=team_id, now=NOW)


def publish(
    model: str = "claude-opus-5-5", since=NOW, later=(), **prices: str
) -> Publication:
    """A rate, and `later` ones: of a model, from a moment on, at an input price."""
    publication = Publication.objects.create(
        card=RateCard.objects.get(kind="list", provider="anthropic"),
        created_by="tests",
        created_at=NOW,
    )
    further = [(name, start, {"input": price}) for name, start, price in later]
    for name, start, its in [(model, since, prices), *further]:
        Rate.objects.create(
            publication=publication,
            model=LanguageModel.objects.get(provider="anthropic", name=name),
            effective_from=start,
            **({"input": "4", "output": "20"} | its),
            source="test",
            observed_on=NOW.date(),
        )
    rate_cards.publish(publication=publication, by="tests", now=NOW)
    return publication


def test_what_is_dearer_is_told_with_what_a_month_costs(
    cast: Cast, spent: None, look: Look
):
    publication = publish(input="5")

    (alert,) = look(KIND, NOW + HOUR)

    assert alert.subject == f"publication {publication.pk}"
    assert (alert.details["before"], alert.details["after"]) == ("50", "60")
    assert alert_messages.sentence(alert).endswith(
        "hold: what cost $50.00 in the last 30 days costs $60.00 (+20 %)."
    )
    # Who uses none of it hears nothing.
    assert not Alert.objects.exclude(organization=cast.acme).exists()


@pytest.mark.parametrize(
    ("prices", "told"),
    [
        ({"input": "4.49"}, False),  # less than five dollars
        ({"input": "4.5"}, True),
        ({"input": "2"}, True),  # what is cheaper is told too
        ({"output": "25"}, False),
        ({"model": "claude-sonnet-5", "input": "90"}, False),  # not used here
    ],
)
def test_little_is_not_told(spent: None, look: Look, prices: dict[str, str], told: bool):
    publish(**prices)

    assert bool(look(KIND, NOW + HOUR)) is told


def test_what_starts_later_is_told_a_week_before_and_once(spent: None, look: Look):
    publish(input="5", since=NOW + 10 * DAY)

    assert look(KIND, NOW + 2 * DAY) == []
    (alert,) = look(KIND, NOW + 4 * DAY)
    assert alert_messages.sentence(alert).startswith("From 2 Dec 2026 on other prices")
    assert look(KIND, NOW + 10 * DAY + HOUR) == [alert]
    assert look(KIND, NOW + 11 * DAY + timedelta(seconds=1)) == []
    assert Alert.objects.count() == 1


def test_a_rate_of_now_is_told_beside_a_later_one(spent: None, look: Look):
    publish(input="8", later=[("claude-opus-5-5", NOW + 60 * DAY, "4")])

    (alert,) = look(KIND, NOW + HOUR)

    assert alert_messages.sentence(alert).startswith("Since 22 Nov 2026 other prices")
    assert (alert.details["before"], alert.details["after"]) == ("50", "90")


def test_each_moment_at_which_rates_take_force_is_told_by_itself(spent: None, look: Look):
    later = [
        ("claude-sonnet-5", NOW + 3 * DAY, "90"),  # not used here
        ("claude-opus-5-5", NOW + 5 * DAY, "6"),
    ]
    publish(input="5", since=NOW + DAY, later=later)

    told = look(KIND, NOW + HOUR)

    assert [alert.details["after"] for alert in told] == ["60", "70"]
    starts = [(NOW + DAY).isoformat(), (NOW + 5 * DAY).isoformat()]
    assert [alert.details["starts_at"] for alert in told] == starts
    assert look(KIND, NOW + 2 * DAY + HOUR) == told[1:]
    assert Alert.objects.count() == 2


def test_what_was_in_force_before_it_was_published_is_one_change(spent: None, look: Look):
    later = [("claude-opus-5-5", NOW - 2 * DAY, "6")]
    publish(input="5", since=NOW - 10 * DAY, later=later)

    (alert,) = look(KIND, NOW + HOUR)

    assert alert_messages.sentence(alert).startswith("Since 20 Nov 2026 other prices")
    assert alert.details["after"] == "70"
    assert look(KIND, NOW + DAY + HOUR) == []


def test_what_had_no_price_is_no_change(cast: Cast, look: Look):
    key, _ = issue(cast.acme)
    usage = {"input_tokens": 10_000_000, "output_tokens": 500_000}
    unheard = record(model="claude-unheard-of", usage=usage)
    receive.receive(key=key, raws=split(body(unheard), "application/json", 10), now=NOW)
    for team_id in post.batches_waiting():
        post.count(team_id=team_id, now=NOW)
    LanguageModel.objects.create(provider="anthropic", name="claude-unheard-of")
    publish(model="claude-unheard-of", input=str(Decimal(5)))

    assert look(KIND, NOW + HOUR) == []
