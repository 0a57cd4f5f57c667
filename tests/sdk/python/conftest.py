"""Starts one server and runs every selected scenario side by side on it."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from suite import registry, server  # noqa: E402


@pytest.fixture(scope="session")
def outcomes(request):
    names = [
        item.callspec.params["name"]
        for item in request.session.items
        if "outcomes" in getattr(item, "fixturenames", ())
    ]
    try:
        return asyncio.run(run(names))
    except Exception as error:
        # Without a server there is one thing to say, not one per test.
        pytest.exit(f"no server to test: {error}", returncode=1)


async def run(names):
    address = os.environ.get("PERDURE_ADDRESS")
    if address:
        return await registry.run_all(names, await server.connect(address))
    async with server.server(server.default_binary()) as client:
        return await registry.run_all(names, client)


def pytest_terminal_summary(terminalreporter, config):
    times = getattr(config, "scenario_times", {})
    slowest = sorted(times.items(), key=lambda item: -item[1])[:5]
    if slowest:
        text = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in slowest)
        terminalreporter.write_line(f"slowest scenarios: {text}")
