"""Asks one server: lists, pages, counts and groups, with the names that executions have on every server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from temporalio.api.enums.v1 import ActivityExecutionStatus, WorkflowExecutionStatus
from temporalio.api.workflowservice import v1 as ws
from temporalio.client import Client
from temporalio.service import RPCError

NAMESPACE = "default"
# More than there are executions: a list is one page of this size.
WHOLE = 1000
# Pages of a list, at most.
PAGES = 200

WORKFLOWS = "workflows"
ACTIVITIES = "activities"


@dataclass(frozen=True)
class Refused:
    """A status code and its text."""

    code: str
    text: str

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


@dataclass
class Row:
    """What a list shows of an execution, beside what differs from server to server."""

    run_id: str
    status: str
    attributes: dict[str, Any]
    shown: dict[str, Any]
    info: Any


def run_id(kind: str, info: Any) -> str:
    return info.run_id if kind == ACTIVITIES else info.execution.run_id


def row(kind: str, info: Any) -> Row:
    attributes = {name: json.loads(value.data) for name, value in info.search_attributes.indexed_fields.items()}
    if kind == ACTIVITIES:
        status = ActivityExecutionStatus.Name(info.status).removeprefix("ACTIVITY_EXECUTION_STATUS_")
        shown = {"id": info.activity_id, "type": info.activity_type.name, "queue": info.task_queue}
    else:
        status = WorkflowExecutionStatus.Name(info.status).removeprefix("WORKFLOW_EXECUTION_STATUS_")
        shown = {
            "id": info.execution.workflow_id,
            "type": info.type.name,
            "queue": info.task_queue,
            "length": info.history_length,
            "transitions": info.state_transition_count,
            "parent": info.parent_execution.workflow_id,
            "root": info.root_execution.workflow_id,
        }
    return Row(run_id(kind, info), status, attributes, shown | {"status": status}, info)


class Lists:
    """Lists of one server."""

    def __init__(self, client: Client) -> None:
        self.service = client.workflow_service

    async def page(self, kind: str, query: str, size: int, token: bytes = b"") -> tuple[list[Any], bytes]:
        if kind == ACTIVITIES:
            found = await self.service.list_activity_executions(
                ws.ListActivityExecutionsRequest(
                    namespace=NAMESPACE, query=query, page_size=size, next_page_token=token
                )
            )
        else:
            found = await self.service.list_workflow_executions(
                ws.ListWorkflowExecutionsRequest(
                    namespace=NAMESPACE, query=query, page_size=size, next_page_token=token
                )
            )
        return list(found.executions), found.next_page_token

    async def rows(self, kind: str, query: str) -> list[Row]:
        infos, _ = await self.page(kind, query, WHOLE)
        return [row(kind, info) for info in infos]

    async def runs(self, kind: str, query: str) -> list[str] | Refused:
        """Run ids of a list, or why there is none."""
        try:
            infos, _ = await self.page(kind, query, WHOLE)
            return [run_id(kind, info) for info in infos]
        except RPCError as error:
            return Refused(error.status.name, error.message)

    async def pages(self, kind: str, query: str, size: int) -> list[list[str]] | Refused:
        pages: list[list[str]] = []
        token = b""
        try:
            for _ in range(PAGES):
                infos, token = await self.page(kind, query, size, token)
                pages.append([run_id(kind, info) for info in infos])
                if not token:
                    return pages
        except RPCError as error:
            return Refused(error.status.name, error.message)
        raise RuntimeError(f"{query}: more than {PAGES} pages of {size}")

    async def count(self, kind: str, query: str) -> tuple[int, dict[str, int]] | Refused:
        """The count, and the counts of groups by their values as JSON."""
        try:
            if kind == ACTIVITIES:
                found = await self.service.count_activity_executions(
                    ws.CountActivityExecutionsRequest(namespace=NAMESPACE, query=query)
                )
            else:
                found = await self.service.count_workflow_executions(
                    ws.CountWorkflowExecutionsRequest(namespace=NAMESPACE, query=query)
                )
        except RPCError as error:
            return Refused(error.status.name, error.message)
        groups = {", ".join(value.data.decode() for value in group.group_values): group.count for group in found.groups}
        return found.count, groups
