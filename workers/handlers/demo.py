"""Real work in small: handlers for trying things out, and examples of how handlers are written.

Those that read files stay below one folder: TASKDIST_DEMO_ROOT, or ``var/demo`` below the directory in which the node
was started.
"""

from __future__ import annotations

import hashlib
import importlib
import math
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from workers.context import Fail, TaskContext
from workers.registry import task

ROOT_VARIABLE: Final = "TASKDIST_DEMO_ROOT"
#: Most files in one task, so that a result stays readable.
MAX_FILES: Final = 2_000
MAX_SLEEP_SECONDS: Final = 3600.0
_BLOCK_BYTES: Final = 1 << 20
_IMAGES: Final = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"})
_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_SIZES: Final = range(8, 1025)
_MAX_BELOW: Final = 50_000_000
#: Below this, the first four bases prove primality.
_FOUR_BASES_PROVE: Final = 3_215_031_751
_SMALL_PRIMES: Final = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


class FlakyError(Exception):
    """What ``demo.flaky`` raises now and then."""


def demo_root() -> Path:
    """The folder that demo tasks may read and write below; raises ``Fail`` if there is none."""
    root = Path(os.environ.get(ROOT_VARIABLE) or "var/demo").resolve()
    if not root.is_dir():
        raise Fail(f"there is no folder {root}: set {ROOT_VARIABLE} to the folder that demo tasks may read")
    return root


