"""Two who do the same at one moment: one has it, the other is told so."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier

from django.core.exceptions import ValidationError
from django.db import connection, transaction

from billing.actions import reviews, what_if
from billing.formats.what_if import Question
from billing.models import Review, SavedWhatIf
from teams.actions import organizations, projects, teams
from teams.models import Project
from tests.billing.committed import committing
from tests.conftest import NOW

DAYS = {"since": date(2026, 11, 1), "until": date(2026, 11, 15)}
CALLERS = 4


def at_once(do: Callable[[], object]) -> int:
    """How many of those who do it together are told that it is done already."""
    ready = Barrier(CALLERS)

    def one(_: int) -> bool:
        try:
            with transaction.atomic():
                connection.ensure_connection()
                ready.wait(timeout=60)
                do()
        except ValidationError:
            return True
        finally:
            connection.close()
        return False

    with ThreadPoolExecutor(CALLERS) as beside:
        return sum(beside.map(one, range(CALLERS)))


def a_project() -> Project:
    made = {"by": "tests", "now": NOW}
    acme = organizations.create(name="Acme", slug="acme", time_zone="UTC", **made)
    team = teams.create(organization=acme, name="Search", slug="search", **made)
    return projects.create(team=team, name="Answers", slug="answers", **made)


def test_one_review_of_the_same_days(db: None):
    committing(_review)


def _review() -> None:
    project = a_project()
    team = project.organization.teams.get()

    refused = at_once(
        lambda: reviews.open_review(team=team, project=project, **DAYS, by="lead", now=NOW)
    )

    assert (refused, Review.objects.filter(project=project).count()) == (CALLERS - 1, 1)


def test_one_question_of_a_name(db: None):
    committing(_save)


def _save() -> None:
    team = a_project().organization.teams.get()

    refused = at_once(
        lambda: what_if.save(
            team=team, name="Haiku", question=Question(**DAYS), by="lead", now=NOW
        )
    )

    assert (refused, SavedWhatIf.objects.filter(team=team).count()) == (CALLERS - 1, 1)
