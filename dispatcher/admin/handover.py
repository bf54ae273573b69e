"""The page that shows new tokens once: in the answer itself, not in a message or a session, which would keep them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _t

#: The longest life of a token that is made to expire, in hours: a year.
MAX_HOURS = 366 * 24


def hand_over(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, tokens: Sequence[tuple[str, str]]
) -> TemplateResponse:
    """The page with (what it is for, token) pairs."""
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": _t("New tokens"),
        "tokens": tokens,
    }
    response = TemplateResponse(request, "admin/dispatcher/tokens_issued.html", context)
    response.headers["Cache-Control"] = "no-store"
    return response
