"""Actions on all tasks that match: the list, and how far one is."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from dispatcher import queries
from dispatcher.dashboard.views import missing, page_of
from dispatcher.models.task import parse_task_id


@login_required
@require_safe
def bulk(request: HttpRequest) -> HttpResponse:
    """All of them, newest first."""
    after = parse_task_id(request.GET.get("after", ""))
    return page_of(request, "bulk", "tasks", document=queries.bulk_page(after=after), after=after)


@login_required
@require_safe
def bulk_job(request: HttpRequest, job_id: str) -> HttpResponse:
    """One: progress, what was left and why."""
    number = parse_task_id(job_id)
    document = queries.bulk_document(number) if number else None
    if document is None:
        title, text = _("There is no bulk action %s") % job_id, _("It was never begun, or it was deleted for its age.")
        return missing(request, "tasks", title, text, (reverse("dashboard:bulk"), _("All bulk actions")))
    return page_of(request, "bulk_job", "tasks", document=document)
