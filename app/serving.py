"""The gateway's processes: one that serves, or one that holds several which share its listening socket."""

import argparse
import ctypes
import gc
import importlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

import structlog
import uvicorn
from prometheus_client.multiprocess import mark_process_dead

from app import heads, logs, wire
from app.settings import Settings, SetupError, load

APPLICATION = "app.main:create_app"
BACKLOG = 2048
GRACE_SECONDS = 10  # for requests and sockets under way when the gateway stops
LOOK_SECONDS = 0.1
YOUNG_OBJECTS, YOUNG_ROUNDS = 150_000, 3
YOUNG_SECONDS = 5.0  # a worker that dies younger than this is not started again at once
REST_SECONDS = 1.0
FIGURES = "PROMETHEUS_MULTIPROC_DIR"
"""The variable of prometheus-client that names the folder in which workers write their figures down."""

log = structlog.get_logger(__name__)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises SetupError where the address cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "that is no name of a host"
        raise SetupError(f"cannot listen on {host}: {reason}") from None
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise SetupError(f"cannot listen on {host} port {port}: {error.strerror}; choose another with --port") from None
    return listener


def address(listener: socket.socket) -> str:
    """Return the socket's URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    settings: Settings,
    dsn: str,
    listener: socket.socket,
    *,
    ready: Callable[[], None],
    application: str = APPLICATION,
) -> None:
    """Serve until SIGINT or SIGTERM, in this process or in `settings.workers` of its children.

    `application` names a function of (settings, dsn) that returns an ASGI application. `ready` is called once requests
    are answered. Raises SetupError where the application does not start.
    """
    if settings.workers > 1:
        Workers(settings, dsn, listener, application).run(ready)
    else:
        _serve_here(settings, dsn, listener, ready=ready, application=application)


def look_for_cycles_rarely() -> None:
    """Leave what is there by now to itself, and look for cycles among the rest far more rarely than Python does.

    Requests make few cycles and many objects: looking as often as is usual takes an eighth of the time of placing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_ROUNDS)


class _Server(uvicorn.Server):
    """Uvicorn, which says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        look_for_cycles_rarely()
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell the application, then stop: its streams of events would go on for ever."""
        stopping = getattr(getattr(self.config.app, "state", None), "stopping", None)
        if stopping is not None:
            stopping.set()
        await super().shutdown(sockets)


def _serve_here(
    settings: Settings, dsn: str, listener: socket.socket, *, ready: Callable[[], None], application: str
) -> None:
    gc.set_threshold(YOUNG_OBJECTS)  # what is imported here stays: looking for cycles in it takes a tenth of the start
    module, _, name = application.partition(":")
    config = uvicorn.Config(
        getattr(importlib.import_module(module), name)(settings, dsn),
        http=heads.protocol(seconds=settings.head_seconds, stall_seconds=settings.ws_stall_seconds),
        ws=wire.protocol(stall_seconds=settings.ws_stall_seconds, direct=settings.direct_write),
        ws_ping_interval=None,  # the pings are those of graphql-transport-ws
        ws_max_size=settings.ws_max_size,
        ws_per_message_deflate=False,  # 72 KiB a socket instead of 32, for frames that are small
        lifespan="on",
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    try:
        _Server(config, ready).run(sockets=[listener])
    except KeyboardInterrupt:
        return  # uvicorn has stopped gracefully, and tells the signal again
    except SystemExit:
        raise SetupError("the gateway did not start; the log says why") from None


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    link: socket.socket  # it says a byte when it serves; its other end closes when this process dies
    since: float
    serves: bool = False

    def look(self) -> None:
        """Note that it serves."""
        try:
            self.serves = self.serves or bool(self.link.recv(1))
        except BlockingIOError:
            return


class Workers:
    """Processes that serve the same socket: started again when they die, stopped together."""

    def __init__(self, settings: Settings, dsn: str, listener: socket.socket, application: str) -> None:
        self._environment = {**os.environ, **settings.environment(dsn)}
        self._count = settings.workers
        self._listener = listener
        self._application = application
        self._stop = threading.Event()
        self._workers: list[_Worker] = []

    def run(self, ready: Callable[[], None]) -> None:
        """Keep the workers going until SIGINT or SIGTERM. To be called in the main thread. Raises SetupError."""
        try:
            figures = self._environment[FIGURES] = tempfile.mkdtemp(prefix="crossdock-figures-")
        except OSError as error:
            raise SetupError(f"no folder for figures: {error.strerror}") from None
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._workers = [self._start() for _ in range(self._count)]
            self._await_first()
            if not self._stop.is_set():
                ready()
            while not self._stop.wait(LOOK_SECONDS):
                self._workers = [self._kept(worker) for worker in self._workers]
        finally:
            self._end()
            shutil.rmtree(figures, ignore_errors=True)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()

    def _start(self) -> _Worker:
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        with theirs:
            handles = (self._listener.fileno(), theirs.fileno())
            process = subprocess.Popen(  # noqa: S603 (this very program)
                # -P: a folder called `app` where the gateway was started is not ours
                [sys.executable, "-P", "-m", "app.serving", self._application, *map(str, handles)],
                env=self._environment,
                pass_fds=handles,
            )
        return _Worker(process, ours, time.monotonic())

    def _await_first(self) -> None:
        while not all(worker.serves for worker in self._workers):
            if self._stop.wait(LOOK_SECONDS / 5):
                return
            for worker in self._workers:
                worker.look()
                if worker.process.poll() is not None:
                    raise SetupError("a worker did not start; the log says why")

    def _kept(self, worker: _Worker) -> _Worker:
        code = worker.process.poll()
        if code is None:
            return worker
        log.error("worker died", pid=worker.process.pid, code=code)
        worker.link.close()
        mark_process_dead(worker.process.pid, self._environment[FIGURES])  # type: ignore[no-untyped-call]
        if time.monotonic() - worker.since < YOUNG_SECONDS and self._stop.wait(REST_SECONDS):
            return worker
        return self._start()

    def _end(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS + REST_SECONDS
        for worker in self._workers:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            worker.link.close()


def _end_with_parent(link: socket.socket) -> None:
    if sys.platform == "linux":
        death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(death_signal, signal.SIGTERM, 0, 0, 0)

    def watch() -> None:
        while link.recv(1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS + REST_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _work(application: str, listener: int, link: int) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parent = socket.socket(fileno=link)
    _end_with_parent(parent)
    settings = load()
    logs.configure(settings)

    def ready() -> None:
        parent.send(b"1")

    try:
        _serve_here(
            settings,
            str(settings.database_url),
            socket.socket(fileno=listener),
            ready=ready,
            application=application,
        )
    finally:
        if _is_gone(parent):  # else it removes them itself
            shutil.rmtree(os.environ[FIGURES], ignore_errors=True)


def _is_gone(link: socket.socket) -> bool:
    try:
        return not link.recv(1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False


def _main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m app.serving", description="One worker of `crossdock serve`.")
    parser.add_argument("application")
    parser.add_argument("listener", type=int)
    parser.add_argument("link", type=int)
    given: Any = parser.parse_args(arguments)
    try:
        _work(given.application, given.listener, given.link)
    except SetupError as error:
        sys.exit(f"crossdock: {error}")
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    _main(sys.argv[1:])
