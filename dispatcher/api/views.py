"""What all routes share: the guard before anything else, one way to read a body, one way to answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone
from django.views import View
from rest_framework.request import Request
from rest_framework.views import APIView

from dispatcher.api import json_guard
from dispatcher.api.problems import FieldError, Problem, invalid
from dispatcher.api.validation import explain, name_error, text_error
from dispatcher.scopes import Scope

T = TypeVar("T")

#: Rows in one page, and how many there are without ``limit``.
MAX_LIMIT: Final = 500
DEFAULT_LIMIT: Final = 100

#: What a queue or a type may be called at most, in characters.
MAX_NAME_CHARS: Final = 200

_BODY_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_encode = msgspec.json.Encoder().encode


class NoFields(msgspec.Struct, forbid_unknown_fields=True):
    """A body that says nothing: ``{}``, or none at all."""


class ApiView(APIView):
    """Base of all routes. ``body_required`` False: methods with a body may also come without one."""

    body_required = False
    #: What it takes to read and to change something here; None: nobody may.
    reads: Scope | None = None
    writes: Scope | None = None
    #: Not OPTIONS: there is nothing to tell, and ``Allow`` shall name what works.
    http_method_names = [name for name in View.http_method_names if name != "options"]
    #: The request as Django knows it; DRF wraps it in one of its own.
    http: HttpRequest

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        """Keep the request as it came."""
        self.http = request
        return super().initialize_request(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse by the headers before a token or a session is looked up."""
        if request.method in _BODY_METHODS and hasattr(self, request.method.lower()):
            json_guard.check_head(self.http, body_required=self.body_required)
        super().initial(request, *args, **kwargs)

    @property
    def now(self) -> datetime:
        """The time of this request."""
        return timezone.now()

    @property
    def actor(self) -> str:
        """Who asks, for the audit trail."""
        return str(self.request.user.get_username())

    def read(self, decoder: msgspec.json.Decoder[T]) -> T:
        """The body as a typed object; an absent body counts as ``{}``. Raises ``Problem`` naming what is wrong."""
        body = json_guard.read_strict(self.http) or b"{}"
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            field, message = explain(error, known=_fields_of(decoder))
            raise invalid([FieldError(message, field)]) from None
        except msgspec.DecodeError as error:
            raise Problem(400, f"The body is not valid JSON: {error}.") from None


def answer(data: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """``data`` as JSON: structs, dictionaries, aware times, ``msgspec.Raw`` for JSON text that is passed through."""
    return HttpResponse(
        _encode(data),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def page_limit(params: QueryDict) -> int:
    """The page size asked for: ``limit``, 1 to ``MAX_LIMIT``."""
    return whole_number(params, "limit", DEFAULT_LIMIT, least=1, most=MAX_LIMIT)


def whole_number(params: QueryDict, name: str, default: int, *, least: int = 0, most: int = 2**31 - 1) -> int:
    """A parameter that is a whole number within bounds, both included."""
    text = params.get(name, "")
    if not text:
        return default
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    if not is_number or not least <= int(text) <= most:
        raise invalid([FieldError(f"must be a whole number from {least} to {most}", name)])
    return int(text)


def flag(params: QueryDict, name: str) -> bool:
    """A parameter that is "true" or "false"; false without it."""
    text = params.get(name, "false")
    if text not in ("true", "false"):
        raise invalid([FieldError("must be true or false", name)])
    return text == "true"


def known_text(params: QueryDict, name: str) -> str:
    """A parameter that names a queue or a type; "" without it."""
    text = params.get(name, "")
    if error := text_error(text) if len(text) <= MAX_NAME_CHARS else "is too long":
        raise invalid([FieldError(error, name)])
    return text


def known_name(name: str) -> str:
    """A name out of an address; 404 if nothing can be called that."""
    if name_error(name):
        raise Problem(404, "There is nothing of that name.")
    return name


def known_params(params: QueryDict, *names: str) -> QueryDict:
    """``params``, once it is sure that they hold nothing but these names, each at most once."""
    for name in params:
        if name not in names:
            raise invalid([FieldError(f"unknown parameter; this route takes {', '.join(names) or 'none'}", name[:100])])
    return given_once(params, *names)


def given_once(params: QueryDict, *names: str) -> QueryDict:
    """``params``, once it is sure that they hold each of these names at most once."""
    for name in names:
        if len(params.getlist(name)) > 1:
            raise invalid([FieldError("may be given only once", name)])
    return params


def _fields_of(decoder: msgspec.json.Decoder[Any]) -> list[str]:
    """What the object may hold that the decoder reads, as the members are called in JSON."""
    return [field.encode_name for field in msgspec.structs.fields(decoder.type)]
