"""The demo handlers do what they say, and read only below their folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from workers import Fail, TaskCancelled, TaskContext
from workers.handlers import demo
from workers.notes import Notes


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setenv(demo.ROOT_VARIABLE, str(folder))
    return folder


def a_context(attempt: int = 1) -> TaskContext:
    return TaskContext("t", attempt, 3, Notes())


def test_checksums_are_those_of_the_files(root: Path) -> None:
    contents = {"a.txt": b"a", "sub/b.bin": bytes(3_000_000), "sub/deep/c": b""}
    for name, data in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    found = demo.checksum_folder(a_context(), ".")
    assert found["files"] == {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    assert (found["num_files"], found["num_bytes"]) == (3, 3_000_001)


@pytest.mark.parametrize("path", ["..", "../secret.txt", "/etc", "a/../../x", "link", "a\0b"])
def test_nothing_outside_the_folder_is_read(root: Path, path: str) -> None:
    (root / "link").symlink_to(root.parent)
    for handler in (lambda: demo.checksum_folder(a_context(), path), lambda: demo.count_words(file=path)):
        with pytest.raises(Fail):
            handler()


def test_links_below_the_folder_are_left_out(root: Path) -> None:
    (root / "link.txt").symlink_to(root.parent / "secret.txt")
    assert demo.checksum_folder(a_context(), ".")["files"] == {}


def test_a_folder_that_is_not_there_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Fail, match="no folder 'nope'"):
        demo.checksum_folder(a_context(), "nope")
    monkeypatch.setenv(demo.ROOT_VARIABLE, str(root / "gone"))
    with pytest.raises(Fail, match=demo.ROOT_VARIABLE):
        demo.checksum_folder(a_context(), ".")


def test_words_are_counted(root: Path) -> None:
    counted = demo.count_words("The cat, the hat — don't! Don't 42 grün", top=2)
    assert counted == {"words": 7, "distinct": 5, "top": {"don't": 2, "the": 2}}
    (root / "text").write_text("one two two")
    assert demo.count_words(file="text")["words"] == 3


def test_thumbnails_are_real_images(root: Path) -> None:
    (root / "images" / "sub").mkdir(parents=True)
    Image.new("RGB", (640, 320), "red").save(root / "images" / "wide.jpg")
    Image.new("L", (30, 60)).save(root / "images" / "sub" / "small.png")
    (root / "images" / "notes.txt").write_text("no image")
    made = demo.thumbnails(a_context(), "images", 64)
    assert made["num_images"] == 2
    assert made["images"]["wide.jpg"]["from"] == [640, 320]
    assert made["images"]["wide.jpg"]["to"] == [64, 32]
    with Image.open(root / "thumbnails" / "wide.jpg.png") as small:
        assert small.size == (64, 32)
        assert small.convert("RGB").getpixel((10, 10))[0] > 200
    assert sorted(p.name for p in (root / "thumbnails").rglob("*.png")) == ["small.png.png", "wide.jpg.png"]


def test_primes_are_counted() -> None:
    assert demo.primes(a_context(), 100) == {"count": 25, "largest": 97}
    assert demo.primes(a_context(), 100_000) == {"count": 9592, "largest": 99991}
    assert demo.primes(a_context(), 0) == {"count": 0, "largest": 0}
    assert not demo.is_prime(3_215_031_751)
    assert demo.is_prime(2_147_483_647)


def test_a_search_for_primes_stops_when_asked() -> None:
    context = a_context()
    context.request_stop("cancelled")
    with pytest.raises(TaskCancelled):
        demo.primes(context, 1_000_000)


def test_flaky_fails_as_often_as_asked_and_the_same_with_a_seed() -> None:
    def fails(seed: int) -> bool:
        try:
            demo.flaky(a_context(), 0.3, seed)
        except demo.FlakyError:
            return True
        return False

    failed = [fails(seed) for seed in range(2000)]
    assert failed == [fails(seed) for seed in range(2000)]
    assert 500 < sum(failed) < 700
    with pytest.raises(demo.FlakyError):
        demo.flaky(a_context(), 1.0)
    assert demo.flaky(a_context(attempt=2), 0.0) == {"attempt": 2}


def test_sleep_refuses_nonsense_and_echo_echoes() -> None:
    assert demo.sleep(a_context(), 0.0) == {"slept_seconds": 0.0}
    with pytest.raises(Fail):
        demo.sleep(a_context(), -1.0)
    assert demo.echo({"a": [1]}) == {"a": [1]}


def test_crash_spares_later_attempts() -> None:
    assert demo.crash(a_context(attempt=2), until_attempt=2) == {"attempt": 2}
