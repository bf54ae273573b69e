"""The pages of queues: all of them, and one."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from dispatcher import queries
from dispatcher.dashboard.time_range import charts_context
from dispatcher.dashboard.views import missing, page_of
from dispatcher.scheduling.policies import POLICIES


@login_required
@require_safe
def queues(request: HttpRequest) -> HttpResponse:
    """All queues, to be paused and resumed."""
    return page_of(request, "queues", "queues", document=queries.queues_document(timezone.now()))


@login_required
@require_safe
def queue(request: HttpRequest, name: str) -> HttpResponse:
    """One queue: what waits in it, how fast it moves, who serves it; to be paused, edited, emptied."""
    now = timezone.now()
    document = queries.queue_detail(name, now)
    if document is None:
        title, text = _("There is no queue of this name"), _("A queue is made by its first task.")
        return missing(request, "queues", title, text, (reverse("dashboard:queues"), _("All queues")))
    charts = charts_context(request, now, lambda span: queries.chart_points(span, now, queries.Subject(queue=name)))
    return page_of(
        request,
        "queue",
        "queues",
        document=document,
        policies=sorted(POLICIES),
        page_words=purge_texts(),
        **charts,
    )


def purge_texts() -> dict[str, str]:
    """The words of the dialog that asks before a queue is emptied."""
    return {
        "purge.title": _("Empty queue {name}?"),
        "purge.text": _(
            "All tasks that wait in it or are scheduled for it are cancelled, {n} of them now. What runs already goes"
            " on. A bulk action does it, which can be paused and stopped."
        ),
        "purge.ok": _("Cancel {n} tasks"),
        "purge.none": _("Nothing waits in this queue."),
    }
