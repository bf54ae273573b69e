"""`manage.py up`: a whole installation on this machine, in the foreground."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from dispatcher import checks
from dispatcher.launch import preparation, programs, reachability
from dispatcher.launch.console import Console
from dispatcher.launch.holding import HeldByAnother, Holding
from dispatcher.launch.programs import Address, Program
from dispatcher.launch.supervisor import Supervisor

WEB_READY_SECONDS = 30.0
# A little more than the keeper grants the children of a killed supervisor.
HOLDING_PATIENCE_SECONDS = 12.0


class WholeNumber:
    """An argparse type: a whole number within bounds, both included."""

    def __init__(self, lowest: int, highest: int) -> None:
        self._lowest = lowest
        self._highest = highest

    def __call__(self, word: str) -> int:
        """Return the number; the error argparse shows names the bounds."""
        try:
            number = int(word)
        except ValueError:
            number = self._lowest - 1
        if not self._lowest <= number <= self._highest:
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {self._lowest} to {self._highest}, not {word!r}"
            )
        return number


class Command(BaseCommand):
    """Prepare `var/`, then run the web tier, the engine and local worker nodes until Ctrl-C or SIGTERM."""

    help = (
        "Run a whole installation on this machine: web tier, engine and local worker nodes. "
        "The first start makes the database and the user `admin`. Ctrl-C or SIGTERM ends everything."
    )
    # System checks look at the database, which may not exist before this command has made it.
    requires_system_checks = []

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._console = Console()
        self._say = self._console.say

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--host", default=settings.TASKDIST_HOST, help="address to listen on (%(default)s)")
        parser.add_argument(
            "--port", type=WholeNumber(1, 65535), default=settings.TASKDIST_PORT, help="port to listen on (%(default)s)"
        )
        parser.add_argument(
            "--workers", type=WholeNumber(0, 64), default=2, help="worker nodes on this machine (%(default)s)"
        )
        parser.add_argument(
            "--slots", type=WholeNumber(1, 1024), default=4, help="tasks each of them runs at once (%(default)s)"
        )

    def handle(self, *, host: str, port: int, workers: int, slots: int, **_options: Any) -> None:
        """Run until told to stop; CommandError where the set-up does not allow it."""
        var_dir = Path(settings.VAR_DIR)
        address = Address(host=host, port=port)
        preparation.prepare_folders(var_dir)
        # After that: an earlier folder that was open is closed now.
        checks.refuse_unsafe_start()
        with self._hold(var_dir) as holding:
            reachability.check_free(address)
            holding.announce(address)
            supervisor = Supervisor(
                working_dir=settings.BASE_DIR,
                log_dir=var_dir / "log",
                holding=holding.descriptor,
                say=self._say,
                is_deserted=self._console.is_gone,
            )
            supervisor.listen_to_signals()
            preparation.migrate()
            password = preparation.make_first_admin()
            if password:
                # Said before anything else can fail: it is never shown again.
                self._say_password(password)
            environment = programs.base_environment(var_dir, address)
            nodes = [
                self._worker(var_dir / "nodes", f"local-{number}", address, slots, environment)
                for number in range(1, workers + 1)
            ]
            preparation.close_connections()
            self._supervise(supervisor, address, environment, nodes)

    def _supervise(
        self, supervisor: Supervisor, address: Address, environment: dict[str, str], nodes: list[Program]
    ) -> None:
        try:
            manage = Path(settings.BASE_DIR) / "manage.py"
            self._say("Starting the web tier and the engine …")
            supervisor.start([programs.web_program(address, environment), programs.engine_program(manage, environment)])
            answered = supervisor.run_until(lambda: reachability.answers(address), WEB_READY_SECONDS)
            if not answered and not supervisor.is_stopping:
                self._say(f"The web tier does not answer yet. Its log is {settings.VAR_DIR}/log/web.log.")
            supervisor.start(nodes)
            if supervisor.run_until(lambda: reachability.answers(address), math.inf):
                self._say_welcome(address, len(nodes))
            supervisor.run()
        finally:
            self._say("Stopping …")
            killed = supervisor.stop()
            self._say(f"Stopped; had to kill {', '.join(killed)}." if killed else "Stopped.")

    def _hold(self, var_dir: Path) -> Holding:
        holding = Holding(var_dir)
        try:
            holding.take(patience_seconds=HOLDING_PATIENCE_SECONDS)
        except HeldByAnother as error:
            raise CommandError(
                f"{var_dir} is in use by a running installation (process {error.pid}). "
                f"Stop that one first (kill {error.pid}), or give this one a folder of its own with TASKDIST_VAR."
            ) from error
        return holding

    def _worker(self, nodes_dir: Path, name: str, address: Address, slots: int, environment: dict[str, str]) -> Program:
        node_dir = nodes_dir / name
        token_file = preparation.ensure_worker_token(node_dir, name=name, now=timezone.now())
        return programs.worker_program(
            name=name,
            address=address,
            slots=slots,
            node_dir=node_dir,
            token_file=token_file,
            environment=environment,
        )

    def _say_password(self, password: str) -> None:
        self._say("")
        self._say(f"  First start: log in as  {preparation.ADMIN_NAME}  with the password  {password}")
        self._say("  It is shown this once and kept nowhere. To set another: manage.py changepassword admin")
        self._say("")

    def _say_welcome(self, address: Address, num_nodes: int) -> None:
        python = self._typed_interpreter()
        self._say("")
        self._say(f"  taskdist is running at  {address.url}/")
        nodes = "1 worker node" if num_nodes == 1 else f"{num_nodes} worker nodes"
        self._say(f"  with {nodes} on this machine. Logs are in {settings.VAR_DIR}/log/.")
        self._say("")
        self._say(f"  Log in as {preparation.ADMIN_NAME}, then give it something to do, in another terminal:")
        self._say(f"    {python} manage.py demo --tasks 200")
        self._say(f"  If something looks wrong:  {python} manage.py doctor")
        self._say("  Ctrl-C stops everything. README.md has a tour.")
        self._say("")

    def _typed_interpreter(self) -> str:
        executable = Path(sys.executable)
        is_ours = executable.is_relative_to(settings.BASE_DIR)
        return str(executable.relative_to(settings.BASE_DIR) if is_ours else executable)
