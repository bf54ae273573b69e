"""Scripts, styles and icons as browsers get them: small, and asked for once.

Files are served from where they lie, without a collecting step that can be forgotten after an upgrade. Their address
holds the *edition*, a digest of them all, so that a browser keeps them until there are others: imports between modules
are relative, and stay within the edition that the page named. Scripts of our own are sent without comments and
indentation, texts compressed.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from functools import cached_property
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Any
from wsgiref.headers import Headers

import django
import rest_framework
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from rjsmin import jsmin
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import NOT_ALLOWED_RESPONSE, Response

#: What all addresses of files begin with, whatever their edition.
ROOT_URL = "/static/"
#: Files that are worth compressing, and that our pages load: the others are images of libraries.
_TEXTS = {".css", ".js", ".svg"}
_ADDRESS = re.compile(rf"{ROOT_URL}(?:[0-9a-f]{{12}}/)?(.+)")
_FOREVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "public, no-cache"


def edition(folder: Path) -> str:
    """Twelve hex digits that change with any file of `folder`, and with the libraries that bring files of their own."""
    digest = hashlib.sha256(f"{django.__version__} {rest_framework.__version__}".encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"\0{path.relative_to(folder).as_posix()}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def packed(path: Path, own: Path) -> bytes:
    """What is sent of a file, before it is compressed: of a script below `own`, no comments and no indentation."""
    body = path.read_bytes()
    is_written_here = path.suffix == ".js" and path.is_relative_to(own) and not path.name.endswith(".min.js")
    return jsmin(body.decode()).encode() if is_written_here else body


class PackedFile:
    """A file that is kept in memory from the first request on, as it is sent. Whitenoise's interface of a file."""

    def __init__(self, path: Path, headers: Headers) -> None:
        self._path = path
        self._headers = headers

    @cached_property
    def _bodies(self) -> tuple[bytes, bytes, str]:
        """As it is, compressed, and what names this content. Threads that ask at once all make the same."""
        body = packed(self._path, settings.BASE_DIR / "static")
        return body, gzip.compress(body, 9, mtime=0), f'"{hashlib.sha256(body).hexdigest()[:16]}"'

    def get_response(self, method: str, asked: Mapping[str, Any]) -> Response:
        """Answer a request, whose headers are those of `HttpRequest.META`."""
        if method not in ("GET", "HEAD"):
            return NOT_ALLOWED_RESPONSE
        plain, compressed, tag = self._bodies
        headers = Headers([*self._headers.items(), ("ETag", tag), ("Vary", "Accept-Encoding")])
        if tag in asked.get("HTTP_IF_NONE_MATCH", ""):
            return Response(HTTPStatus.NOT_MODIFIED, headers.items(), None)
        body = plain
        if re.search(r"\bgzip\b(?!;q=0(?:[,\s]|$))", asked.get("HTTP_ACCEPT_ENCODING", "")):
            body = compressed
            headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(body))
        return Response(HTTPStatus.OK, headers.items(), BytesIO(body) if method == "GET" else None)


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc] # Published without types.
    """Whitenoise, with addresses by edition and with packed files. In debug mode it is plain whitenoise."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve the file that is asked for, or pass the request on.

        An address of another edition gets the present file, to be asked for again: a page that was open during an
        upgrade goes on working until it is loaded anew.
        """
        address = _ADDRESS.fullmatch(request.path_info)
        file = None if self.autorefresh or address is None else self.files.get(self.static_prefix + address[1])
        if file is None:
            response: HttpResponseBase = super().__call__(request)
            return response
        served: HttpResponseBase = self.serve(file, request)
        is_present = request.path_info.startswith(self.static_prefix)
        served["Cache-Control"] = _FOREVER if is_present else _ASK_AGAIN
        return served

    def get_static_file(self, path: str, url: str, stat_cache: Mapping[str, Any] | None = None) -> Any:
        """Return what answers requests for a file."""
        if self.autorefresh or Path(path).suffix not in _TEXTS:
            return super().get_static_file(path, url, stat_cache=stat_cache)
        headers = Headers([])
        self.add_mime_headers(headers, path, url)
        return PackedFile(Path(path), headers)
