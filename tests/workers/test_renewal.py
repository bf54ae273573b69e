"""A node's credential and push key are changed while it works."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.workers import handlers
from tests.workers.signed import SignedClient
from tests.workers.test_reporting import ScriptedClient
from workers.client import Answer, Unreachable
from workers.executor.threads import ThreadRunner
from workers.http_server import Request
from workers.identity import Identity
from workers.membership import CREDENTIAL_PATH, Membership
from workers.node import Limits, Node
from workers.outbox import Outbox
from workers.protocol import HeartbeatReply, Renewed
from workers.push_keys import OLD_KEY_SECONDS, PushKeys
from workers.registry import default_registry
from workers.server import NodeServer

assert handlers

RENEWED = Renewed(credential="tdn_fresh-one", push_key="new key")
OLD = "tdn_old-one"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(
        name="n",
        limits=Limits(slots=1, max_queue=100),
        types=default_registry.types,
        outbox=Outbox(tmp_path / "outbox"),
        runners={"thread": ThreadRunner(max_result_bytes=600_000)},
    )
    node.start()
    node.push_keys.replace("old key")
    yield node
    node.close()


class Renewing:
    """A membership whose dispatcher asks for renewal with every heartbeat; ``answers`` are those to the fetching."""

    def __init__(self, node: Node, state_dir: Path, *answers: Answer | Exception) -> None:
        self.identity = Identity(state_dir, OLD)
        self._answers = list(answers)
        self.client = ScriptedClient(self._answer)
        self.membership = Membership(node, self.client, self.identity, url="http://h:1", labels={}, queues=[])

    def _answer(self, path: str, body: bytes) -> Answer | Exception:
        if path == CREDENTIAL_PATH:
            return self._answers.pop(0)
        return Answer(200, msgspec.json.encode(HeartbeatReply(renew_credential=True)))


def signed_with(key: str) -> Callable[[str], bool]:
    return lambda tried: tried == key


def test_the_new_credential_is_kept_and_used_at_once(node: Node, tmp_path: Path) -> None:
    renewing = Renewing(node, tmp_path, Answer(200, msgspec.json.encode(RENEWED)))
    # No pause: the dispatcher moves on when it sees the new credential.
    assert renewing.membership._heartbeat() == 0.0
    assert renewing.identity.token == "tdn_fresh-one"
    assert node.push_keys.current == "new key"
    assert stat.S_IMODE((tmp_path / "credential").stat().st_mode) == 0o600


def test_a_node_that_is_started_again_with_the_old_token_uses_what_it_got_for_it(tmp_path: Path) -> None:
    Identity(tmp_path, OLD).store("tdn_fresh-one")
    assert Identity(tmp_path, OLD).token == "tdn_fresh-one"
    assert Identity(tmp_path, "").token == "tdn_fresh-one"
    assert Identity(tmp_path, "tde_whatever-it-was").token == "tdn_fresh-one"
    # An operator gave it another one since.
    assert Identity(tmp_path, "tdn_another-one").token == "tdn_another-one"


def test_what_was_renewed_twice_still_belongs_to_the_token_that_was_given(tmp_path: Path) -> None:
    Identity(tmp_path, OLD).store("tdn_second-one")
    Identity(tmp_path, OLD).store("tdn_third-one")
    assert Identity(tmp_path, OLD).token == "tdn_third-one"


def test_a_credential_kept_by_an_earlier_version_is_used(tmp_path: Path) -> None:
    (tmp_path / "credential").write_text("tdn_of-one-line\n")
    assert Identity(tmp_path, "").token == "tdn_of-one-line"
    assert Identity(tmp_path, "tdn_given-one").token == "tdn_given-one"


@pytest.mark.parametrize(
    "failure",
    [Unreachable("cut"), Answer(503, b""), Answer(409, b"{}"), Answer(200, b"{"), Answer(200, b"{}")],
    ids=str,
)
def test_a_renewal_that_fails_changes_nothing_and_is_tried_again(
    node: Node, tmp_path: Path, failure: Answer | Exception
) -> None:
    renewing = Renewing(node, tmp_path, failure, Answer(200, msgspec.json.encode(RENEWED)))
    assert renewing.membership._heartbeat() > 0.0
    assert (renewing.identity.token, node.push_keys.current) == (OLD, "old key")
    assert renewing.membership._heartbeat() == 0.0
    assert renewing.identity.token == "tdn_fresh-one"


def test_what_cannot_be_kept_is_not_used(node: Node, tmp_path: Path) -> None:
    (tmp_path / "credential.new").mkdir()
    renewing = Renewing(node, tmp_path, Answer(200, msgspec.json.encode(RENEWED)))
    assert renewing.membership._heartbeat() > 0.0
    assert (renewing.identity.token, node.push_keys.current) == (OLD, "old key")


def test_requests_signed_with_either_key_are_answered(node: Node) -> None:
    server = NodeServer(node, host="127.0.0.1", port=0)

    def status(key: str) -> int:
        headers = SignedClient("http://127.0.0.1:1", key=key).headers("GET", "/status", b"")
        return server.handle(Request("GET", "/status", {name.lower(): value for name, value in headers.items()})).status

    assert (status("old key"), status("new key")) == (200, 401)
    node.push_keys.replace("new key")
    assert (status("old key"), status("new key"), status("another")) == (200, 200, 401)
    server.close()


def test_the_old_key_ends_some_time_after_the_new_one_was_seen_in_use() -> None:
    keys = PushKeys()
    assert not keys.fits(signed_with(""), 0.0)
    keys.replace("old")
    keys.replace("new")
    # However long the dispatcher takes to learn of it, as after an outage.
    assert keys.fits(signed_with("old"), 1e6)
    assert keys.fits(signed_with("new"), 1e6)
    assert keys.fits(signed_with("old"), 1e6 + OLD_KEY_SECONDS - 1)
    # Requests with the new one do not put it off.
    assert keys.fits(signed_with("new"), 1e6 + OLD_KEY_SECONDS - 1)
    assert not keys.fits(signed_with("old"), 1e6 + OLD_KEY_SECONDS)
    assert keys.fits(signed_with("new"), 1e9)


def test_the_same_key_once_more_is_no_change() -> None:
    keys = PushKeys()
    keys.replace("old")
    keys.replace("new")
    keys.replace("new")
    assert keys.fits(signed_with("old"), 1.0)
