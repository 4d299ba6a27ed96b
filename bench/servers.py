"""The servers that are measured: ours, as it is built for release, and the baseline. Each on a free port of loopback."""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).parent
OURS = pathlib.Path(os.environ.get("BENCH_FACTORY", HERE.parent / "target" / "release" / "factory"))
STARTED_WITHIN = 60


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class SilentModel:
    """A model's server that takes every request and never answers: the one run that is worked on waits for it, so that
    the others stay in the queue as they were filed."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.held = []
        threading.Thread(target=self.hold, daemon=True).start()

    def hold(self):
        with contextlib.suppress(OSError):
            while True:
                self.held.append(self.listener.accept()[0])


class Server:
    """A process that answers on `port`."""

    token = None

    def __init__(self, name, folder):
        self.name, self.folder, self.process = name, folder, None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def command(self):
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    def start(self):
        """Starts the program, and returns the seconds until it first answered."""
        log = open(self.folder / "log", "ab")
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            self.command(), env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
        )
        while time.perf_counter() - begun < STARTED_WITHIN:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.ask("GET", self.health, timeout=5)[0] == 200:
                    return time.perf_counter() - begun
            time.sleep(0.0005)
        self.stop()
        sys.exit(f"{self.name} does not answer; its log ends:\n{(self.folder / 'log').read_text()[-2000:]}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ask(self, method, path, body=None, timeout=60):
        """Asks once, and returns the status and what was said."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            said = answer.read()
            return answer.status, json.loads(said) if said else None
        finally:
            connection.close()

    def memory(self):
        """Returns the bytes that the process holds in memory."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS"))


class Baseline(Server):
    """FastAPI and SQLAlchemy over SQLite, with 10,000 runs and 10,000 events of the first."""

    health = "/runs/1"

    def __init__(self, name, folder, wal):
        super().__init__(name, folder)
        self.wal = wal
        subprocess.run(
            [sys.executable, HERE / "seed_api.py", "fill"], check=True, env=self.environment(), cwd=folder
        )

    def environment(self):
        return os.environ | {"SEED_DB": str(self.folder / "baseline.db"), "SEED_WAL": str(int(self.wal))}

    def command(self):
        return [
            sys.executable, "-m", "uvicorn", "--app-dir", HERE, "seed_api:app", "--workers", "1", "--port", str(self.port),
            "--no-access-log", "--log-level", "warning",
        ]


class Ours(Server):
    """The factory, with a project of one small repository."""

    health = "/health/live"

    def __init__(self, folder):
        super().__init__("factory", folder)
        self.data, self.repository = folder / "data", folder / "repository"
        self.data.mkdir(mode=0o700)
        self.model = SilentModel()
        (self.data / "factory.toml").write_text(
            f'model = "openai:silent@http://127.0.0.1:{self.model.port}/v1"\n'
            f'[server]\nlisten = "127.0.0.1:{self.port}"\nconsole = "127.0.0.1:{free_port()}"\n'
            "[limits]\nruns = 1\n"
        )
        self.repository.mkdir()
        (self.repository / "README.md").write_text("A small repository.\n")
        git = ["git", "-C", self.repository, "-c", "user.name=Bench", "-c", "user.email=bench@localhost"]
        for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "Begin"]):
            subprocess.run([*git, *words], check=True)

    def command(self):
        return [OURS, "--data-dir", self.data, "serve"]

    def begin(self):
        """Starts for the first time, adds the project and takes the owner's token."""
        self.start()
        told = subprocess.run(
            [OURS, "--data-dir", self.data, "token"], check=True, capture_output=True, text=True
        ).stdout
        self.token = told.strip()
        status, said = self.ask("POST", "/projects", {"local_path": str(self.repository)})
        if status != 201:
            sys.exit(f"the project was not added: {status} {said}")

    def file(self, goals):
        """Files `goals` runs, a thousand at a time."""
        for first in range(0, goals, 1000):
            runs = [{"project_id": 1, "goal": f"goal {first + number}"} for number in range(min(1000, goals - first))]
            status, said = self.ask("POST", "/runs/bulk", {"runs": runs})
            if status != 201:
                sys.exit(f"the runs were not filed: {status} {said}")


def need(*programs):
    """Ends the program where something is missing that it cannot do without."""
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; `make bench` installs what it needs where it is run by root")
    if not OURS.exists():
        sys.exit(f"there is no {OURS}; `cargo build --release` makes it")
