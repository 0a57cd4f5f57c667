"""What a scenario is given: a client, names of its own, handshakes, and a notebook."""

from __future__ import annotations

import asyncio
import threading
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Awaitable, Callable

import temporalio.api.common.v1 as common_pb
import temporalio.api.errordetails.v1 as errordetails_pb  # noqa: F401 (types of error details)
from google.protobuf.json_format import MessageToDict
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import TemporalError
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

# A wait that lasts longer means the server lost something.
PATIENCE_SECONDS = 60
# Longer than the usual ten seconds, so that a busy machine delays a workflow task rather than
# changing the history. Scenarios about these limits set their own.
TASK_TIMEOUT = timedelta(seconds=30)


class Gate:
    """A handshake between a scenario and the code its worker runs in this process."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.leave = asyncio.Event()
        self.token = b""
        self.count = 0

    async def hold(self) -> None:
        """Called by an activity: reports that it runs and waits to be let go."""
        self.entered.set()
        await self.leave.wait()


class ThreadGate:
    """The same for workflow code, which runs on a thread and blocks its workflow task."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.entered = asyncio.Event()
        self.leave = threading.Event()
        self.count = 0

    def hold(self) -> None:
        self._loop.call_soon_threadsafe(self.entered.set)
        # Below the two seconds after which the SDK calls a workflow deadlocked.
        self.leave.wait(1.8)


# Worker code finds its gate by workflow id, which is unique per server and scenario.
gates: dict[str, Gate] = {}
thread_gates: dict[str, ThreadGate] = {}


@dataclass
class Env:
    """One run of one scenario against one server."""

    client: Client
    scenario: str
    prefix: str = field(default_factory=lambda: f"sdk-{uuid.uuid4().hex[:8]}")
    # (workflow id, run id) in the order the scenario started them.
    runs: list[tuple[str, str]] = field(default_factory=list)
    # What the scenario saw besides histories; compared between servers too.
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def task_queue(self) -> str:
        return f"{self.prefix}.{self.scenario}"

    def id(self, suffix: str = "wf") -> str:
        return f"{self.prefix}.{self.scenario}.{suffix}"

    def gate(self, workflow_id: str | None = None) -> Gate:
        return gates.setdefault(workflow_id or self.id(), Gate())

    def thread_gate(self, workflow_id: str | None = None) -> ThreadGate:
        return thread_gates.setdefault(workflow_id or self.id(), ThreadGate())

    def worker(self, *workflows: type, activities: Any = (), **options: Any) -> Worker:
        """A worker on the scenario's queue; `async with` runs it."""
        # The sandbox re-imports modules for each workflow and would hide the gates.
        options.setdefault("workflow_runner", UnsandboxedWorkflowRunner())
        options.setdefault("task_queue", self.task_queue)
        options.setdefault("sticky_queue_schedule_to_start_timeout", TASK_TIMEOUT)
        # Many workers at once, each with little to do.
        options.setdefault("max_concurrent_workflow_task_polls", 2)
        options.setdefault("max_concurrent_activity_task_polls", 1)
        return Worker(
            self.client, workflows=list(workflows), activities=list(activities), **options
        )

    async def start(
        self, workflow: Any, *args: Any, id: str | None = None, **options: Any
    ) -> WorkflowHandle:
        """Starts a workflow and remembers the run for the comparison."""
        options.setdefault("task_queue", self.task_queue)
        options.setdefault("task_timeout", TASK_TIMEOUT)
        handle = await self.client.start_workflow(
            workflow, args=args, id=id or self.id(), **options
        )
        self.record(handle.id, handle.result_run_id)
        return handle

    async def execute(self, workflow: Any, *args: Any, **options: Any) -> Any:
        return await (await self.start(workflow, *args, **options)).result()

    def record(self, workflow_id: str, run_id: str | None) -> None:
        assert run_id
        if (workflow_id, run_id) not in self.runs:
            self.runs.append((workflow_id, run_id))

    def note(self, key: str, value: Any) -> None:
        assert key not in self.notes, key
        self.notes[key] = value

    async def failure(self, key: str, call: Awaitable[Any]) -> BaseException:
        """Awaits a call that must fail, notes how, and returns the error."""
        try:
            value = await call
        except TemporalError as error:
            self.note(key, describe_error(error))
            return error
        raise AssertionError(f"{key}: expected a failure, got {value!r}")

    async def failure_or_none(self, key: str, call: Awaitable[Any]) -> None:
        """Awaits a call and notes whether and how it failed."""
        try:
            await call
            self.note(key, None)
        except TemporalError as error:
            self.note(key, describe_error(error))

    async def until(self, what: str, predicate: Callable[[], Awaitable[Any]]) -> Any:
        """Asks until the answer is truthy; for state that offers no long poll."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                value = await predicate()
                if value:
                    return value
                await asyncio.sleep(0.02)
        raise AssertionError(what)

    async def event(self, handle: WorkflowHandle, kind: EventType.ValueType, count: int = 1) -> Any:
        """Long-polls the history until the `count`th event of a type."""
        pinned = self.client.get_workflow_handle(
            handle.id, run_id=handle.run_id or handle.result_run_id
        )
        seen = 0
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for event in pinned.fetch_history_events(wait_new_event=True):
                seen += event.event_type == kind
                if seen == count:
                    return event
        raise AssertionError(f"{handle.id} closed before {EventType.Name(kind)} x{count}")

    async def idle(self, handle: WorkflowHandle, tasks: int = 1) -> None:
        """Waits until the `tasks`th workflow task is completed."""
        await self.event(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, tasks)

    async def describe(self, handle: WorkflowHandle) -> Any:
        """The raw answer of DescribeWorkflowExecution."""
        return (await handle.describe()).raw_description

    @property
    def service(self) -> Any:
        return self.client.workflow_service

    @property
    def address(self) -> str:
        return self.client.service_client.config.target_host

    @property
    def namespace(self) -> str:
        return self.client.namespace

    def execution(self, handle: WorkflowHandle) -> common_pb.WorkflowExecution:
        return common_pb.WorkflowExecution(
            workflow_id=handle.id, run_id=handle.run_id or handle.result_run_id or ""
        )


def describe_error(error: BaseException | None) -> list[Any]:
    """An error and its causes as plain data: class, message, and what a server adds."""
    chain: list[Any] = []
    while error is not None:
        entry: dict[str, Any] = {"error": type(error).__name__, "message": str(error)}
        if isinstance(error, RPCError):
            entry["status"] = error.status.name
            entry["details"] = [_any_to_dict(detail) for detail in error.grpc_status.details]
        for name in ("type", "retry_state", "non_retryable", "details", "last_heartbeat_details"):
            value = getattr(error, name, None)
            if value is not None and not isinstance(error, RPCError):
                entry[name] = getattr(value, "name", None) or str(value)
        chain.append(entry)
        error = getattr(error, "cause", None) or error.__cause__
    return chain


def _any_to_dict(detail: Any) -> Any:
    try:
        return MessageToDict(detail, preserving_proto_field_name=True)
    except Exception:
        return {"@type": detail.type_url}
