"""What the nodes of the pictures run: small, but real work that reads, computes, logs, and fails for real reasons."""

from __future__ import annotations

import hashlib
import json
import random
import socket
import zlib
from typing import Annotated, Any, Literal

import msgspec

from workers.context import Fail, TaskContext
from workers.registry import task

_BLOCK = bytes(range(256)) * 256
_CURRENCIES = {"EUR": 1.0, "USD": 1.08, "CNY": 7.83}
_WORDS = ("river", "stone", "lamp", "paper", "cloud", "copper", "harbour", "window", "garden", "letter", "orchard")
_CITIES = ("Lisbon", "Oslo", "Shanghai", "Nairobi", "Quito")


@task(name="media.thumbnail", version="2.4")
def thumbnail(
    context: TaskContext,
    image: Annotated[str, msgspec.Meta(description="Where the picture lies.", pattern="^s3://")],
    width: Annotated[int, msgspec.Meta(ge=16, le=4096, description="In pixels.")] = 320,
    output: Literal["webp", "png", "jpeg"] = "webp",
) -> dict[str, Any]:
    """Make a small picture of a large one."""
    height = width * 3 // 4
    rows = (bytes((x * y) % 251 for x in range(0, width, 4)) for y in range(0, height, 4))
    packed = zlib.compress(b"".join(rows))
    context.sleep(random.uniform(0.02, 0.25))
    name = image.rpartition("/")[2].rpartition(".")[0]
    return {"file": f"{name}-{width}.{output}", "width": width, "height": height, "bytes": len(packed)}


@task(name="media.transcode", version="2.4", timeout=3600)
def transcode(
    context: TaskContext,
    video: Annotated[str, msgspec.Meta(description="Where the film lies.", pattern="^s3://")],
    height: Annotated[Literal[480, 720, 1080], msgspec.Meta(description="Lines of the new picture.")] = 1080,
    segments: Annotated[int, msgspec.Meta(ge=1, le=2000, description="Parts of ten seconds each.")] = 60,
) -> dict[str, Any]:
    """Write a film anew for another size of screen, part by part."""
    context.log.info("opening %s", video)
    context.log.info("%d segments of 10 s, target %dp, 2 passes", segments, height)
    dice, num_bytes, digest = random.Random(video), 0, hashlib.sha256()
    for number in range(1, segments + 1):
        context.check_cancelled()
        size = dice.randint(900, 2400) * 1024
        digest.update(_BLOCK)
        num_bytes += size
        context.progress(number / segments, f"segment {number} of {segments}")
        context.log.info(
            "segment %04d/%04d  %5.1f fps  %6.1f KiB", number, segments, 21 + dice.random() * 9, size / 1024
        )
        if dice.random() < 0.04:
            context.log.warning("segment %04d: bit rate above the target, encoded a second time", number)
        context.sleep(dice.uniform(0.5, 1.2))
    return {"file": video.replace(".mov", f"-{height}p.mp4"), "bytes": num_bytes, "sha256": digest.hexdigest()}


@task(name="search.index", version="1.9")
def index(context: TaskContext, collection: str, documents: int = 40) -> dict[str, Any]:
    """Take documents into the search index of a collection."""
    dice = random.Random(f"{collection}:{context.task_id}")
    terms: set[str] = set()
    for _ in range(min(documents, 400)):
        terms.update(dice.sample(_WORDS, k=6))
    context.sleep(dice.lognormvariate(-3.4, 0.8))
    return {"collection": collection, "documents": documents, "terms": len(terms)}


class Line(msgspec.Struct):
    """One line of a report."""

    city: str
    orders: int
    revenue: float


@task(name="reports.build", version="3.0", timeout=900)
def build_report(
    context: TaskContext,
    month: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d$", description="Such as 2026-10.")],
    currency: Annotated[str, msgspec.Meta(description="Of all sums.")] = "EUR",
    recipients: list[str] = [],  # noqa: B006 - never changed; the default of the schema
    with_charts: bool = True,
) -> dict[str, Any]:
    """Build the monthly report and say where it lies."""
    context.log.info("reading the orders of %s", month)
    dice, lines = random.Random(month), list[Line]()
    for done, city in enumerate(_CITIES, 1):
        orders = dice.randint(1_200, 9_000)
        lines.append(Line(city, orders, _converted(orders * dice.uniform(18, 64), currency)))
        context.log.info("%-9s %6d orders", city, orders)
        context.progress(done / (len(_CITIES) + 1), city)
        context.sleep(0.15)
    if not with_charts:
        context.log.warning("charts were left out, as was asked for")
    context.log.info("sending the report to %d people", len(recipients))
    total = round(sum(line.revenue for line in lines), 2)
    return {
        "report": f"reports/{month}.pdf",
        "pages": 14,
        "currency": currency,
        "total": total,
        "lines": [msgspec.to_builtins(line) for line in lines],
        "checksum": int.from_bytes(hashlib.sha256(str(total).encode()).digest()[:7], "big"),
    }


def _converted(amount: float, currency: str) -> float:
    try:
        rate = _CURRENCIES[currency]
    except KeyError:
        raise ValueError(f"no exchange rate for {currency!r} on 2026-11-27") from None
    return round(amount * rate, 2)


@task(name="mail.send", version="1.2")
def send_mail(
    context: TaskContext,
    to: str,
    template: str = "receipt",
    port: Annotated[int, msgspec.Meta(description="Of the mail server; 0 for none.")] = 0,
) -> dict[str, str]:
    """Send a letter that is made from a template."""
    context.log.info("writing %s to %s", template, to)
    if port:
        context.log.info("connecting to 127.0.0.1:%d", port)
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    context.sleep(random.uniform(0.01, 0.08))
    return {"to": to, "message_id": f"<{context.task_id}.{context.attempt}@mail.example.org>"}


@task(name="imports.read", version="1.1")
def read_import(context: TaskContext, source: str, text: str = "[]") -> dict[str, int]:
    """Read rows that another system has sent."""
    context.log.info("%s sent %d bytes", source, len(text))
    rows = json.loads(text)
    if not isinstance(rows, list):
        raise Fail(f"{source} sent no list of rows")
    context.sleep(random.uniform(0.05, 0.3))
    return {"rows": len(rows)}
