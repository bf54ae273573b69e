"""One page between an action and its doing: what will happen, to which rows, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from dispatcher.api.validation import text_error

#: Rows named on the page; the rest is counted.
SHOWN = 50
MAX_REASON_CHARS = 200

NOT_ONE_LINE = gettext_noop("must be one line of printable characters")


def one_line(text: str) -> None:
    """A validator: what goes into feed, tables and logs is one printable line."""
    if text_error(text):
        raise ValidationError(_(NOT_ONE_LINE))


class NoForm(forms.Form):
    """Nothing to fill in."""


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=MAX_REASON_CHARS,
        required=False,
        validators=[one_line],
        help_text=_("Shown to everyone beside the node or queue, and kept in the audit trail."),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked before an action: its name, what the page says, and what has to be filled in."""

    action: str
    title: str
    consequence: str
    button: str
    form: type[forms.Form] = ReasonForm


def confirm(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Any], question: Question
) -> dict[str, Any] | TemplateResponse:
    """What was filled in, once the person has confirmed; until then the page to answer with."""
    is_answered = request.POST.get("confirmed") == "yes"
    form = question.form(request.POST if is_answered else None)
    if is_answered and form.is_valid():
        return form.cleaned_data
    shown = list(rows[: SHOWN + 1])
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": question.title,
        "button": question.button,
        "question": question,
        "form": form,
        "rows": shown[:SHOWN],
        "has_more": len(shown) > SHOWN,
        "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
        "select_across": request.POST.get("select_across", "0"),
        "checkbox_name": helpers.ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/dispatcher/confirm_action.html", context)


def confirm_then(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    rows: QuerySet[Any],
    question: Question,
    act: Callable[[dict[str, Any]], str],
) -> TemplateResponse | None:
    """Ask; once it is confirmed, ``act`` on what was filled in and show the sentence that it returns."""
    answer = confirm(model_admin, request, rows, question)
    if isinstance(answer, TemplateResponse):
        return answer
    model_admin.message_user(request, act(answer), messages.SUCCESS)
    return None
