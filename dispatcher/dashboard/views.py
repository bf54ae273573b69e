"""The pages: parse the request, ask the queries, render. What people change goes through the REST API."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from dispatcher import queries, roles
from dispatcher.api.problem_words import said
from dispatcher.api.problems import Problem
from dispatcher.backlog import BacklogFull
from dispatcher.dashboard import task_page
from dispatcher.dashboard.overview_page import overview_context
from dispatcher.dashboard.sight import asked_sight
from dispatcher.dashboard.submit_form import defaults, initial_of, new_key, submit_fields
from dispatcher.models.task import parse_task_id
from dispatcher.redaction import Sight


def page_of(request: HttpRequest, template: str, page: str, *, status: int = 200, **context: Any) -> HttpResponse:
    """The rendered page; ``page`` is the entry of the rail that it belongs to."""
    shared = {
        "page": page,
        "now": timezone.now(),
        "can_operate": roles.may_operate(request.user),
        "can_administer": roles.may_administer(request.user),
    }
    return render(request, f"dashboard/{template}.html", shared | context, status=status)


def missing(request: HttpRequest, page: str, title: str, text: str, back: tuple[str, str]) -> HttpResponse:
    """404 for what is not there, with the way back to the list."""
    url, label = back
    return page_of(request, "missing", page, status=404, title=title, text=text, back_url=url, back_label=label)


@login_required
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Is it healthy, what is stuck, and why."""
    return page_of(request, "overview", "overview", **overview_context(request, timezone.now()))


@login_required
@require_safe
def task(request: HttpRequest, task_id: str) -> HttpResponse:
    """One task: its attempts, payload, result, error, log."""
    number = parse_task_id(task_id)
    sight = asked_sight(request, number)
    document = queries.task_document(number, timezone.now(), sight, tail=task_page.PAGE_TAIL) if number else None
    if document is None:
        return _no_task(request, task_id)
    is_unmasked = sight is Sight.ALL
    more = task_page.context(document, request.GET.get("tab", ""), is_unmasked=is_unmasked)
    return page_of(request, "task", "tasks", document=document, is_unmasked=is_unmasked, **more)


@login_required
@require_safe
def task_value(request: HttpRequest, task_id: str, part: str) -> HttpResponse:
    """A part of a task's payload or result: ``?at=2.0`` names its place, ``&first=100`` where to begin there."""
    number = parse_task_id(task_id)
    sight = asked_sight(request, number)
    document = queries.task_detail(number, sight) if number else None
    if document is None:
        return _no_task(request, task_id)
    at, first = request.GET.get("at", ""), request.GET.get("first", "")
    more = task_page.value_context(document, part, at, first, is_unmasked=sight is Sight.ALL)
    return page_of(request, "task_value", "tasks", document=document, **more)


def _no_task(request: HttpRequest, task_id: str) -> HttpResponse:
    title = _("There is no task %s") % task_id
    return missing(request, "tasks", title, task_page.missing_text(), (reverse("dashboard:tasks"), _("All tasks")))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def submit(request: HttpRequest) -> HttpResponse:
    """The form for new tasks; ``?from=<id>`` fills it with another task, ``?type=`` with a type.

    Scripts send it to the API. Without them it comes back here.
    """
    if request.method == "POST":
        return _submitted(request)
    return _submit_page(request)


def _submitted(request: HttpRequest) -> HttpResponse:
    if not roles.may_operate(request.user):
        raise PermissionDenied
    fields = {name: request.POST.get(name, "") for name in request.POST}
    try:
        task_id = submit_fields(fields, actor=request.user.get_username(), now=timezone.now())
    except Problem as problem:
        errors = [f"{error.field}: {said(error.message)}" for error in problem.errors] or [said(problem.detail)]
        return _submit_page(request, status=problem.status, errors=errors, initial=fields | {"has_more": True})
    except BacklogFull as full:
        return _submit_page(request, status=503, errors=[said(str(full))], initial=fields | {"has_more": True})
    return redirect("dashboard:task", task_id)


def _submit_page(request: HttpRequest, *, status: int = 200, **more: Any) -> HttpResponse:
    origin = parse_task_id(request.GET.get("from", ""))
    source = queries.task_detail(origin, asked_sight(request, origin)) if origin else None
    return page_of(
        request,
        "submit",
        "submit",
        status=status,
        **{
            "initial": initial_of(source, type_name=request.GET.get("type", "")[:200]),
            "key": more.get("initial", {}).get("key") or new_key(),
            "defaults": defaults(),
            "types": queries.types(),
            "pool": dict(zip(("online", "any"), queries.pool(), strict=True)),
            "known_queues": [row["name"] for row in queries.queues(timezone.now())],
            "cloned_from": source["id"] if source else None,
            "is_masked": bool(source and source["masked"]),
            "clone_missing": request.GET.get("from", "")[:30] if "from" in request.GET and source is None else None,
        }
        | more,
    )


@login_required
@require_safe
def jump(request: HttpRequest) -> HttpResponseRedirect:
    """Go to the task, node, queue or type that someone typed; to the tasks of that type if it is none of them."""
    text = request.GET.get("q", "").strip().removeprefix("#")[:200]
    task_id = parse_task_id(text)
    if task_id is not None:
        return redirect("dashboard:task", task_id)
    now = timezone.now()
    if any(row["name"] == text for row in queries.nodes(now)):
        return redirect("dashboard:node", text)
    name = "queue" if any(row["name"] == text for row in queries.queues(now)) else "type"
    return redirect(reverse("dashboard:tasks") + ("?" + urlencode({name: text}) if text else ""))
