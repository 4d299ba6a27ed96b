"""Asks a server for the same thing from many connections, with wrk, and tells what it cost."""

import dataclasses
import json
import os
import pathlib
import subprocess

SCRIPT = pathlib.Path(__file__).with_name("load.lua")
TICKS = os.sysconf("SC_CLK_TCK")


class Refused(Exception):
    """The server did not answer every request as it should have."""


@dataclasses.dataclass
class Request:
    """What is asked again and again. `{n}` in the path becomes one of the numbers 1 to 10,000."""

    method: str
    path: str
    body: dict | None = None


@dataclasses.dataclass
class Load:
    """How a server did: requests a second, milliseconds until the answer, processor time of a request."""

    rate: float
    p50: float
    p99: float
    max: float
    cpu_us: float


def processor_seconds(pid):
    """Returns the processor time that a process has used; its own fields stand behind the name's last bracket."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def load(server, request, seconds, connections, delay_ms=0):
    """Asks `server` for `seconds`. Any answer but a good one is an error: a fast refusal is no speed."""
    environment = os.environ | {"BENCH_METHOD": request.method, "BENCH_PATH": request.path, "BENCH_DELAY": str(delay_ms)}
    if request.body is not None:
        environment["BENCH_BODY"] = json.dumps(request.body)
    if server.token:
        environment["BENCH_TOKEN"] = server.token
    before = processor_seconds(server.pid)
    told = subprocess.run(
        ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--timeout", "20s",
         "--script", str(SCRIPT), server.url],
        env=environment, check=True, capture_output=True, text=True, timeout=seconds + 60,
    ).stdout
    used = processor_seconds(server.pid) - before
    said = json.loads(next(line for line in told.splitlines() if line.startswith("{")))
    if said["bad"] or said["lost"] or not said["requests"]:
        raise Refused(f"{server.name}: {request.method} {request.path}: {said}")
    return Load(
        rate=said["requests"] / said["seconds"], p50=said["p50"], p99=said["p99"], max=said["max"],
        cpu_us=used / said["requests"] * 1e6,
    )
