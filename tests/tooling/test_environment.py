from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.core.exceptions import ImproperlyConfigured

from dispatcher.conf import Conf
from taskdist_site.env import Environment, postgresql_settings


@pytest.mark.parametrize("word", ["1", "true", "YES", " on "])
def test_yes_in_every_spelling(word: str) -> None:
    assert Environment({"X": word}).flag("X", default=False) is True


@pytest.mark.parametrize("word", ["0", "false", "No", "off"])
def test_no_in_every_spelling(word: str) -> None:
    assert Environment({"X": word}).flag("X", default=True) is False


def test_an_empty_value_means_the_default() -> None:
    env = Environment({"X": "  "})
    assert env.flag("X", default=True) is True
    assert env.integer("X", 7, minimum=0, maximum=9) == 7
    assert env.text("X", "fallback") == "fallback"
    assert env.words("X", ["a"]) == ["a"]


@pytest.mark.parametrize(
    ("word", "read"),
    [
        ("maybe", lambda env: env.flag("TASKDIST_X", default=False)),
        ("8O", lambda env: env.integer("TASKDIST_X", 1, minimum=0, maximum=100)),
        ("101", lambda env: env.integer("TASKDIST_X", 1, minimum=0, maximum=100)),
        ("nan", lambda env: env.number("TASKDIST_X", 1, minimum=0, maximum=100)),
        ("-0.1", lambda env: env.number("TASKDIST_X", 1, minimum=0, maximum=100)),
        ("loud", lambda env: env.choice("TASKDIST_X", "INFO", ("INFO", "DEBUG"))),
    ],
)
def test_a_bad_value_names_the_variable_and_the_value(word, read) -> None:
    with pytest.raises(ImproperlyConfigured, match="TASKDIST_X") as caught:
        read(Environment({"TASKDIST_X": word}))
    assert repr(word) in str(caught.value)


def test_words_are_parted_by_commas() -> None:
    assert Environment({"X": "a.example, b.example,,"}).words("X", []) == ["a.example", "b.example"]


def test_a_choice_is_read_in_any_case() -> None:
    assert Environment({"X": "debug"}).choice("X", "INFO", ("INFO", "DEBUG")) == "DEBUG"


def test_behaviour_settings_are_read_by_their_types() -> None:
    env = Environment(
        {"TASKDIST_LEASE_SECONDS": "45", "TASKDIST_CLAIM_BATCH": "10", "TASKDIST_NODE_NETWORKS": "10.0.0.0/8"}
    )
    given = env.fields_of(Conf, prefix="TASKDIST_")
    assert given == {"lease_seconds": 45.0, "claim_batch": 10, "node_networks": "10.0.0.0/8"}
    assert isinstance(given["claim_batch"], int)
    assert Conf(**given).lease_seconds == 45.0


def test_every_behaviour_setting_has_a_reader() -> None:
    variables = {f"TASKDIST_{name.upper()}": "1" for name in Conf.__dataclass_fields__}
    assert set(Environment(variables).fields_of(Conf, prefix="TASKDIST_")) == set(Conf.__dataclass_fields__)


def test_a_field_of_an_unreadable_type_is_a_mistake_of_ours() -> None:
    @dataclass
    class Odd:
        thing: bytes = b""

    with pytest.raises(TypeError, match=r"Odd\.thing"):
        Environment({"X_THING": "1"}).fields_of(Odd, prefix="X_")


def test_a_database_url_in_full() -> None:
    settings = postgresql_settings("DB", "postgresql://ann:p%40ss@db.example:6543/tasks?sslmode=require")
    assert settings["NAME"] == "tasks"
    assert settings["USER"] == "ann"
    assert settings["PASSWORD"] == "p@ss"
    assert settings["HOST"] == "db.example"
    assert settings["PORT"] == "6543"
    assert settings["OPTIONS"] == {"sslmode": "require"}


def test_a_database_url_with_a_socket_folder() -> None:
    settings = postgresql_settings("DB", "postgresql://ann@/tasks?host=/run/postgresql&port=5433")
    assert settings["HOST"] == "/run/postgresql"
    assert settings["PORT"] == "5433"
    assert settings["OPTIONS"] == {}


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ann:hidden@db/tasks",
        "postgresql://ann:hidden@db",
        "postgresql://ann:hidden@db/a/b",
        "postgresql://ann:hidden@db:port/tasks",
        "postgresql://ann:hidden@[db/tasks",
    ],
)
def test_a_bad_database_url_is_refused_without_showing_the_password(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DB") as caught:
        postgresql_settings("DB", url)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"default_max_attempts": 0},
        {"default_max_attempts": 1001},
        {"default_backoff_seconds": -1.0},
        {"default_backoff_cap_seconds": -0.5},
    ],
)
def test_defaults_that_no_task_may_have_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ImproperlyConfigured, match="default_"):
        Conf(**values)
