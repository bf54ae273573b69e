"""``python -m tests.chaos``: submit thousands of tasks while everything is killed, then count."""

from __future__ import annotations

import argparse
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

import psycopg

from tests.architecture.sources import ROOT
from tests.chaos import evidence, records, scenarios
from tests.chaos.checker import FOLLOWED_SECONDS, Breach, Verdict, check
from tests.chaos.client import Client
from tests.chaos.courier import Courier
from tests.chaos.follower import Follower
from tests.chaos.journal import Journal
from tests.chaos.nemesis import Nemesis, plan
from tests.chaos.rig import Rig
from tests.chaos.scenarios.stage import Figure, Stage
from tests.chaos.secrecy import leaks

TASKS_PER_MINUTE = 2000
SAY_EVERY_SECONDS = 10.0
#: Time after the last fault until everything has to have ended, and how much longer the rig waits at all.
REST_SECONDS = 60.0
PATIENCE_SECONDS = 60.0
#: Breaches printed of each invariant.
SHOWN = 5


@dataclass
class _Seen:
    """What was read of the database while things went wrong."""

    #: Ended tasks: task → (state, attempt, digest of the result).
    ended: dict[int, tuple[int, int, str | None]] = field(default_factory=dict)
    undriven: set[int] = field(default_factory=set)


def main() -> int:
    """Exit status 0: nothing lost, doubled, forged or stuck, and no invariant broken."""
    options = _options()
    signal.signal(signal.SIGTERM, _leave)
    folder = Path(options.out) if options.out else ROOT / "var" / "chaos" / _name(options)
    what = options.scenario or f"{options.minutes:g} min"
    if options.judge:
        verdict = check(evidence.load(Path(options.judge)))
        _tell(verdict)
        say(verdict.line)
        return 0 if verdict.is_good else 1
    say(f"seed {options.seed}, {options.db}, {what}, commit {_commit()}; journals in {folder}")
    if options.scenario:
        return _play(options, folder)
    with Rig(folder, postgres=options.db == "postgres") as rig:
        verdict = torment(rig, seed=options.seed, minutes=options.minutes, rest=options.rest)
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
    parser.add_argument(
        "--rest", type=float, default=REST_SECONDS, metavar="SECONDS",
        help="everything has to have ended so long after the last fault; more for a slow machine (default: 60)",
    )  # fmt: skip
    parser.add_argument("--scale", type=float, default=1.0, help="do so many times as much in a scenario (default: 1)")
    parser.add_argument("--judge", metavar="FOLDER", help="judge the journals of an earlier run again, and run nothing")
    parser.add_argument("--out", help="a new folder for journals and logs (default: one below var/chaos)")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = int(time.time())
    return options


def torment(rig: Rig, *, seed: int, minutes: float, rest: float) -> Verdict:
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
    courier, follower = Courier(rig), Follower(rig)
    for witness in (client, courier, follower):
        witness.start()
    seen = _Seen()
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
        took = _await_rest(rig, client, healed, rest + PATIENCE_SECONDS)
        # Over the last gap, which it waits for.
        rig.wait_until(lambda: follower.position >= records.last_change(rig.database), seconds=FOLLOWED_SECONDS)
    finally:
        for witness in (client, courier, follower):
            witness.stop()
    say("false reports: " + ", ".join(f"{answer} {number}" for answer, number in sorted(courier.answers.items())))
    return _judge(rig, client, seen, took, rest)


def _await_rest(rig: Rig, client: Client, healed: float, patience: float) -> float | None:
    """Seconds from the last fault until every task has ended; None if they did not."""
    is_at_rest = rig.wait_until(lambda: client.is_done and _open(rig) == 0, seconds=patience)
    took = time.monotonic() - healed
    # The roll-ups follow the feed; PostgreSQL's late rows have to have appeared.
    rig.wait(3.0)
    return took if is_at_rest else None


def _judge(rig: Rig, client: Client, seen: _Seen, took: float | None, rest: float) -> Verdict:
    said = rig.read()
    secrets = {"an API token": rig.token, "a password of a payload": client.canary}
    secrets |= {f"the credential of {name}": token for name, token in rig.tokens.items()}
    lists = [json.dumps(rig.ask(path, timeout=30)) for path in ("/api/v1/tasks?limit=200", "/api/v1/nodes")]
    found = evidence.gather(
        rig.folder, said, slots=rig.slots, seen_ended=seen.ended, undriven=seen.undriven,
        leaks=leaks(rig.folder, said, secrets, lists),
    )  # fmt: skip
    evidence.save(found, rig.folder)
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
    if client.refusal or client.submitted < client.count:
        verdict.breaches.append(_breach("P15", f"a good submit was refused, or never answered: {client.refusal}"))
    if took is None or took > rest:
        verdict.breaches.append(_breach("T1", f"not at rest within {rest:.0f} s"))
    if took is not None:
        say(f"all ended {took:.1f} s after the last fault (at most {rest:.0f} s)")
    _tell(verdict)
    return verdict


def _tell(verdict: Verdict) -> None:
    shown: Counter[str] = Counter()
    for breach in verdict.breaches:
        shown[breach.invariant] += 1
        if shown[breach.invariant] <= SHOWN:
            say(f"BROKEN {breach.invariant}: " + (f"task {breach.task}: " if breach.task else "") + breach.text)
    for invariant, number in shown.items():
        say(f"{invariant} broken {number} times")


def _progress(rig: Rig, nemesis: Nemesis, client: Client, seen: _Seen) -> str:
    """A line on how it stands; also looks at what has ended, to see later whether it stays so."""
    try:
        seen.ended.update(records.ended(rig.database, after=max(seen.ended, default=0) - 2000))
        seen.undriven |= records.undriven(rig.database)
        still = str(records.count_open(rig.database))
    except (psycopg.Error, sqlite3.Error, OSError):
        still = "?"
    passed = time.monotonic() - nemesis.begun
    return (
        f"{passed:4.0f} s: {client.submitted} submitted, {len(seen.ended)} seen ended, {still} open, "
        f"{nemesis.done} faults"
    )


def _open(rig: Rig) -> int:
    """Tasks that have not ended; many while the database cannot be asked."""
    try:
        return records.count_open(rig.database)
    except (psycopg.Error, sqlite3.Error):
        return 10**9


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
