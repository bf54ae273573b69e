"""The mix of tasks, and what their results must be."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from dispatcher.demo.material import IMAGES_PER_FOLDER, folders, has_images, image_folders
from dispatcher.lifecycle import TaskSpec

TAG = "demo"
#: Types with their share of the mix, in percent. What is left goes to ``demo.echo``.
SHARES = {
    "demo.checksum_folder": 25,
    "demo.count_words": 25,
    "demo.primes": 12,
    "demo.noop": 12,
    "demo.flaky": 8,
    "demo.sleep": 4,
    "demo.thumbnails": 2,
}
#: One in so many tasks ends its own process, until it is failed as poison.
CRASH_EVERY = 1000


def make_mix(count: int, *, run: str, seed: int = 1) -> list[TaskSpec]:
    """``count`` tasks in a shuffled order; the same seed gives the same mix. ``run`` becomes a tag of all of them."""
    rng = random.Random(seed)
    types = [name for name, share in SHARES.items() for _ in range(count * share // 100)]
    types += ["demo.crash"] * (count // CRASH_EVERY)
    types += ["demo.echo"] * (count - len(types))
    if not has_images():
        types = ["demo.echo" if name == "demo.thumbnails" else name for name in types]
    rng.shuffle(types)
    return [
        TaskSpec(
            type=name,
            payload=json.dumps(_payload(name, number, rng)),
            tags=[TAG, run],
            priority=rng.choice((0, 0, 0, 1, 5)),
            max_attempts=5,
            backoff_seconds=0.5,
        )
        for number, name in enumerate(types)
    ]


def _payload(name: str, number: int, rng: random.Random) -> dict[str, Any]:
    match name:
        case "demo.checksum_folder":
            return {"folder": rng.choice(folders())}
        case "demo.count_words":
            return {"file": f"{rng.choice(folders())}/text-00.txt", "top": 3}
        case "demo.primes":
            return {"below": rng.randrange(2_000, 12_000)}
        case "demo.flaky":
            return {"probability": 0.3, "seed": number}
        case "demo.sleep":
            return {"seconds": round(rng.uniform(0.1, 1.0), 2)}
        case "demo.thumbnails":
            return {"folder": rng.choice(image_folders()), "size": 96}
        case "demo.echo":
            return {"number": number, "words": rng.sample(("红", "grün", "blue", "jaune"), k=2)}
        case _:
            return {}


def check(root: Path, name: str, payload: str, result: str | None) -> str:
    """What is wrong with the result of a succeeded task, computed anew here; empty if it is right."""
    given, found = json.loads(payload), json.loads(result or "null")
    expected: Any
    match name:
        case "demo.checksum_folder":
            expected, found = _checksums(root / given["folder"]), found["files"]
        case "demo.count_words":
            expected, found = len((root / given["file"]).read_text().split()), found["words"]
        case "demo.primes":
            expected, found = _num_primes(given["below"]), found["count"]
        case "demo.echo":
            expected = given
        case "demo.sleep":
            expected, found = given["seconds"], found["slept_seconds"]
        case "demo.thumbnails":
            expected, found = IMAGES_PER_FOLDER, found["num_images"]
        case _:
            return ""
    return "" if expected == found else f"{name} {payload}: expected {expected!r}, found {found!r}"


@cache
def _checksums(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(_files(folder))}


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_file())


@cache
def _num_primes(below: int) -> int:
    sieve = bytearray([1]) * below
    sieve[:2] = b"\x00\x00"
    for number in range(2, int(below**0.5) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, below, number)))
    return sum(sieve)
