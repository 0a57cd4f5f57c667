"""Starts and stops the server under test."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import AsyncIterator

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError

# One of each type, so that every conversion is exercised.
SEARCH_ATTRIBUTES = {
    "SuiteKeyword": "Keyword",
    "SuiteText": "Text",
    "SuiteInt": "Int",
    "SuiteDouble": "Double",
    "SuiteBool": "Bool",
    "SuiteDatetime": "Datetime",
    "SuiteKeywordList": "KeywordList",
}
IDENTITY = "sdk-suite"
START_SECONDS = 30
STOP_SECONDS = 15


def default_binary() -> str:
    """The server named by PERDURE_BIN, else the `temporal` command line."""
    return os.environ.get("PERDURE_BIN") or "temporal"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@functools.cache
def runtime() -> Runtime:
    """The SDK's core, told not to warn of what scenarios provoke on purpose."""
    quiet = LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
    return Runtime(telemetry=TelemetryConfig(logging=quiet))


async def connect(address: str, process: subprocess.Popen | None = None) -> Client:
    """Waits for the first successful call, for START_SECONDS at most and while `process` lives."""
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while True:
        try:
            client = await Client.connect(address, identity=IDENTITY, runtime=runtime())
            # The default namespace can appear a moment after the listener.
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=client.namespace)
            )
            return client
        except (RuntimeError, RPCError) as error:
            if process is not None and process.poll() is not None:
                code = process.returncode
                raise RuntimeError(f"the server ended at start with code {code}") from None
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"no answer from {address}: {error}") from error
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def server(binary: str) -> AsyncIterator[Client]:
    """Runs `binary server start-dev` on a free port and yields a client of it."""
    found = shutil.which(binary)
    if found is None:
        raise FileNotFoundError(f"server binary not found: {binary}")
    port = free_port()
    command = [
        found, "server", "start-dev", "--headless",
        "--ip", "127.0.0.1", "--port", str(port), "--log-level", "warn",
    ]  # fmt: skip
    for name, kind in SEARCH_ATTRIBUTES.items():
        command += ["--search-attribute", f"{name}={kind}"]
    log = tempfile.NamedTemporaryFile(prefix="sdk-suite-", suffix=".log", delete=False)
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    failed = True
    try:
        yield await connect(f"127.0.0.1:{port}", process)
        failed = process.poll() is not None
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()
        if failed:
            tail = Path(log.name).read_text(errors="replace")[-4000:]
            print(f"--- the end of {binary}'s output ---\n{tail}", file=sys.stderr)
        os.unlink(log.name)
