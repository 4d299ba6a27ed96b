"""Watches events over WebSockets while comments are made, and tells how long each took from the request that made it to
the frame that told of it: the request, the commit and the way to the client.

A client here reads what is there and looks for the moment of sending, which stands in the comment's text. That is little
enough for a thousand of them in one process.
"""

import base64
import contextlib
import http.client
import json
import multiprocessing
import os
import selectors
import socket
import statistics
import time

MARK = b"sent:"
DIGITS = 20


class Watcher:
    """A WebSocket that is open. What it is sent is searched and thrown away."""

    def __init__(self, server, path, room=None):
        """Opens it. `room` bounds what the system takes for it while it does not read, in bytes."""
        self.socket = socket.socket()
        self.socket.settimeout(10)
        if room:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self.socket.connect(("127.0.0.1", server.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.token}\r\n"
            f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        self.rest = b""
        while b'"hello"' not in self.rest:
            got = self.socket.recv(1 << 16)
            if not got or (self.rest and not self.rest.startswith(b"HTTP/1.1 101")):
                raise OSError(f"the socket was refused: {self.rest[:200]!r}")
            self.rest += got
        self.rest = b""

    def heard(self):
        """Reads what is there, and returns the moments at which it was sent."""
        got = self.rest + self.socket.recv(1 << 18)
        moments, at = [], 0
        while (found := got.find(MARK, at)) >= 0 and len(got) >= found + len(MARK) + DIGITS:
            at = found + len(MARK) + DIGITS
            moments.append(int(got[found + len(MARK):at]))
        self.rest = got[max(at, len(got) - len(MARK) - DIGITS):]
        return moments

    def close(self):
        self.socket.close()


def speak(port, token, run, rate, seconds, size):
    """Comments on a run, so often a second, each comment with the moment of its sending."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    begun = time.monotonic_ns()
    for number in range(int(rate * seconds)):
        due = begun + number * 1_000_000_000 // rate
        while (wait := due - time.monotonic_ns()) > 0:
            time.sleep(wait / 1e9)
        text = f"sent:{time.monotonic_ns():0{DIGITS}d}:" + "x" * size
        connection.request("POST", f"/runs/{run}/comments", json.dumps({"text": text}), headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status not in (200, 201):
            raise OSError(f"a comment was refused: {answer.status}")


def watch(server, run, clients, rate, seconds, stalled=0, size=200):
    """Opens so many clients that read, and `stalled` that never do. Returns the milliseconds of each frame, sorted."""
    path = f"/runs/{run}/events/ws?after={server.ask('GET', f'/runs/{run}')[1]['last_seq']}"
    silent = [Watcher(server, path, room=4096) for _ in range(stalled)]
    watchers = [Watcher(server, path) for _ in range(clients)]
    selector = selectors.DefaultSelector()
    for watcher in watchers:
        selector.register(watcher.socket, selectors.EVENT_READ, watcher)
    speaking = multiprocessing.Process(target=speak, args=(server.port, server.token, run, rate, seconds, size))
    speaking.start()
    took, expected = [], int(rate * seconds) * clients
    until = time.monotonic() + seconds + 30
    try:
        while len(took) < expected and time.monotonic() < until:
            for key, _ in selector.select(1):
                moments = key.data.heard()
                now = time.monotonic_ns()
                took += [(now - moment) / 1e6 for moment in moments]
        speaking.join(30)
        if len(took) != expected or speaking.exitcode:
            raise OSError(f"{len(took)} of {expected} frames came")
        memory = server.memory()
    finally:
        speaking.kill()
        for watcher in watchers + silent:
            with contextlib.suppress(OSError):
                watcher.close()
    return sorted(took), memory


def p99(took):
    return took[int(len(took) * 0.99)]


def median(took):
    return statistics.median(took)
