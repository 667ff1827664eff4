"""Who may change what here: facts and money nobody, the rest through actions."""

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import InlineModelAdmin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.pricing import figures, money
from teams.admin import actor


class ReadOnly(admin.ModelAdmin):
    """Facts and money are looked at here, never changed."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Drafts(InlineModelAdmin):
    """Rows of a draft, edited by who may; those of anything else are looked at."""

    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_draft(obj) and super().has_add_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_draft(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_draft(obj) and super().has_delete_permission(request, obj)


def is_draft(obj: Any) -> bool:
    """Of a publication or an estimate; one that is being made is a draft as well."""
    return obj is None or obj.state == "draft"


def shown(value: Decimal, currency: str) -> SafeString:
    """An amount as pages show it: rounded, with its exact value."""
    return format_html(
        '<data value="{0}" title="{0} {1}">{2}</data>',
        money.plain(value),
        currency,
        figures.with_currency(value, currency),
    )


def user_of(request: HttpRequest) -> User:
    """Raises PermissionDenied where nobody is signed in."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def said(request: HttpRequest) -> dict[str, Any]:
    """Who does something, and when: for the actions."""
    return {"by": actor(request), "now": timezone.now()}
