"""Signing in: one guard in front of the dashboard's form and the admin's, against who tries passwords."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

from dispatcher import throttle

View = Callable[..., HttpResponseBase]


def throttled(view: View) -> View:
    """Count every try before ``view`` looks at the password; answer 429 once there were too many.

    The answer is the same whether the account exists or not, and whether or not the password is right.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            return view(request, *args, **kwargs)
        limits = throttle.sign_in_limits(request, request.POST.get("username", ""))
        seconds = math.ceil(throttle.take(limits, now=timezone.now()))
        if not seconds:
            return view(request, *args, **kwargs)
        response = render(request, "429.html", {"seconds": seconds}, status=429)
        response.headers["Retry-After"] = str(seconds)
        return response

    return guarded


def forgive(*, request: HttpRequest | None, user: AbstractBaseUser, **_: Any) -> None:
    """Receiver of ``user_logged_in``: the try was a good one, and clears the count of its name."""
    if request is not None and "REMOTE_ADDR" in request.META:
        throttle.forgive(throttle.sign_in_limits(request, user.get_username()))
