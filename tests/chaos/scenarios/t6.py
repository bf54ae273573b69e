"""T6: PostgreSQL is stopped hard, again and again, under load."""

from __future__ import annotations

from tests.chaos.client import Client
from tests.chaos.journal import Journal
from tests.chaos.scenarios.stage import Figure, Stage, at_most, exactly, now, verdict_figures

STOPS = 4
EVERY_SECONDS = 10.0
RESUME_SECONDS = 5.0
TASKS_PER_SECOND = 30


def run(stage: Stage) -> list[Figure]:
    """A stream of tasks; the database goes away for a second every ten."""
    rig = stage.rig
    stops = stage.times(STOPS)
    seconds = stops * EVERY_SECONDS + 5
    client = Client(
        Journal(rig.folder / "client.jsonl"),
        port=rig.web_port,
        token=rig.token,
        nodes=rig.nodes,
        count=round(seconds * TASKS_PER_SECOND),
        seconds=seconds,
        seed=6,
    )
    client.start()
    stage.pass_time(3.0)
    resumed = []
    for _ in range(stops):
        stage.strike("stop_database", "database", 1.0)
        stage.until(lambda: stage.nemesis.is_over, seconds=10)
        back = now()
        stage.pass_time(EVERY_SECONDS - 1.0)
        resumed.append(back)
    stage.until(lambda: client.is_done and stage.open_tasks() == 0)
    client.stop()
    found, verdict = stage.judge()
    acks = [line["at"] for line in found.client if line["e"] == "acked"]
    first_ack = [min((at for at in acks if at > back), default=float("inf")) - back for back in resumed]
    first_run = [
        min((run.start for run in found.runs if run.start > back), default=float("inf")) - back for back in resumed
    ]
    bad = sum(number for status, number in client.statuses.items() if status >= 500 and status != 503)
    return [
        exactly("5xx other than 503", 0, bad),
        at_most("slowest return of the API", RESUME_SECONDS, max(first_ack), " s"),
        at_most("slowest return of task starts", RESUME_SECONDS, max(first_run), " s"),
        exactly("processes that gave up", 0, len(rig.keeper.surprises)),
        *verdict_figures(verdict),
    ]
