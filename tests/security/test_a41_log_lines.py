from __future__ import annotations

import copy
import io
import logging
import logging.config
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.test import Client

from workers.__main__ import log_to_stderr
from workers.log_lines import escaped

FORGED = "x\n2026-11-25 00:00:00,000 ERROR   dispatcher: forged"
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ ")
CANARY = "kanarie7f3a"


@contextmanager
def written(logger: logging.Logger) -> Iterator[io.StringIO]:
    """What the logger writes, by the formatter of the settings."""
    configurator = logging.config.DictConfigurator(copy.deepcopy(settings.LOGGING))
    handler = logging.StreamHandler(stream := io.StringIO())
    handler.setFormatter(configurator.configure_formatter(configurator.config["formatters"]["line"]))
    logger.addHandler(handler)
    try:
        yield stream
    finally:
        logger.removeHandler(handler)


def test_a41_the_settings_know_no_other_format() -> None:
    assert {handler["formatter"] for handler in settings.LOGGING["handlers"].values()} == {"line"}
    assert list(settings.LOGGING["formatters"]) == ["line"]


def test_a41_a_line_break_begins_no_line_of_its_own() -> None:
    logger = logging.getLogger("dispatcher.tests")
    with written(logger) as stream:
        logger.error("node %s said it", FORGED)
        try:
            raise ValueError(FORGED)
        except ValueError:
            logger.exception("it failed")
    lines = stream.getvalue().splitlines()
    assert len([line for line in lines if LINE.match(line)]) == 2
    assert all(LINE.match(line) or line.startswith("    | ") for line in lines)
    assert "x\\n2026" in lines[0]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\x1b[2J\x1b[31mred", "\\x1b[2J\\x1b[31mred"), ("a\u202egnp.exe", "a\\u202egnp.exe"),
     ("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\x85d"), ("a\r\nb\tc", "a\\r\\nb\\tc"),
     ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"), ("nul\x00del\x7f", "nul\\x00del\\x7f"),
     ("tag\U000e0041", "tag\\U000e0041"), ("half\ud800", "half\\ud800"), ("Käse 🧀 日本", "Käse 🧀 日本")],
)  # fmt: skip
def test_a41_what_cannot_be_seen_is_written_as_an_escape(text: str, shown: str) -> None:
    assert escaped(text) == shown


@pytest.mark.django_db
def test_a41_an_address_cannot_forge_a_line_either() -> None:
    with written(logging.getLogger("django.request")) as stream:
        Client().get("/no/such/%0a2026-11-25 00:00:00,000 ERROR dispatcher: forged%1b[2J")
    (line,) = stream.getvalue().splitlines()
    assert "\\n2026" in line
    assert "\x1b" not in line


def test_a42_log_lines_and_tracebacks_hold_no_secrets() -> None:
    logger = logging.getLogger("dispatcher.tests")
    with written(logger) as stream:
        logger.error("cannot reach postgresql://user:%s@db", CANARY)
        try:
            raise ValueError({"password": CANARY, "pem": f"-----BEGIN PRIVATE KEY-----\n{CANARY}"})
        except ValueError:
            logger.exception("token=%s", CANARY, stack_info=True)
    assert CANARY not in stream.getvalue()
    assert "postgresql://user:***@db" in stream.getvalue()


def test_a42_nor_do_those_of_a_worker(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made: list[logging.Handler] = []
    monkeypatch.setattr(logging, "basicConfig", lambda **options: made.extend(options["handlers"]))
    monkeypatch.setenv("TASKDIST_REDACT_KEYS", "pin")
    log_to_stderr("info")
    (handler,) = made
    text = handler.format(logging.makeLogRecord({"msg": f"pin={CANARY}\n{FORGED}", "levelname": "WARNING"}))
    assert CANARY not in text
    assert len(text.splitlines()) == 1
