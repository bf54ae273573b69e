"""The range for requests out of the OpenAPI document: answers are held against it as well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dispatcher import credentials
from dispatcher.scopes import Scope
from tests.api.conftest import now
from tests.factories import make_user
from tests.fuzz.range import Range
from tests.fuzz.schema_cases import SchemaAttack

CHECKS = [
    status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance,
]  # fmt: skip


@contextmanager
def _open_connection() -> Iterator[None]:
    """A request ends without its database connection, which belongs to the transaction around the batch."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in signals:
            signal.connect(close_old_connections)


class SchemaRange(Range):
    """The same installation, with an account whose token may read tasks and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        reader = credentials.issue_api_token(
            user=make_user("rita", is_staff=True), label="", wanted=[Scope.TASKS_READ], actor="tests", now=now()
        )
        self._tokens = {who: caller.token for who, caller in self.callers.items()} | {"reader": reader}
        self._application = WSGIHandler()

    def strike(self, attack: SchemaAttack) -> int:  # type: ignore[override]
        """The status of the answer; what is undocumented about it is left in ``complaint``."""
        case, self.complaint = attack.case, ""
        if attack.is_aimed:
            self._aim(case)
        token = self._tokens[attack.who]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with _open_connection():
            response = case.call(app=self._application, headers=headers)
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as group:
            self.complaint = "; ".join(f"{each.title}: {each.message}" for each in group.exceptions)
        return int(response.status_code)

    def _aim(self, case: Any) -> None:
        if "task_id" in case.path_parameters:
            case.path_parameters["task_id"] = str(self.running.pk)
        elif "name" in case.path_parameters:
            case.path_parameters["name"] = self.node.name if "/nodes/" in case.path else "default"
        case.body = self._aimed(case.body)

    def _aimed(self, value: Any) -> Any:
        """A body with the names of what there is."""
        if isinstance(value, list):
            return [self._aimed(each) for each in value]
        if not isinstance(value, dict):
            return value
        real = {
            "task_id": str(self.running.pk), "taskId": str(self.running.pk), "ids": [str(self.running.pk)],
            "boot_id": self.node.boot_id, "nodeId": self.node.name, "attempt": self.running.attempt,
            "url": "http://127.0.0.1:9",
        }  # fmt: skip
        return {name: real.get(name, self._aimed(inner)) for name, inner in value.items()}
