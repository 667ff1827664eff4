"""Keys: recognisable, checked, stored as a digest, refused when they should be."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from teams.actions import api_keys
from teams.models import ApiKey, ApiKeyUse, AuditEvent
from teams.models.api_keys import Scope, is_well_formed, new_secret
from tests.builders import body, record
from tests.conftest import NOW, Cast, Service, issue


def test_a_secret_has_our_prefix_and_a_checksum():
    secret = new_secret()

    assert secret.startswith("purser_")
    assert is_well_formed(secret)


@pytest.mark.parametrize("position", [8, 20, -1])
def test_a_mistyped_secret_is_not_well_formed(position: int):
    secret = list(new_secret())
    secret[position] = "0" if secret[position] != "0" else "1"

    assert not is_well_formed("".join(secret))


@pytest.mark.parametrize(
    "text", ["", "purser_", "purser_" + "é" * 38, "sk-ant-" + "a" * 40]
)
def test_other_text_is_not_well_formed(text: str):
    assert not is_well_formed(text)


def test_no_table_holds_the_secret(cast: Cast):
    key, secret = issue(cast.acme)

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM teams_apikey k, teams_auditevent a "
            "WHERE k::text LIKE %s OR a::text LIKE %s",
            [f"%{secret[10:30]}%"] * 2,
        )
        assert cursor.fetchone() == (0,)
    assert secret.startswith(key.prefix)


def test_a_key_is_found_by_its_secret_until_it_is_revoked(
    cast: Cast, django_capture_on_commit_callbacks
):
    key, secret = issue(cast.acme)
    assert api_keys.find(secret=secret, now=NOW) == key

    with django_capture_on_commit_callbacks(execute=True):
        api_keys.revoke(key=key, by="tests", now=NOW, reason="leaked")

    assert api_keys.find(secret=secret, now=NOW) is None
    event = AuditEvent.objects.get(action="api_key.revoke")
    assert (event.actor, event.reason) == ("tests", "leaked")


def test_a_key_that_is_read_while_it_is_revoked_is_not_held(
    cast: Cast, django_capture_on_commit_callbacks
):
    key, secret = issue(cast.acme)
    as_others_see_it = ApiKey.objects.get(pk=key.pk)

    with django_capture_on_commit_callbacks(execute=True):
        api_keys.revoke(key=key, by="tests", now=NOW)
        api_keys._recent.keep(key.digest, as_others_see_it)

    assert api_keys.find(secret=secret, now=NOW) is None


def test_those_asked_for_of_late_are_looked_at_together(cast: Cast):
    keys = [issue(cast.acme) for _ in range(3)]
    (first, its_secret), (revoked, other_secret), (silent, _) = keys
    for _, secret in (*keys, *keys[:2]):
        assert api_keys.find(secret=secret, now=NOW)
    ApiKey.objects.filter(pk=revoked.pk).update(revoked_at=NOW)

    asked_of = [_found_anew(its_secret) for _ in range(2)]

    assert [revoked.digest in sql for sql in asked_of] == [True, False]
    assert not any(silent.digest in sql for sql in asked_of)
    assert api_keys.find(secret=its_secret, now=NOW) == first
    assert api_keys.find(secret=other_secret, now=NOW) is None


def _found_anew(secret: str) -> str:
    """The one statement that asks for it, once the time of all of them is over."""
    for held in api_keys._recent._held.values():
        held.until = 0
    with CaptureQueriesContext(connection) as queries:
        assert api_keys.find(secret=secret, now=NOW)
    (query,) = queries
    return str(query["sql"])


def test_a_key_expires(cast: Cast):
    _, secret = issue(cast.acme, expires_at=NOW + timedelta(hours=1))

    assert api_keys.find(secret=secret, now=NOW) is not None
    assert api_keys.find(secret=secret, now=NOW + timedelta(hours=1)) is None


def test_a_key_is_bound_inside_its_organization(cast: Cast):
    with pytest.raises(ValidationError):
        issue(cast.acme, team=cast.elsewhere)

    assert not ApiKey.objects.exists()


def test_a_key_is_bound_to_one_thing(cast: Cast):
    with pytest.raises(ValidationError):
        issue(cast.acme, team=cast.search, project=cast.answers)


def test_use_is_noted(cast: Cast):
    key, secret = issue(cast.acme)

    Service(secret).post("usage", body(record()))

    assert ApiKeyUse.objects.get().key_id == key.pk


def test_scopes_are_those_that_exist(cast: Cast):
    with pytest.raises(ValueError, match="everything"):
        issue(cast.acme, scopes=["everything"])


def test_every_scope_is_described():
    assert all(scope.label for scope in Scope)


def test_a_key_with_a_long_name_can_change_something(cast: Cast):
    _, secret = api_keys.issue(
        organization=cast.acme, name="n" * 200, scopes=list(Scope), by="tests", now=NOW
    )

    made = Service(secret).post("velocity-rules", {"amount": "1"})

    assert made.status_code == 201
    by = AuditEvent.objects.get(action="velocity_rule.create").actor
    assert by.endswith(f" ({secret[:12]}…)")
    assert len(by) <= 200
