"""Real servers that tests start on free loopback ports: an S3-compatible store, MLflow."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What clients of an S3-compatible store need besides its address.
LOGIN = {
    "AWS_ACCESS_KEY_ID": "driftune",
    "AWS_SECRET_ACCESS_KEY": "driftune-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(log: Path, *module: str, url: str, env: dict[str, str]) -> Iterator[str]:
    """Run a module of Python as a server while the context lasts; yields its URL."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            env=os.environ | env,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            _wait(process, url, log)
            yield url
        finally:
            # MLflow's server has workers of its own.
            os.killpg(process.pid, 9)
            process.wait(timeout=60)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > end or process.poll() is not None:
                raise AssertionError(log.read_text(errors="replace")[-2000:]) from None
            time.sleep(0.2)


@contextmanager
def object_store(folder: Path) -> Iterator[str]:
    """An S3-compatible store (moto's server); yields its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    module = ("moto.server", "-H", "127.0.0.1", "-p", str(port))
    with serving(folder / "store.log", *module, url=url, env={}) as address:
        yield address


@contextmanager
def mlflow_server(folder: Path, store: str, bucket: str, port: int) -> Iterator[str]:
    """An MLflow server that keeps artifacts in a bucket of an object store; yields its URL."""
    url = f"http://127.0.0.1:{port}"
    module = (
        *("mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", f"s3://{bucket}/mlflow"),
    )
    env = LOGIN | {"MLFLOW_S3_ENDPOINT_URL": store}
    with serving(folder / "mlflow.log", *module, url=f"{url}/health", env=env):
        yield url
