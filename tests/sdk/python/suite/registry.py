"""The list of scenarios."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from typing import Awaitable, Callable

from temporalio.client import Client

from .env import Env

Scenario = Callable[[Env], Awaitable[None]]
SCENARIOS: dict[str, Scenario] = {}
# Scenarios in which a workflow task is meant to time out.
TASK_TIMEOUTS: set[str] = set()

# Long enough for the slowest scenario on a busy machine.
SCENARIO_SECONDS = 120
# Scenarios mostly wait; more at once would turn their time limits into races.
CONCURRENCY = 12


def scenario(function: Scenario) -> Scenario:
    """Registers a scenario under the name of its function."""
    name = function.__name__
    assert name not in SCENARIOS, f"two scenarios named {name}"
    SCENARIOS[name] = function
    return function


def load() -> dict[str, Scenario]:
    """Imports every module of `suite.scenarios` and returns the scenarios."""
    package = importlib.import_module("suite.scenarios")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"suite.scenarios.{module.name}")
    return SCENARIOS


def provokes_task_timeout(function: Scenario) -> Scenario:
    """Marks a scenario whose history holds a timed-out workflow task on purpose."""
    TASK_TIMEOUTS.add(function.__name__)
    return function


class Outcome:
    """How a scenario ended; `error` is None if it passed."""

    def __init__(self, env: Env, error: BaseException | None, seconds: float) -> None:
        self.env = env
        self.error = error
        self.seconds = seconds


async def run_all(names: list[str], client: Client) -> dict[str, Outcome]:
    """Runs the named scenarios side by side against one server."""
    slots = asyncio.Semaphore(CONCURRENCY)
    clock = asyncio.get_running_loop().time

    async def one(name: str) -> tuple[str, Outcome]:
        async with slots:
            env = Env(client, name)
            began = clock()
            error: BaseException | None = None
            try:
                async with asyncio.timeout(SCENARIO_SECONDS):
                    await SCENARIOS[name](env)
            except Exception as caught:
                error = caught
            return name, Outcome(env, error, clock() - began)

    return dict(await asyncio.gather(*(one(name) for name in names)))
