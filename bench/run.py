"""Measures the server against the baseline in the same minutes under the same load, and prints what came out.

  make bench                      # everything, about seven minutes
  python bench/run.py --quick     # the same with less time for each figure
  python bench/run.py --events 10000000

Ratios are what counts. The load generator has its share of the same processors, so absolute figures are of this machine
at this hour alone.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import statistics
import sys
import tempfile
import time

import live
import servers
from load import Refused, Request, load, processor_seconds
from servers import Baseline, Ours

CONNECTIONS = 32
GOAL = {"project_id": 1, "goal": "g" * 200}
RESULTS = pathlib.Path(__file__).parent.parent / "target" / "bench" / "results.json"


class Row:
    """A figure, beside what it should be."""

    def __init__(self, what, goal, ours, unit, passed, baselines=()):
        self.what, self.goal, self.ours, self.unit, self.passed, self.baselines = what, goal, ours, unit, passed, baselines

    def cells(self):
        # How many times better ours is: more in a second, or in less time.
        better = [self.ours / other if self.unit == "/s" else other / self.ours for other in self.baselines]
        others = [f"{other:,.0f} ({times:.0f} ×)" for other, times in zip(self.baselines, better)] or ["", ""]
        shown = f"{self.ours:,.0f}" if self.ours >= 100 else f"{self.ours:.2f}"
        return [self.what, f"{shown} {self.unit}", self.goal, "yes" if self.passed else "**no**", *others]


def both(ours, baselines, arguments):
    """Asks ours and the baselines in turns, so that whatever else the machine does meets all of them."""
    wanted = [
        ("`POST /runs`, durable", 8_000, 40, Request("POST", "/runs", GOAL), None),
        ("`GET /runs/{id}`", 20_000, 40, Request("GET", "/runs/{n}"), None),
        ("page of 50 runs", 5_000, 0, Request("GET", "/runs?limit=50"), None),
        ("page of 50 events", 5_000, 0, Request("GET", "/runs/1/events?limit=50&after=5000"),
         Request("GET", "/runs/1/events?limit=50&offset=5000")),
    ]
    rows = []
    for what, rate, ratio, request, theirs in wanted:
        rates = {server.name: [] for server in (ours, *baselines)}
        costs = []
        for _ in range(arguments.rounds):
            for server in (*baselines, ours):
                asked = request if server is ours else theirs or request
                # What one load left behind is no cost of the next.
                time.sleep(0.5)
                got = load(server, asked, arguments.seconds, CONNECTIONS)
                rates[server.name].append(got.rate)
                if server is ours:
                    costs.append(got)
        mine = statistics.median(rates[ours.name])
        others = [statistics.median(rates[server.name]) for server in baselines]
        goal = f"≥ {rate:,}/s" + (f", ≥ {ratio} ×" if ratio else "")
        rows.append(Row(what, goal, mine, "/s", mine >= rate and mine >= ratio * others[0], others))
        last = costs[-1]
        print(f"  {what}: p50 {last.p50:.2f} ms, p99 {last.p99:.2f} ms, {last.cpu_us:.0f} µs of processor time each", file=sys.stderr)
    return rows


def start_up(ours, baseline, times):
    """Starts again and again over what is stored: the time from exec until the first answer."""
    took = {}
    for server, count in ((ours, times), (baseline, min(times, 3))):
        took[server.name] = []
        for _ in range(count):
            server.stop()
            took[server.name].append(server.start() * 1000)
    mine, theirs = statistics.median(took[ours.name]), statistics.median(took[baseline.name])
    return Row("exec to the first answer", "≤ 20 ms", mine, "ms", mine <= 20, [theirs, theirs])


def at_rest(ours, seconds):
    """Leaves the server alone, and looks what it holds and does meanwhile."""
    ours.stop()
    ours.start()
    time.sleep(2)
    before = processor_seconds(ours.pid)
    time.sleep(seconds)
    used = (processor_seconds(ours.pid) - before) / seconds * 1000
    memory = ours.memory() / 1e6
    size = servers.OURS.stat().st_size / 1e6
    return [
        Row("memory at rest", "≤ 30 MB", memory, "MB", memory <= 30),
        Row("processor time at rest, each second", "–", used, "ms", True),
        Row("release binary", "≤ 20 MB", size, "MB", size <= 20),
    ]


def paced(ours, stored, arguments):
    """A thousand pages of events a second: the time until each is there."""
    ours.stop()
    ours.start()
    request = Request("GET", "/runs/1/events?limit=50&after=5000")
    load(ours, request, 1, CONNECTIONS, delay_ms=CONNECTIONS)
    got = load(ours, request, arguments.seconds * 2, CONNECTIONS, delay_ms=CONNECTIONS)
    what = f"page of 50 events at {got.rate:,.0f}/s, {stored:,} stored: p99"
    return Row(what, "≤ 1 ms", got.p99, "ms", got.p99 <= 1)


def watching(ours, arguments):
    """Events on their way to clients: to one and to many, and to some while another one never reads."""
    seconds = arguments.seconds * 2
    # A run that nobody works on: the events are those of the comments alone.
    run = 9_000
    one, _ = live.watch(ours, run, clients=1, rate=1_000, seconds=seconds)
    many, _ = live.watch(ours, run, clients=1_000, rate=20, seconds=seconds)
    rows = [
        Row("request to frame, 1 client at 1,000/s: p99", "≤ 2 ms", live.p99(one), "ms", live.p99(one) <= 2),
        Row("request to frame, 1,000 clients at 20/s: p99", "≤ 40 ms", live.p99(many), "ms", live.p99(many) <= 40),
    ]
    without, beside, grown = [], [], []
    for _ in range(arguments.rounds):
        took, before = live.watch(ours, run, clients=20, rate=200, seconds=seconds, size=4_000)
        without.append(live.p99(took))
        took, after = live.watch(ours, run, clients=20, rate=200, seconds=seconds, size=4_000, stalled=1)
        beside.append(live.p99(took))
        grown.append((after - before) / 2**20)
    ratio = statistics.median(beside) / statistics.median(without)
    cost = statistics.median(grown)
    what = "20 clients beside one that never reads: p99 against that without it"
    return [
        *rows,
        Row(what, "≤ 1.2", ratio, "×", ratio <= 1.2),
        Row("what that client costs", "≤ 1 MiB", cost, "MiB", cost <= 1),
    ]


def fill_events(ours, wanted):
    """Adds comments to the first run until as many events are stored."""
    said = Request("POST", "/runs/1/comments", {"text": "x" * 280})
    stored = newest(ours)
    while stored < wanted:
        load(ours, said, max(1, min(60, (wanted - stored) // 12_000)), 64)
        stored = newest(ours)
        print(f"  {stored:,} events", file=sys.stderr)
    return stored


def newest(ours):
    """Returns the number of the first run's newest event."""
    status, said = ours.ask("GET", "/runs/1")
    if status != 200:
        sys.exit(f"run 1 is not there: {status} {said}")
    return said["last_seq"]


