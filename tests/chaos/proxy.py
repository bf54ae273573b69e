"""An HTTP proxy that can be a bad network: one per direction and node, its mode switched while it runs.

It knows just enough HTTP/1.1 to tell where a request and an answer end. All proxies live on one event loop in a
thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from dataclasses import dataclass, field

MODES = ("refuse", "blackhole", "reset", "delay", "drop_response", "duplicate", "drip")
#: How long requests are held back in the mode ``delay``, in seconds.
DELAY_SECONDS = 1.0
DRIP_SECONDS = 0.1
#: What a blackhole swallowed arrives within this time after its end, and in the worst order: first the heartbeat, by
#: which the node is alive again and is given its tasks a second time, last the results of the first time.
RESEND_SECONDS = 0.3
RESULTS_RESEND_SECONDS = (1.0, 2.5)
RESULTS = b"POST /api/v1/nodes/results "
#: No single wait is longer, so that nothing of a proxy outlives its run.
LONGEST_WAIT_SECONDS = 120.0


class ProxyLoop:
    """The event loop of all proxies, in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="proxies", daemon=True)
        self._thread.start()

    def run(self, coroutine: asyncio.Future[None]) -> None:
        """Run something on the loop and wait for its end."""
        asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)  # type: ignore[arg-type]

    def close(self) -> None:
        """Cut every connection and end the thread."""

        async def cancel_all() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for one in others:
                one.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.run(cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


@dataclass
class Proxy:
    """``port`` → ``target`` on this machine. ``share``: of how many requests the mode gets hold."""

    loop: ProxyLoop
    name: str
    port: int
    target: int
    mode: str = "pass"
    share: float = 1.0
    delay_seconds: float = DELAY_SECONDS
    #: Requests that reached the proxy, and those that the mode got hold of.
    requests: int = 0
    hit: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _random: random.Random = field(default_factory=lambda: random.Random(1))

    def start(self) -> None:
        """Listen."""
        self.loop.run(self._listen())

    def set_mode(self, mode: str, *, share: float = 1.0, delay_seconds: float = DELAY_SECONDS) -> None:
        """Be this kind of network from now on; ``pass`` is a good one."""
        self.loop.run(self._set_mode(mode, share, delay_seconds))

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=2**20)

    async def _set_mode(self, mode: str, share: float, delay_seconds: float) -> None:
        self.mode, self.share, self.delay_seconds = mode, share, delay_seconds
        self._changed.set()
        self._changed = asyncio.Event()
        if mode in ("refuse", "reset"):
            for writer in list(self._open):
                _reset(writer)
        if mode == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
        elif mode != "refuse" and self._server is None:
            await self._listen()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        target: asyncio.StreamWriter | None = None
        try:
            answers, target = await asyncio.open_connection("127.0.0.1", self.target, limit=2**20)
            await self._exchange(reader, writer, answers, target)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            _reset(writer)
        except asyncio.CancelledError:
            pass
        finally:
            self._open.discard(writer)
            writer.close()
            if target is not None:
                target.close()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        target: asyncio.StreamWriter,
    ) -> None:
        """Request after request, until one side closes; then the other is told, as by a real connection."""
        request = asyncio.ensure_future(_message(reader))
        answer = asyncio.ensure_future(_message(answers))
        try:
            while True:
                await asyncio.wait({request, answer}, return_when=asyncio.FIRST_COMPLETED)
                if not request.done() or not (body := await request):
                    return
                mode = self._mode_for_this()
                if mode in ("reset", "refuse"):
                    _reset(writer)
                    return
                if mode == "blackhole":
                    # Nothing is lost that TCP sends again: it arrives some time after the network is good again.
                    await self._wait_for_change()
                    window = RESULTS_RESEND_SECONDS if body.startswith(RESULTS) else (0.0, RESEND_SECONDS)
                    await asyncio.sleep(self._random.uniform(*window))
                if mode == "delay":
                    await asyncio.sleep(self.delay_seconds)
                if mode == "duplicate":
                    await self._send_aside(body)
                target.write(body)
                await target.drain()
                request = asyncio.ensure_future(_message(reader))
                await asyncio.wait({request, answer}, return_when=asyncio.FIRST_COMPLETED)
                if not answer.done() or not (said := await answer) or mode == "drop_response":
                    _reset(writer)
                    return
                while self.mode == "blackhole" and self.share >= 1.0:
                    await self._wait_for_change()
                await self._write(writer, said, drip=mode == "drip")
                answer = asyncio.ensure_future(_message(answers))
        finally:
            request.cancel()
            answer.cancel()

    def _mode_for_this(self) -> str:
        self.requests += 1
        if self.mode == "pass" or self._random.random() >= self.share:
            return "pass"
        self.hit += 1
        return self.mode

    async def _wait_for_change(self) -> None:
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(self._changed.wait(), LONGEST_WAIT_SECONDS)

    async def _write(self, writer: asyncio.StreamWriter, data: bytes, *, drip: bool) -> None:
        """Send an answer; byte by byte as long as the network is like that."""
        sent = 0
        while drip and sent < len(data) and self.mode == "drip":
            writer.write(data[sent : sent + 1])
            await writer.drain()
            await asyncio.sleep(DRIP_SECONDS)
            sent += 1
        writer.write(data[sent:])
        await writer.drain()

    async def _send_aside(self, body: bytes) -> None:
        """Send the same request once more on another connection, and forget its answer."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
            answers, target = await asyncio.open_connection("127.0.0.1", self.target, limit=2**20)
            try:
                target.write(body)
                await asyncio.wait_for(_message(answers), 10)
            finally:
                target.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """One request or answer with its body; empty at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return b""
    except ConnectionError:
        return b""
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:] if line)
    }
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        return head + await _chunks(reader)
    if b"content-length" in headers:
        return head + await reader.readexactly(int(headers[b"content-length"]))
    if head.startswith(b"HTTP/") and head.split(b" ", 2)[1] not in (b"204", b"304"):
        return head + await reader.read(-1)
    return head


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        parts += [line, await reader.readexactly(size + 2)]
        if size == 0:
            return b"".join(parts)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a TCP reset, as a cut cable or a dead host's successor does."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
