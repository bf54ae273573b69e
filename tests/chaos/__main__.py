"""``python -m tests.chaos``: submit thousands of tasks while everything is killed, then count."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

import psycopg

from tests.architecture.sources import ROOT
from tests.chaos import evidence, records, scenarios
from tests.chaos.checker import Breach, Verdict, check
from tests.chaos.client import Client
from tests.chaos.journal import Journal
from tests.chaos.nemesis import Nemesis, plan
from tests.chaos.rig import Rig
from tests.chaos.scenarios.stage import Figure, Stage

TASKS_PER_MINUTE = 2000
SAY_EVERY_SECONDS = 10.0
#: Time after the last fault until everything has to have ended: the pass figure, and how long the rig waits at all.
QUIESCE_SECONDS = 60.0
PATIENCE_SECONDS = 120.0
#: Breaches printed of each invariant.
SHOWN = 5


def main() -> int:
    """Exit status 0: nothing lost, doubled, forged or stuck, and no invariant broken."""
    options = _options()
    signal.signal(signal.SIGTERM, _leave)
    folder = Path(options.out) if options.out else ROOT / "var" / "chaos" / _name(options)
    what = options.scenario or f"{options.minutes:g} min"
    say(f"seed {options.seed}, {options.db}, {what}, commit {_commit()}; journals in {folder}")
    if options.scenario:
        return _play(options, folder)
    with Rig(folder, postgres=options.db == "postgres") as rig:
        verdict = torment(rig, seed=options.seed, minutes=options.minutes)
    say(verdict.line)
    return 0 if verdict.is_good else 1


def _play(options: argparse.Namespace, folder: Path) -> int:
    """One scenario: its figures beside what is required of them."""
    module = scenarios.scenario(options.scenario)
    if options.db == "sqlite" and options.scenario in scenarios.POSTGRES_ONLY:
        raise SystemExit(f"{options.scenario} is about PostgreSQL")
    settings, slots = getattr(module, "SETTINGS", {}), getattr(module, "SLOTS", 4)
    with Rig(folder, postgres=options.db == "postgres", slots=slots, settings=settings) as rig:
        figures: list[Figure] = module.run(Stage(rig, options.scale))
    for figure in figures:
        mark = "ok " if figure.is_good else "BAD"
        say(f"{options.scenario} {mark} {figure.what}: {figure.measured} (required: {figure.required})")
    return 0 if all(figure.is_good for figure in figures) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long things go wrong (default: 5)")
    parser.add_argument("--db", choices=("sqlite", "postgres"), default="postgres", help="(default: postgres)")
    parser.add_argument("--seed", type=int, default=None, help="repeats the faults of an earlier run (default: any)")
    parser.add_argument(
        "--scenario", choices=scenarios.NAMES, help="one fault at a time instead, with a figure to reach"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="do so many times as much in a scenario (default: 1)")
    parser.add_argument("--out", help="a new folder for journals and logs (default: one below var/chaos)")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = int(time.time())
    return options


def torment(rig: Rig, *, seed: int, minutes: float) -> Verdict:
    """The run: load and faults for that time, healing, rest, verdict."""
    seconds = minutes * 60
    client = Client(
        Journal(rig.folder / "client.jsonl"),
        port=rig.proxies["client"].port,
        token=rig.token,
        nodes=rig.nodes,
        count=round(TASKS_PER_MINUTE * minutes),
        seconds=seconds,
        seed=seed,
    )
    nemesis = Nemesis(rig, plan(seed, seconds, nodes=rig.nodes, engines=rig.engines, postgres=rig.is_postgres))
    client.start()
    seen: dict[int, tuple[int, int, str | None]] = {}
    try:
        say_at = time.monotonic() + SAY_EVERY_SECONDS
        while not nemesis.is_over:
            nemesis.step()
            rig.tick()
            if time.monotonic() >= say_at:
                say_at += SAY_EVERY_SECONDS
                say(_progress(rig, nemesis, client, seen))
        rig.heal()
        healed = time.monotonic()
        took = _await_rest(rig, client, healed)
    finally:
        client.stop()
    return _judge(rig, client, seen, took)


def _await_rest(rig: Rig, client: Client, healed: float) -> float | None:
    """Seconds from the last fault until every task has ended; None if they did not."""
    is_at_rest = rig.wait_until(lambda: client.is_done and _open(rig) == 0, seconds=PATIENCE_SECONDS)
    took = time.monotonic() - healed
    # The roll-ups follow the feed; PostgreSQL's late rows have to have appeared.
    rig.wait(3.0)
    return took if is_at_rest else None


def _judge(rig: Rig, client: Client, seen: dict[int, tuple[int, int, str | None]], took: float | None) -> Verdict:
    found = evidence.gather(rig.folder, rig.read(), slots=rig.slots, seen_ended=seen)
    verdict = check(found)
    faults = Counter(kind for kind, *_ in found.faults)
    say(f"faults {sum(faults.values())}: " + ", ".join(f"{kind} {number}" for kind, number in sorted(faults.items())))
    say(
        "answers to the client: "
        + ", ".join(f"{status or 'none'} {n}" for status, n in sorted(client.statuses.items()))
    )
    say(", ".join(f"{name} {number}" for name, number in verdict.figures.items()))
    if rig.keeper.surprises:
        say("ended by themselves: " + ", ".join(f"{name} ({status})" for name, status in rig.keeper.surprises))
    for status in sorted(set(client.statuses) - {0, 200, 201, 202, 409, 429, 503}):
        verdict.breaches.append(_breach("P15", f"{client.statuses[status]} answers {status}"))
    if took is None or took > QUIESCE_SECONDS:
        verdict.breaches.append(_breach("T1", f"not at rest within {QUIESCE_SECONDS:.0f} s"))
    if took is not None:
        say(f"all ended {took:.1f} s after the last fault (at most {QUIESCE_SECONDS:.0f} s)")
    shown: Counter[str] = Counter()
    for breach in verdict.breaches:
        shown[breach.invariant] += 1
        if shown[breach.invariant] <= SHOWN:
            say(f"BROKEN {breach.invariant}: " + (f"task {breach.task}: " if breach.task else "") + breach.text)
    for invariant, number in shown.items():
        say(f"{invariant} broken {number} times")
    return verdict


def _progress(rig: Rig, nemesis: Nemesis, client: Client, seen: dict[int, tuple[int, int, str | None]]) -> str:
    """A line on how it stands; also looks at what has ended, to see later whether it stays so."""
    try:
        seen.update(records.ended(rig.database, after=max(seen, default=0) - 2000))
        still = str(_open(rig))
    except (psycopg.Error, OSError):
        still = "?"
    passed = time.monotonic() - nemesis.begun
    return f"{passed:4.0f} s: {client.submitted} submitted, {len(seen)} seen ended, {still} open, {nemesis.done} faults"


def _open(rig: Rig) -> int:
    return records.count_open(rig.database)


def _breach(invariant: str, text: str) -> Breach:
    return Breach(invariant, None, text)


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _name(options: argparse.Namespace) -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{options.db}-{options.seed}"


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(143)


def say(text: str) -> None:
    """One line, at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
