"""Who calls: an API key, or a signed-in person with the session of the pages.

Prices are read by all of them. List prices are changed by who runs the installation, a
contract by an admin of its organization, or a key of the whole organization.
"""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from billing.actions import rate_cards
from billing.api.problems import Refused
from billing.models import RateCard
from teams.api.authentication import ApiKeyAuthentication, HasScope
from teams.models import ApiKey, Organization
from teams.models.api_keys import Scope
from teams.permissions import organizations_of


class KeyOrPerson(BasePermission):
    """A key with the scope that the view names (if it names one), or a person."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if isinstance(request.user, User):
            return True
        return HasScope().has_permission(request, view)


class CallersView(APIView):
    """A view for keys and for people."""

    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    permission_classes = [KeyOrPerson]


@dataclass(frozen=True, slots=True)
class Caller:
    who: ApiKey | User

    def __str__(self) -> str:
        """The name that history has for what they do."""
        return self.who.get_username() if isinstance(self.who, User) else str(self.who)

    @property
    def organizations(self) -> QuerySet[Organization]:
        if isinstance(self.who, User):
            return organizations_of(self.who)
        return Organization.objects.filter(pk=self.who.organization_id)

    def organization(self, slug: str | None) -> Organization:
        """The one asked for, or the only one. Raises Refused (400, 404)."""
        if slug is not None:
            found = self.organizations.filter(slug=slug).first()
            if found is None:
                raise Refused(404, "not_found", f"There is no organization {slug!r} here.")
            return found
        first = list(self.organizations.order_by("pk")[:2])
        if len(first) != 1:
            raise Refused(
                400, "organization_needed", "Several organizations: add organization=."
            )
        return first[0]

    @property
    def cards(self) -> QuerySet[RateCard]:
        if isinstance(self.who, User):
            return rate_cards.seen_by(self.who)
        return RateCard.objects.filter(
            Q(kind=RateCard.Kind.LIST) | Q(organization__in=self.organizations)
        )

    def may_edit(self, card: RateCard) -> bool:
        if isinstance(self.who, User):
            return rate_cards.may_edit(self.who, card)
        return _is_of_organization(self.who, card)

    def editing(self, card: RateCard) -> None:
        """Raises PermissionDenied where they may not change this card or see its drafts."""
        if not self.may_edit(card):
            raise PermissionDenied(
                "List prices are changed by who runs the installation."
                if card.organization_id is None
                else "A contract is changed by an admin, or a key, of its organization."
            )


def _is_of_organization(key: ApiKey, card: RateCard) -> bool:
    return (
        key.has_scope(Scope.PRICES_WRITE)
        and key.organization_id == card.organization_id
        and key.team_id is None
        and key.project_id is None
    )


def caller_of(request: Request) -> Caller:
    if isinstance(request.auth, ApiKey):
        return Caller(request.auth)
    if isinstance(request.user, User):
        return Caller(request.user)
    raise NotAuthenticated
