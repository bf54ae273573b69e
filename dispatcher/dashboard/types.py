"""The pages of task types."""

from __future__ import annotations

import json

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from dispatcher import queries
from dispatcher.dashboard.schema_view import SchemaRow, schema_rows
from dispatcher.dashboard.submit_form import defaults
from dispatcher.dashboard.time_range import charts_context
from dispatcher.dashboard.views import missing, page_of
from dispatcher.queries.ranges import DEFAULT
from dispatcher.queries.shapes import SeriesPoint


@login_required
@require_safe
def types(request: HttpRequest) -> HttpResponse:
    """All task types: how often, how well, how fast."""
    return page_of(request, "types", "types", document=queries.types_document(timezone.now()))


@login_required
@require_safe
def type_page(request: HttpRequest, name: str) -> HttpResponse:
    """One task type: its last hour, its schema, its nodes."""
    now = timezone.now()
    document = queries.type_detail(name, now)
    if document is None:
        title = _("There is no task type of this name")
        text = _("Types appear when a node that runs them comes up, or when a task of them is submitted.")
        return missing(request, "types", title, text, (reverse("dashboard:types"), _("All task types")))
    schema = document["schema"]
    rows: list[SchemaRow] = [] if schema is None else schema_rows(schema)
    text = "" if schema is None else json.dumps(schema, indent=2, ensure_ascii=False)
    hour, subject = document["series"], queries.Subject(type=name)

    def points(span: queries.TimeRange) -> list[SeriesPoint]:
        # The document has the last hour.
        return hour if span.name == DEFAULT else queries.chart_points(span, now, subject)

    charts = charts_context(request, now, points)
    return page_of(
        request,
        "type",
        "types",
        document=document,
        schema_rows=rows,
        schema_text=text,
        defaults=defaults(),
        **charts,
    )
