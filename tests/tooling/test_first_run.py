from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from django.core.exceptions import ImproperlyConfigured

from taskdist_site import first_run


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_key_is_made_once_for_the_owner_only(tmp_path: Path) -> None:
    var = tmp_path / "var"
    key = first_run.secret_key(var)
    assert len(key) >= 50
    assert first_run.secret_key(var) == key
    assert mode(var) == 0o700
    assert mode(var / "secret_key") == 0o600
    assert [path.name for path in var.iterdir()] == ["secret_key"]


def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    barrier = Barrier(8)

    def start(_: int) -> str:
        barrier.wait(60)
        return first_run.secret_key(tmp_path / "var")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(start, range(8)))) == 1


def test_an_empty_key_refuses_to_start(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("\n")
    with pytest.raises(ImproperlyConfigured, match="is empty"):
        first_run.secret_key(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ImproperlyConfigured, match="TASKDIST_VAR"):
        first_run.secret_key(tmp_path / "file" / "var")
