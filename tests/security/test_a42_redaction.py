from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.redaction import DEFAULT_KEYS, MASK, Redactor, keys_of

redact = Redactor()
CANARY = "kanarie-7f3a"


@pytest.mark.parametrize(
    "key",
    ["password", "Password", "DB_PASSWORD", "dbPassword", "pgpassword", "user-passwd", "client_secret", "apiKey",
     "X-Api-Key", "APIKEY", "api.key", "AWS_SECRET_ACCESS_KEY", "authToken", "Authorization", "Set-Cookie", "sessionid",
     "privateKey", "SENTRY_DSN", "credentials", "csrfmiddlewaretoken", "pass"],
)  # fmt: skip
def test_a42_a_telling_name_is_recognised_however_its_words_are_joined(key: str) -> None:
    assert redact.is_secret(key)
    assert CANARY not in redact.json(json.dumps({"a": [{key: CANARY}]}))
    assert CANARY not in redact.json(json.dumps({key: {"x": [CANARY]}}))


@pytest.mark.parametrize("key", ["passed", "tokenizer", "secretary", "compass", "keyboard", "monkey", "author"])
def test_a42_words_that_only_begin_like_one_are_not(key: str) -> None:
    assert not redact.is_secret(key)


def test_a42_a_number_of_tokens_is_no_secret_and_a_list_of_tokens_is() -> None:
    document = {"max_tokens": 100, "tokens": [CANARY], "has_password": True, "token": None, "secret": ""}
    assert json.loads(redact.json(json.dumps(document))) == document | {"tokens": MASK}


def test_a42_environments_are_also_lists_of_names_and_values() -> None:
    env = [{"name": "DB_PASSWORD", "value": CANARY}, {"name": "HOME", "value": "/root"}]
    assert json.loads(redact.json(json.dumps(env))) == [env[0] | {"value": MASK}, env[1]]


def test_a42_text_without_secrets_stays_to_the_letter() -> None:
    text = '{ "a" : 1.10, "b": 12345678901234567890, "c": "caf\\u00e9" }'
    assert redact.json(text) is text


@pytest.mark.parametrize(
    "text",
    [
        f"password={CANARY}",
        f"password = '{CANARY} x'",
        f'{{"password": "{CANARY}"}}',
        json.dumps({"body": json.dumps({"password": CANARY, "n": json.dumps({"token": CANARY})})}),
        f"{{'Authorization': 'Basic {CANARY}'}}",
        f"Authorization: Basic {CANARY}",
        f"Authorization: Bearer {CANARY}",
        f"sent Bearer {CANARY} to it",
        f"Cookie: a=1; session={CANARY}",
        f"curl -H 'Cookie: a={CANARY}; b={CANARY}' x",
        f"mysql --password {CANARY} -u root",
        f"mysql --password={CANARY}",
        f"https://x.example/?token={CANARY}&b=1",
        f"postgresql://user:{CANARY}@db/x",
        f"redis://:{CANARY}@db",
        f"postgresql://user:a@{CANARY}/@db/x",
        f"os.environ['DB_PASSWORD'] = '{CANARY}'",
        f'token: str = "{CANARY}"',
        f"cookies={{'sid': '}}{CANARY}', 'b': '{CANARY}'}} rest",
        f"b'password': b'{CANARY}'",
        f"password='never closed {CANARY}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}",
        f"{CANARY}\n-----END PRIVATE KEY-----\n",
    ],
)
def test_a42_texts_that_look_like_secrets_are_masked(text: str) -> None:
    assert CANARY not in redact.text(text)
    assert CANARY not in redact.json(json.dumps(text))


@pytest.mark.parametrize(
    "token",
    ["tdk_" + "a1" * 20, "ghp_" + "a1" * 18, "sk-" + "a1" * 20, "AKIAABCDEFGHIJKLMNOP",
     "eyJhbGciOiJIUzI1.eyJzdWIiOiIx.c2ln", "https://" + "ghp" * 9 + "@github.com/x"],
)  # fmt: skip
def test_a42_tokens_of_a_known_form_need_no_name(token: str) -> None:
    assert token not in redact.text(f"using {token} now")


@pytest.mark.parametrize(
    "text",
    ["if token == expected:", "http://host:8080/a@b", "password=None", "ssh://git@github.com/x",
     "a basic authentication", "the token was refused", "see https://example.org/x?a=1"],
)  # fmt: skip
def test_a42_plain_words_are_left_alone(text: str) -> None:
    assert redact.text(text) == text


def test_a42_a_text_that_was_cut_before_loses_the_half_word_at_its_end() -> None:
    url = f"cannot reach postgresql://user:{CANARY}"
    assert redact.cut_text(url, len(url)) == "cannot reach …"
    assert redact.cut_text("short", 100) == "short"
    # Of a traceback the end is kept: what stood before a value may be gone.
    assert redact.tail_text(f"{CANARY}'\nValueError: x", 10) == "…\nValueError: x"


def test_a42_a_long_result_that_was_cut_is_masked_like_a_whole_one() -> None:
    beginning = json.dumps(json.dumps({"a": "x" * 50, "url": f"postgresql://u:{CANARY}@h"})[:90])
    assert CANARY[:4] in beginning
    assert CANARY[:4] not in redact.json(beginning, is_cut=True)


def test_a42_the_list_of_names_can_be_added_to_and_taken_from() -> None:
    own = Redactor(keys_of("pin, -cookie, account-number"))
    assert own.is_secret("card_pin")
    assert own.is_secret("accountNumber")
    assert not own.is_secret("cookie")
    assert own.is_secret("password")
    assert keys_of("") == DEFAULT_KEYS


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=15,
)


@given(_JSON, st.sampled_from(["password", "apiToken", "x-cookie"]))
def test_a42_whatever_stands_around_it_a_secret_is_masked_and_the_rest_is_json(document: object, key: str) -> None:
    text = json.dumps({"outer": [document, {key: CANARY}], "text": f'{key}="{CANARY}"'})
    masked = redact.json(text)
    assert CANARY not in masked
    json.loads(masked)
    assert redact.json(masked) == masked


@given(st.text(max_size=300))
def test_a42_any_text_can_be_masked(text: str) -> None:
    redact.text(text)
    redact.json(text)
    redact.cut_text(text, 1)
    redact.tail_text(text, 1)


@pytest.mark.parametrize(
    "unit",
    ["token ", "token=", 'token="', "token={", "://a:", "-----BEGIN PRIVATE KEY-----", "bearer ", "eyJ", "\\", "a"],
)
def test_a42_a_hostile_text_takes_no_more_than_linear_time(unit: str) -> None:
    import time

    text = unit * (100_000 // len(unit))
    before = time.thread_time()
    redact.text(text)
    # Quadratic it would be minutes.
    assert time.thread_time() - before < 5
