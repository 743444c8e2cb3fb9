"""A PostgreSQL server of the tests' own: a process on a free loopback port, with its own files."""

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import psycopg

from tests.servers import free_port


def binaries() -> Path | None:
    """The folder of PostgreSQL's programs; None where it is not installed."""
    found = shutil.which("postgres")
    if found:
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


class Postgres:
    """A server that runs until it is stopped; each test takes a schema of its own."""

    def __init__(self, folder: Path) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="driftune-postgres-"))
        # The server refuses to run as root.
        self.user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        if self.user:
            shutil.chown(self.home, **self.user)
        self.port = free_port()
        self.folder = folder
        self._call("initdb", "--auth=trust", "--username=driftune", "--no-sync", "-D", self.data)
        self.start()

    @property
    def data(self) -> str:
        """Where its files lie."""
        return str(self.home / "data")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = (
            *("listen_addresses=127.0.0.1", f"port={self.port}", "unix_socket_directories="),
            *("fsync=off", "synchronous_commit=off", "full_page_writes=off"),
        )
        options = [part for setting in settings for part in ("-c", setting)]
        self.process = subprocess.Popen(
            [self.folder / "postgres", "-D", self.data, *options],
            cwd=self.home,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self.user,
        )
        end = time.monotonic() + 60
        while True:
            try:
                self.run("SELECT 1")
                return
            except psycopg.OperationalError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.1)

    def stop(self) -> None:
        """Stop it; its files stay."""
        self._call("pg_ctl", "stop", "-m", "fast", "-D", self.data)
        self.process.wait(timeout=60)

    def remove(self) -> None:
        """Stop it and remove its files."""
        if self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.home)

    def run(self, statement: str) -> None:
        """Execute a statement as its owner."""
        login = {"host": "127.0.0.1", "port": self.port, "user": "driftune", "dbname": "postgres"}
        with psycopg.connect(**login, autocommit=True) as connection:
            connection.execute(statement)

    def ledger(self) -> str:
        """Create an empty schema; returns a URL whose connections see it alone.

        A database of its own would be eight megabytes and a third of a second.
        """
        name = f"ledger_{uuid.uuid4().hex[:8]}"
        self.run(f"CREATE SCHEMA {name}")
        address = f"postgresql://driftune@127.0.0.1:{self.port}/postgres"
        return f"{address}?options=-csearch_path%3D{name}"

    def _call(self, program: str, *arguments: Any) -> None:
        subprocess.run(
            [self.folder / program, *arguments],
            check=True,
            cwd=self.home,
            capture_output=True,
            **self.user,
        )
