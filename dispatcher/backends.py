"""Signing in by password: not with one that everybody tries first."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from dispatcher.checks import KNOWN_PASSWORDS

logger = logging.getLogger(__name__)


class NoDefaultPasswords(ModelBackend):
    """Django's accounts. Outside development a password out of manuals and lists opens none of them."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """The account, if the password is right and can be guessed by nobody at the first try."""
        user: User | None = super().authenticate(request, username, password, **kwargs)
        if user is None or password is None or settings.DEVELOPMENT or not is_known(password, user.get_username()):
            return user
        logger.error(
            "%s did not get in: the password is right, but everybody would try it. "
            "Set another: manage.py changepassword %s",
            user.get_username(),
            user.get_username(),
        )
        return None


def is_known(password: str, name: str) -> bool:
    """Whether the password is in manuals, the name itself, or in Django's list of the 20,000 most common ones."""
    if password.lower() in (*KNOWN_PASSWORDS, name.lower()):
        return True
    try:
        _common.validate(password)
    except ValidationError:
        return True
    return False


_common = CommonPasswordValidator()