def table(rows):
    head = ["what", "factory", "goal", "reached", "baseline", "baseline, WAL and NORMAL"]
    lines = [head, ["---"] * len(head), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less time for each figure")
    parser.add_argument("--seconds", type=int, help="how long each load lasts")
    parser.add_argument("--rounds", type=int, help="how often each server has its turn")
    parser.add_argument("--events", type=int, default=200_000, help="how many events are stored for the last figures")
    arguments = parser.parse_args()
    arguments.seconds = arguments.seconds or (2 if arguments.quick else 5)
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 3)
    servers.need("wrk", "git")
    with tempfile.TemporaryDirectory(prefix="factory-bench-") as place, contextlib.ExitStack() as stack:
        place = pathlib.Path(place)
        folders = [place / name for name in ("factory", "baseline", "wal")]
        for folder in folders:
            folder.mkdir()
        ours = Ours(folders[0])
        baselines = [Baseline("baseline", folders[1], wal=False), Baseline("baseline, WAL", folders[2], wal=True)]
        ours.begin()
        stack.callback(ours.stop)
        ours.file(10_000)
        fill_events(ours, 10_000)
        for baseline in baselines:
            baseline.start()
            stack.callback(baseline.stop)
        rows = both(ours, baselines, arguments)
        rows.append(start_up(ours, baselines[0], 5 if arguments.quick else 21))
        for baseline in baselines:
            baseline.stop()
        rows += at_rest(ours, 5)
        rows += watching(ours, arguments)
        few = newest(ours)
        rows.append(paced(ours, few, arguments))
        stored = fill_events(ours, arguments.events)
        rows.append(paced(ours, stored, arguments))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, load generator beside the server\n")
    print(table(rows))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps([row.__dict__ for row in rows], indent=1, ensure_ascii=False))


if __name__ == "__main__":
    try:
        main()
    except Refused as refused:
        sys.exit(f"not every request was answered as it should have been: {refused}")
