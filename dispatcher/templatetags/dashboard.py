"""Icons, and HTML that is filled by its ``data-bind`` attributes, once for the first paint and again by the browser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, cast

from django import template
from django.template.base import FilterExpression, NodeList, Parser, Token
from django.template.context import Context
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, to_locale
from django.utils.translation import gettext as _

from dispatcher.dashboard.binding import fill
from dispatcher.dashboard.row_formats import FORMATS
from dispatcher.dashboard.zones import offset_label

register = template.Library()


def _now(context: Context) -> datetime:
    now: datetime = context.get("now") or timezone.now()
    return now


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """An icon of the sprite, for decoration beside a word."""
    return format_html(
        '<svg class="icon{}" aria-hidden="true"><use href="{}#{}"/></svg>',
        f" icon-{size}" if size else "",
        static("icons/icons.svg"),
        name,
    )


@register.simple_tag(takes_context=True)
def rows(context: Context, items: Iterable[Mapping[str, Any]], partial: str) -> SafeString:
    """The partial once per item, filled."""
    html, now = _partial(context, partial), _now(context)
    return mark_safe("".join(fill(html, item, now) for item in items))  # noqa: S308 - fill() escapes


@register.simple_tag(takes_context=True)
def row_template(context: Context, name: str, partial: str) -> SafeString:
    """The partial as a ``<template>``, from which the browser makes new rows."""
    return format_html('<template id="{}">{}</template>', name, mark_safe(_partial(context, partial)))  # noqa: S308


def _partial(context: Context, partial: str) -> str:
    # Rendered without its blanks at the ends, so that rows follow each other as elements only.
    return render_to_string(partial, cast("dict[str, Any]", context.flatten())).strip()


@register.simple_tag(takes_context=True)
def shown(context: Context, value: Any, format_name: str) -> str:
    """A value by one of the formats, outside of bindings."""
    return FORMATS[format_name](value, _now(context))


@register.simple_tag
def page_language() -> str:
    """The language of the page as HTML and Intl write it: en, zh-Hans."""
    return to_locale(get_language() or "en").replace("_", "-")


@register.simple_tag
def zone_label() -> str:
    """The time zone that times are shown in, as it is written beside them: UTC+8."""
    return offset_label(timezone.localtime())


@register.simple_tag
def zone_name() -> str:
    """Its IANA name."""
    return str(timezone.get_current_timezone())


@register.simple_tag
def refused(role: str) -> SafeString:
    """The attributes of a button that does nothing for who lacks a role: it can be reached, and tells why."""
    return format_html(' aria-disabled="true" aria-describedby="takes-{}" title="{}"', role, takes(role))


@register.simple_tag
def takes(role: str) -> str:
    """Why a button does nothing."""
    return {"operator": _("It takes the operator role."), "admin": _("It takes the admin role.")}[role]


class BoundNode(template.Node):
    """What stands between ``{% bound document %}`` and ``{% endbound %}``, filled from the document."""

    def __init__(self, document: FilterExpression, nodelist: NodeList) -> None:
        self._document = document
        self.nodelist = nodelist

    def render(self, context: Context) -> SafeString:
        """The block, filled."""
        document = self._document.resolve(context)
        html = self.nodelist.render(context)
        return mark_safe(fill(html, document if isinstance(document, Mapping) else {}, _now(context)))  # noqa: S308


@register.tag
def bound(parser: Parser, token: Token) -> BoundNode:
    """``{% bound document %}…{% endbound %}``"""
    expression = token.split_contents()[1]
    nodelist = parser.parse(("endbound",))
    parser.delete_first_token()
    return BoundNode(parser.compile_filter(expression), nodelist)
