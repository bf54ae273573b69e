"""A11: tokens cannot be guessed, nor read out of the database."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from django.core import serializers

from dispatcher import credentials, node_registry
from dispatcher.models import Change, Credential
from tests.api.conftest import Caller, now, token_of
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def one_of_each() -> list[str]:
    moment = now()
    return [
        credentials.issue_api_token(user=make_user("robot"), label="l", actor="a", now=moment),
        credentials.issue_enrolment_token(label="l", actor="a", now=moment),
        node_registry.issue_credential(name="n-1", actor="a", now=moment),
    ]


def test_a11_a_token_is_256_bits_of_chance_and_stored_as_a_digest_alone() -> None:
    tokens = one_of_each()
    assert all(len(token) == 4 + 43 for token in tokens)
    stored = serializers.serialize("json", [*Credential.objects.all(), *Change.objects.all()])
    for token in tokens:
        assert hashlib.sha256(token.encode()).hexdigest() in stored
        # What is stored to recognise it by leaves 35 characters of 6 bits to guess.
        assert token[:12] in stored
        assert token[:13] not in stored


def test_a11_no_two_tokens_are_alike() -> None:
    user = make_user("robot")
    assert len({token_of(user) for _ in range(50)}) == 50


@pytest.mark.parametrize("change", ["prefix", "digest", "last character", "longer", "shorter", "kind", "case", "blank"])
def test_a11_what_is_nearly_a_token_is_none(change: str) -> None:
    token = token_of(make_user("robot"))
    wrong = {
        "prefix": token[:12],
        "digest": hashlib.sha256(token.encode()).hexdigest(),
        "last character": token[:-1] + ("A" if token[-1] != "A" else "B"),
        "longer": token + "A",
        "shorter": token[:-1],
        "kind": "tdn_" + token[4:],
        "case": token.swapcase(),
        "blank": token[:20] + " " + token[20:],
    }[change]
    answer = Caller(wrong).read("/api/v1/counts")
    assert (answer.status, answer.is_problem) == (401, True)
    assert Caller(token).read("/api/v1/counts").status == 200


def test_a11_answers_do_not_tell_tokens_apart_that_do_not_exist() -> None:
    known = token_of(make_user("robot"))
    near, far = (Caller(token).read("/api/v1/counts") for token in (known[:-1] + "-", "tdk_" + "x" * 43))
    assert near.content == far.content


def test_a11_ids_are_no_secrets(client: Any) -> None:
    # The number of a token, of its account or of a node opens nothing.
    one_of_each()
    for text in (*map(str, Credential.objects.values_list("pk", flat=True)), json.dumps({"id": 1})):
        assert Caller(text).read("/api/v1/counts").status == 401
