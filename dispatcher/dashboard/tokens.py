"""Your tokens: the page where an account makes and revokes API tokens of its own."""

from __future__ import annotations

from datetime import timedelta
from math import ceil, inf
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from dispatcher import credentials, queries, roles
from dispatcher.conf import conf
from dispatcher.dashboard.views import page_of
from dispatcher.models import Credential
from dispatcher.scopes import Scope

#: Days to choose from, beside the default. 0: without an end.
_LIVES = (7.0, 30.0, 90.0, 365.0, 0.0)


class TokenForm(forms.Form):
    """What a new token is for, what it may do, how long."""

    label = forms.CharField(max_length=100)
    scopes = forms.MultipleChoiceField(error_messages={"required": _("Choose at least one.")})
    days = forms.TypedChoiceField(coerce=float)

    def __init__(self, allowed: frozenset[Scope], data: Any = None) -> None:
        """``allowed``: the scopes of the account's role; the form offers no others."""
        default = conf().api_token_days
        super().__init__(data, initial={"scopes": [Scope.TASKS_READ, Scope.NODES_READ], "days": f"{default:g}"})
        scopes, days = self.fields["scopes"], self.fields["days"]
        assert isinstance(scopes, forms.MultipleChoiceField)
        assert isinstance(days, forms.TypedChoiceField)
        scopes.choices = [(scope.value, scope.meaning) for scope in Scope if scope in allowed]
        lives = sorted({*_LIVES, default}, key=lambda life: life or inf)
        days.choices = [(f"{life:g}", _life(life)) for life in lives]

    def chosen(self) -> list[str]:
        """The scopes that are ticked."""
        return [str(word) for word in self["scopes"].value() or ()]


def _life(days: float) -> str:
    if not days:
        return gettext("no end: for what cannot be given a new one")
    return ngettext("%(days)g day", "%(days)g days", ceil(days)) % {"days": days}


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """The account's tokens, and the form for another, which is shown this once."""
    allowed = roles.scopes_of(request.user)
    form, made, now = TokenForm(allowed, request.POST or None), "", timezone.now()
    if form.is_valid():
        given = form.cleaned_data
        made = credentials.issue_api_token(
            user=_account(request),
            label=given["label"],
            wanted=[Scope(word) for word in given["scopes"]],
            expires_at=now + timedelta(days=given["days"]) if given["days"] else None,
            actor=request.user.get_username(),
            now=now,
        )
        form = TokenForm(allowed)
    rows = queries.api_tokens(now, user=request.user, with_ended=True)
    context = {"form": form, "made": made, "tokens": rows, "origin": request.build_absolute_uri("/").rstrip("/")}
    return page_of(request, "tokens", "settings", status=400 if form.errors else 200, **context)


@login_required
@require_POST
def revoke_token(request: HttpRequest, token_id: int) -> HttpResponse:
    """Take one of the account's own tokens back; others are not there."""
    row = Credential.objects.filter(pk=token_id, kind=Credential.Kind.API, user=_account(request)).first()
    if row is None:
        raise Http404
    credentials.revoke(row, actor=request.user.get_username(), now=timezone.now())
    return redirect("dashboard:tokens")


def _account(request: HttpRequest) -> Any:
    return request.user
