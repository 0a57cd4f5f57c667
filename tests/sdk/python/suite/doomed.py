"""A worker process that scenarios let die: `python -m suite.doomed ADDRESS TASK_QUEUE`."""

import asyncio
import sys
from datetime import timedelta

from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from . import server
from .scenarios.workers import TaskVictim, Victim, kill_on_first_attempt


async def main(address: str, task_queue: str) -> None:
    client = await server.connect(address)
    await Worker(
        client,
        task_queue=task_queue,
        workflows=[Victim, TaskVictim],
        activities=[kill_on_first_attempt],
        workflow_runner=UnsandboxedWorkflowRunner(),
        # How long the server keeps the dead worker's next task for it.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
    ).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
