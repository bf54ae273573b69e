from __future__ import annotations

import os
import pty

from dispatcher.launch.console import Console
from tests.launch.programs import eventually


def test_lines_to_nobody_are_no_error() -> None:
    reader, writer = os.pipe()
    console = Console(stdout=writer)
    console.say("one …")
    assert os.read(reader, 100) == "one …\n".encode()
    os.close(reader)
    console.say("two")
    console.say("three")
    os.close(writer)


def test_a_closed_terminal_is_noticed() -> None:
    master, terminal = pty.openpty()
    console = Console(stdin=terminal)
    assert not console.is_gone()
    os.close(master)
    assert eventually(console.is_gone)
    os.close(terminal)


def test_a_pipe_is_no_terminal_that_could_close() -> None:
    reader, writer = os.pipe()
    console = Console(stdin=reader)
    os.close(writer)
    assert not console.is_gone()
    os.close(reader)
