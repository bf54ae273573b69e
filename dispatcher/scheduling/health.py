"""The failure detector: which nodes are online, suspect or offline, from when they were last heard.

Three rules keep it from mistaking our own trouble for theirs:

- Silence counts only while somebody listened. After a start, an own pause (frozen machine, stopped process) or a jump
  of the clock every node that was not offline before gets one full grace period.
- If most nodes fall silent together, the network or we are the likelier cause: nobody is declared offline for one more
  grace period, and the sweep says so. If they answer when asked, it is our intake that is down: these are spared for as
  long as they answer. So is a single node, if it is all there is.
- Suspicion takes nothing away: a suspect node gets no new work, and is online again at its next heartbeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dispatcher.states import NodeState


@dataclass(frozen=True, slots=True)
class Pulse:
    """What is on record of a node: its state so far, its last heartbeat, the end of its lease (POSIX seconds)."""

    node_id: int
    state: NodeState
    last_seen: float
    lease_expires: float
    #: False for a node whose silence is no surprise (disabled): it is judged, but is no part of a mass silence.
    is_expected: bool = True
    #: It answered lately when it was asked. That alone does not keep it online: it may be unable to report.
    is_answering: bool = False


@dataclass(frozen=True, slots=True)
class HealthRules:
    """Limits of the detector, in seconds unless said otherwise."""

    suspect_seconds: float = 15.0
    lease_seconds: float = 30.0
    #: How long nodes get after an outage of ours, and how long offline verdicts are held when most fall silent.
    grace_seconds: float = 30.0
    sweep_seconds: float = 2.0
    #: Share and number of nodes that make a mass silence.
    mass_share: float = 0.55
    mass_count: int = 2
    #: How far the wall clock may drift from the monotonic one between two sweeps.
    clock_tolerance_seconds: float = 5.0

    @property
    def outage_seconds(self) -> float:
        """A gap between sweeps beyond this is an outage of ours; shorter ones cannot cost a healthy node its lease."""
        return max(2 * self.sweep_seconds, (self.lease_seconds - self.suspect_seconds) / 2)


@dataclass(frozen=True, slots=True)
class HealthMemory:
    """Carried from sweep to sweep by the one who sweeps; lost at a restart, which is what makes a restart an outage."""

    swept_at: float
    swept_monotonic: float
    #: Silence before this is not held against anyone.
    listening_since: float
    #: End of the hold on offline verdicts; kept until the mass silence is over, so that there is one hold for each.
    hold_until: float | None = None


@dataclass(frozen=True, slots=True)
class Sweep:
    """Verdicts of one sweep."""

    #: By node id, every node of the sweep.
    states: dict[int, NodeState]
    memory: HealthMemory
    #: Nodes whose lease has ended and that are spared for now because most are silent; worth an alert if any.
    held: tuple[int, ...]
    #: An own outage or a jump of the clock was noticed: a grace period began.
    is_resumed: bool
    #: How far the clock jumped forward since the last sweep, in seconds; 0.0 if it did not.
    jump_seconds: float = 0.0


def sweep(
    pulses: Sequence[Pulse], *, now: float, monotonic: float, memory: HealthMemory | None, rules: HealthRules
) -> Sweep:
    """Judge all nodes.

    ``now`` is the clock that ``last_seen`` and ``lease_expires`` are on, ``monotonic`` the sweeper's own; ``memory``
    comes from the last sweep, None at start.
    """
    is_resumed = memory is None or _was_outage(memory, now, monotonic, rules)
    since = now if memory is None or is_resumed else memory.listening_since
    states = {pulse.node_id: _judge(pulse, since, now, rules) for pulse in pulses}

    alive = [pulse.node_id for pulse in pulses if pulse.state is not NodeState.OFFLINE and pulse.is_expected]
    silent = [node_id for node_id in alive if states[node_id] is not NodeState.ONLINE]
    expired = [node_id for node_id in alive if states[node_id] is NodeState.OFFLINE]
    hold_until = memory.hold_until if memory is not None else None
    held: tuple[int, ...] = ()
    is_mass = len(silent) >= rules.mass_count and len(silent) >= rules.mass_share * len(alive)
    if not is_mass:
        hold_until = None
    elif expired:
        hold_until = now + rules.grace_seconds if hold_until is None else hold_until
        held = tuple(expired) if now < hold_until else ()
    if expired and not held and (is_mass or len(silent) == len(alive)):
        answering = {pulse.node_id for pulse in pulses if pulse.is_answering}
        held = tuple(node_id for node_id in expired if node_id in answering)
    for node_id in held:
        states[node_id] = NodeState.SUSPECT
    jump = 0.0 if memory is None else _jump(memory, now, monotonic)
    forward = jump if jump > rules.clock_tolerance_seconds else 0.0
    return Sweep(states, HealthMemory(now, monotonic, since, hold_until), held, is_resumed, forward)


def _was_outage(memory: HealthMemory, now: float, monotonic: float, rules: HealthRules) -> bool:
    """Whether nobody swept for too long, or the wall clock jumped since the last sweep."""
    gap = monotonic - memory.swept_monotonic
    return gap > rules.outage_seconds or abs(_jump(memory, now, monotonic)) > rules.clock_tolerance_seconds


def _jump(memory: HealthMemory, now: float, monotonic: float) -> float:
    """How much more the wall clock went forward since the last sweep than time did."""
    return (now - memory.swept_at) - (monotonic - memory.swept_monotonic)


def _judge(pulse: Pulse, since: float, now: float, rules: HealthRules) -> NodeState:
    """Verdict on one node by itself; ``since`` is when we began to listen."""
    heard, lease_ends = pulse.last_seen, pulse.lease_expires
    if heard > now + rules.clock_tolerance_seconds:
        # The clock was set back since: the heartbeat's time means nothing, that it came before now does.
        heard, lease_ends = since, since + rules.lease_seconds
    if pulse.state is not NodeState.OFFLINE:
        heard = max(heard, since)
        lease_ends = max(lease_ends, since + rules.grace_seconds)
    if now >= lease_ends:
        return NodeState.OFFLINE
    if now - heard >= rules.suspect_seconds:
        return NodeState.OFFLINE if pulse.state is NodeState.OFFLINE else NodeState.SUSPECT
    return NodeState.ONLINE
