"""A topic that somebody watches: its document, its sequence, and its latest frames, made once for all who watch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from dispatcher.live.deltas import Document, diff
from dispatcher.live.messages import DeltaFrame, Snapshot, SnapshotReason, encode
from dispatcher.live.topics import Topic

#: Deltas kept for those who are a little behind; who is further behind gets a snapshot.
RING = 8


class Frame(NamedTuple):
    """A frame and the sequence number that its receiver is at with it."""

    seq: int
    text: str


class Channel:
    """One topic's state. Changed by the hub between its passes, read by the seats, all on the event loop."""

    def __init__(self, topic: Topic, epoch: str, numbers: Iterator[int]) -> None:
        """``numbers`` gives the sequence numbers; all channels of the epoch share it, so that none comes twice."""
        self.topic = topic
        self.epoch = epoch
        self.seq = 0
        self._numbers = numbers
        self._document: Document | None = None
        self._deltas: deque[tuple[int, Frame]] = deque(maxlen=RING)
        self._snapshots: dict[SnapshotReason, str] = {}
        #: Nobody looked for a while, so the document is old: it has to be read before anyone gets it.
        self.is_stale = False
        # The following are the hub's thread's own.
        #: News came since the document was read.
        self.is_dirty = True
        #: When that was, monotonic.
        self.read_at = 0.0
        self.is_failing = False

    @property
    def is_loaded(self) -> bool:
        """Whether there is a document yet."""
        return self._document is not None

    @property
    def is_fresh(self) -> bool:
        """Whether the document is that of the present."""
        return self.is_loaded and not self.is_stale

    def advance(self, document: Document) -> bool:
        """Take in a fresh document; True if that makes a frame."""
        old, self._document = self._document, document
        self.is_stale = False
        if old is None:
            self.seq = next(self._numbers)
            return True
        delta = diff(old, document, self.topic.lists)
        if delta is None:
            return False
        since, self.seq = self.seq, next(self._numbers)
        frame = DeltaFrame(self.topic.name, self.epoch, since, self.seq, delta.data, delta.rows)
        self._deltas.append((since, Frame(self.seq, encode(frame))))
        self._snapshots.clear()
        return True

    def next_frame(self, known: int | None, reason: SnapshotReason) -> Frame | None:
        """What someone who is at ``known`` (None: nowhere) needs next, if anything. ``reason`` is for a snapshot."""
        if not self.is_fresh or known == self.seq:
            return None
        for since, frame in self._deltas:
            if since == known:
                return frame
        return Frame(self.seq, self._snapshot(reason))

    def _snapshot(self, reason: SnapshotReason) -> str:
        text = self._snapshots.get(reason)
        if text is None:
            text = encode(Snapshot(self.topic.name, self.epoch, self.seq, reason, self._document))
            self._snapshots[reason] = text
        return text
