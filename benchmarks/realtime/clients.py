"""Thousands of WebSockets in one light process: what they cost the server is to be seen, not what they cost here.

Takes commands as lines of JSON on stdin and answers each with a line on stdout. A socket counts the updates it gets;
its frames are taken apart no further than that.
"""

import json
import os
import select
import socket
import sys
import time
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

AT_ONCE = 100
"""Sockets whose handshake is under way."""
PATIENCE_SECONDS = 120.0
LITTLE_BYTES = 8192
QUIET_SECONDS = 1.0
UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
PONG = {"type": "pong"}
KEY = b64encode(os.urandom(16)).decode()
READ_BYTES = 65_536
"""More would be memory that the system has to map anew for each read."""


def masked(message: dict[str, Any]) -> bytes:
    """Return a client's text frame; its mask is all zeros, which leaves the text as it is."""
    text = json.dumps(message).encode()
    size = bytes((0x80 | len(text),)) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + text


def hellos_of(command: dict[str, Any]) -> list[bytes]:
    """Return what the sockets say first, in turn: what they are, and what they ask for."""
    if "query" not in command:
        return [b""]
    init = masked({"type": "connection_init", "payload": {"token": command["token"]}})
    asked = [{"query": command["query"], "variables": variables} for variables in command["variables"]]
    return [init + masked({"type": "subscribe", "id": "1", "payload": payload}) for payload in asked]


@dataclass(slots=True)
class Client:
    """One socket."""

    sock: socket.socket
    hello: bytes
    live: bool = False
    updates: int = 0
    rest: bytes = b""
    last: bytes = b""
    code: int = 0
    reason: str = ""

    def take(self, data: bytes) -> int:
        """Return how many updates came."""
        data = self.rest + data
        at = came = 0
        if not self.live:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.rest = data
                return 0
            assert data.startswith(b"HTTP/1.1 101"), data[:200]
            self.live, at = True, end + 4
            if self.hello:
                self.sock.sendall(self.hello)
        while len(data) - at >= 2:
            size, start = data[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(data[start : start + 2], "big"), start + 2
            elif size == 127:
                size, start = int.from_bytes(data[start : start + 8], "big"), start + 8
            if len(data) < start + size:
                break
            came += self._frame(data[at], data[start : start + size])
            at = start + size
        self.rest = data[at:]
        return came

    def _frame(self, kind: int, text: bytes) -> int:
        if kind == 0x88:
            self.code, self.reason = int.from_bytes(text[:2], "big"), text[2:].decode()
        elif b'next"' in text[:80]:
            self.updates += 1
            self.last = text
            return 1
        elif b'"ping"' in text[:20]:
            self.sock.sendall(masked(PONG))
        elif b'"error"' in text[:60]:
            raise RuntimeError(text.decode())
        return 0


@dataclass(slots=True)
class Clients:
    """All sockets of this process."""

    poll: select.epoll = field(default_factory=select.epoll)
    by_handle: dict[int, Client] = field(default_factory=dict)
    silent: list[socket.socket] = field(default_factory=list)
    begun: float = 0.0
    opening: int = 0
    """Whose handshake is under way."""

    def open(self, command: dict[str, Any]) -> dict[str, Any]:
        """Open `count` sockets that subscribe, with the given variables in turn; the first `silent` never read on."""
        self.begun = time.monotonic()
        host, port = address = tuple(command["address"])
        upgrade = UPGRADE.format(path=command["path"], host=host, port=port, key=KEY).encode()
        hellos, silent = hellos_of(command), command.get("silent", 0)
        for number in range(command["count"]):
            handle = self._connect(address, upgrade, hellos[number % len(hellos)], little=number < silent)
            if number < silent:
                self._mute(handle)
            while self.opening >= AT_ONCE:
                self._turn()
        while self.opening:
            self._turn()
        return {"open": len(self.by_handle), "seconds": time.monotonic() - self.begun}

    def _connect(self, address: tuple[str, int], upgrade: bytes, hello: bytes, *, little: bool) -> int:
        sock = socket.socket()
        if little:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LITTLE_BYTES)
        sock.connect(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(upgrade)
        sock.settimeout(0)
        self.by_handle[sock.fileno()] = Client(sock, hello)
        self.opening += 1
        self.poll.register(sock, select.EPOLLIN)
        return sock.fileno()

    def _mute(self, handle: int) -> None:
        """Let a socket subscribe and then take nothing more."""
        while not self.by_handle[handle].live:
            self._turn()
        self.poll.unregister(handle)
        self.silent.append(self.by_handle.pop(handle).sock)

    def _turn(self, seconds: float = 1.0) -> int:
        """Take what is there."""
        came = 0
        for handle, _ in self.poll.poll(seconds):
            client = self.by_handle[handle]
            try:
                data = client.sock.recv(READ_BYTES)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                data = b""
            if data:
                waited = not client.live
                came += client.take(data)
                self.opening -= waited and client.live
            else:
                assert client.live, "closed within its handshake"
                self.poll.unregister(handle)
                client.code = client.code or 1006
        return came

    def expect(self, command: dict[str, Any]) -> dict[str, Any]:
        """Wait until every socket has `count` updates since the last time; say when the last one came."""
        missing = sum(max(command["count"] - client.updates, 0) for client in self.by_handle.values())
        last, patience = time.monotonic(), time.monotonic() + command.get("seconds", PATIENCE_SECONDS)
        while missing > 0 and time.monotonic() < patience:
            if came := self._turn():
                last = time.monotonic()
                missing -= came
        counts = [client.updates for client in self.by_handle.values()]
        for client in self.by_handle.values():
            client.updates = 0
        cursor = next(iter(self.by_handle.values())).last.partition(b'"cursor":')[2].split(b'"')[1:2]
        return {
            "last": last,
            "least": min(counts),
            "most": max(counts),
            "cursor": cursor[0].decode() if cursor else None,
            "since_open": last - self.begun,
        }

    def run(self, command: dict[str, Any]) -> dict[str, Any]:
        """Read for some seconds, whatever comes; say how much that was, and which sockets were closed, and how."""
        end = time.monotonic() + command["seconds"]
        came = 0
        while (left := end - time.monotonic()) > 0:
            came += self._turn(min(left, 0.5))
        closed = [[client.code, client.reason] for client in self.by_handle.values() if client.code]
        return {"came": came, "closed": closed}

    def hear(self, _: dict[str, Any]) -> dict[str, Any]:
        """Let the silent read at last what the server has left for them; say how they were closed."""
        closed = []
        for sock in self.silent:
            client, data = Client(sock, b"", live=True), b"-"
            sock.settimeout(QUIET_SECONDS)
            while data and not client.code:
                try:
                    data = sock.recv(1_048_576)
                    client.take(data)
                except ConnectionError:
                    data = b""
                except TimeoutError:
                    break
            closed.append([client.code or ("open" if data else 1006), client.reason])
            sock.close()
        self.silent.clear()
        return {"closed": closed}

    def drop(self, _: dict[str, Any]) -> dict[str, Any]:
        """Cut every socket off."""
        for client in self.by_handle.values():
            client.sock.close()
        self.by_handle.clear()
        return {}


def main() -> None:
    clients = Clients()
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(clients, command.pop("do"))(command)), flush=True)


if __name__ == "__main__":
    main()