def below_root(path: str) -> Path:
    """``path``, taken from the root, with links resolved; raises ``Fail`` if it leads out of the root."""
    root = demo_root()
    try:
        found = (root / path).resolve()
    except (OSError, ValueError) as error:
        raise Fail(f"{path!r} is no path: {error}") from None
    if not found.is_relative_to(root):
        raise Fail(f"{path!r} leads out of the folder that demo tasks may read")
    return found


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below ``folder`` in the order of names, links left out; raises ``Fail`` beyond ``MAX_FILES``."""
    if not folder.is_dir():
        raise Fail(f"there is no folder {folder.name!r} below the demo folder")
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    if len(found) > MAX_FILES:
        raise Fail(f"{folder.name!r} holds {len(found)} files; {MAX_FILES} are the most for one task")
    yield from found


@task(name="demo.noop")
def noop(payload: msgspec.Raw = msgspec.Raw(b"null")) -> None:  # noqa: B008 - any payload, never decoded
    """Do nothing, with any payload: for measuring what a task costs besides its work."""


@task(name="demo.echo")
def echo(payload: Any) -> Any:
    """Give the payload back as the result."""
    return payload


@task(name="demo.clock")
def clock() -> dict[str, float]:
    """Tell when it began, in Unix seconds: for measuring how long a task waits before it runs."""
    return {"at": time.time()}


@task(name="demo.sleep")
def sleep(context: TaskContext, seconds: float = 1.0) -> dict[str, float]:
    """Wait, showing progress; ends at once when it is cancelled."""
    if not 0 <= seconds <= MAX_SLEEP_SECONDS:
        raise Fail(f"seconds is between 0 and {MAX_SLEEP_SECONDS:.0f}")
    steps = max(1, math.ceil(seconds / 0.25))
    for step in range(steps):
        if steps > 1:
            context.progress(step / steps, f"{seconds * step / steps:.1f} of {seconds:g} s")
        context.sleep(seconds / steps)
    return {"slept_seconds": seconds}


@task(name="demo.checksum_folder", timeout=600)
def checksum_folder(context: TaskContext, folder: str = ".") -> dict[str, Any]:
    """Read every file below a folder and give the SHA-256 of each."""
    start = below_root(folder)
    files = list(files_below(start))
    sums: dict[str, str] = {}
    num_bytes = 0
    for number, path in enumerate(files):
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                context.check_cancelled()
                digest.update(block)
                num_bytes += len(block)
        sums[path.relative_to(start).as_posix()] = digest.hexdigest()
        context.progress((number + 1) / len(files), path.name)
    return {"files": sums, "num_files": len(sums), "num_bytes": num_bytes}


@task(name="demo.count_words")
def count_words(text: str = "", file: str | None = None, top: int = 10) -> dict[str, Any]:
    """Count the words of a text, or of a file below the demo folder."""
    if file is not None:
        text = below_root(file).read_text(encoding="utf-8", errors="replace")
    counts = Counter(word.lower() for word in _WORD.findall(text))
    # Ties in the order of the alphabet, so that the same text always gives the same answer.
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {"words": counts.total(), "distinct": len(counts), "top": dict(ranked[: max(0, min(top, 1000))])}


@task(name="demo.thumbnails", timeout=600)
def thumbnails(
    context: TaskContext, folder: str = "images", size: int = 128, into: str = "thumbnails"
) -> dict[str, Any]:
    """Make a small PNG of every image below a folder, and tell the sizes of both."""
    try:
        imaging = importlib.import_module("PIL.Image")
    except ModuleNotFoundError:
        raise Fail("thumbnails need Pillow: pip install pillow") from None
    if size not in _SIZES:
        raise Fail("size is between 8 and 1024 pixels")
    start, target = below_root(folder), below_root(into)
    made: dict[str, Any] = {}
    images = [p for p in files_below(start) if p.suffix.lower() in _IMAGES and not p.is_relative_to(target)]
    for number, path in enumerate(images):
        context.check_cancelled()
        relative = path.relative_to(start)
        small = target / relative.with_name(f"{relative.name}.png")
        small.parent.mkdir(parents=True, exist_ok=True)
        with imaging.open(path) as image:
            before = list(image.size)
            image.thumbnail((size, size))
            # Under another name first: two attempts may write the same one.
            fresh = small.with_name(f".{small.name}.{context.task_id}")
            image.convert("RGBA").save(fresh, "PNG")
            fresh.replace(small)
            made[relative.as_posix()] = {"from": before, "to": list(image.size), "bytes": small.stat().st_size}
        context.progress((number + 1) / len(images), path.name)
    return {"images": made, "num_images": len(made)}


@task(name="demo.primes", timeout=600)
def primes(context: TaskContext, below: int = 100_000) -> dict[str, int]:
    """Search the primes below a number, with progress, and give how many there are and the largest."""
    if not 0 <= below <= _MAX_BELOW:
        raise Fail("below is between 0 and 50,000,000")
    count, largest = 0, 0
    step = max(1, below // 200)
    for start in range(0, below, step):
        context.check_cancelled()
        for number in range(start, min(below, start + step)):
            if is_prime(number):
                count, largest = count + 1, number
        context.progress(min(1.0, (start + step) / below), f"{count} found")
    context.log.info("%d primes below %d, the largest is %d", count, below, largest)
    return {"count": count, "largest": largest}


def is_prime(number: int) -> bool:
    """Whether ``number`` is prime; exact (Miller-Rabin with bases that are proven for all 64-bit numbers)."""
    if number <= 1:
        return False
    for prime in _SMALL_PRIMES:
        if number % prime == 0:
            return number == prime
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in _SMALL_PRIMES[:4] if number < _FOUR_BASES_PROVE else _SMALL_PRIMES:
        power = pow(base, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


@task(name="demo.flaky")
def flaky(context: TaskContext, probability: float = 0.5, seed: str | int | None = None) -> dict[str, int]:
    """Fail with a given probability; with a seed, the same attempts fail every time."""
    source = f"{seed}:{context.attempt}" if seed is not None else None
    if random.Random(source).random() < probability:
        raise FlakyError(f"attempt {context.attempt} failed, as it does with probability {probability:g}")
    return {"attempt": context.attempt}


@task(name="demo.crash", executor="process", timeout=30)
def crash(context: TaskContext, until_attempt: int | None = None) -> dict[str, int]:
    """Kill the process that runs it, in every attempt or in those before a given one."""
    if until_attempt is None or context.attempt < until_attempt:
        context.log.warning("process %d ends itself", os.getpid())
        os.kill(os.getpid(), signal.SIGKILL)
    return {"attempt": context.attempt}
