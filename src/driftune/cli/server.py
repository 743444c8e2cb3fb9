"""The Prefect server that a command's flows report to: the one that is named, or one of its own."""

import contextlib
import importlib
import io
import os
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from driftune.errors import DriftuneError
from driftune.redact import redact

if TYPE_CHECKING:
    from prefect.settings import Settings

    from driftune.deployment.own_server import OwnServer

# Seconds that a named server has to answer, where it is looked for first.
PATIENCE = 5
_LENGTH = 300
# What of the environment no client can be made with, in either spelling.
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@contextmanager
def reporting(home: Path) -> Iterator[Callable[[], None]]:
    """Have flows report to a server while the context lasts; ``home``: of what an own one says.

    Yields what to call before the first flow: it waits until an own server answers.

    Raises:
        DriftuneError: when Prefect's settings cannot be read, or the server that they name does
            not answer, or goes away.
    """
    require_client()
    with contextlib.ExitStack() as stack:
        # At once where nothing names another, as it takes longer than what is imported here.
        at_once = "prefect.context" not in sys.modules and names_none(os.environ, Path())
        server = stack.enter_context(_own(home)) if at_once else None
        settings = read_settings()
        named = settings.api.url
        if named is not None:
            if server is not None:
                server.stop()
            require_answer(named)
            with _told_in_a_line(named):
                yield lambda: None
            return
        if not settings.server.ephemeral.enabled:
            raise DriftuneError(
                "Prefect: no server is named (PREFECT_API_URL), and one of the run's own is "
                "switched off (PREFECT_SERVER_EPHEMERAL_ENABLED, also called "
                "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE); set PREFECT_API_URL, or switch it on"
            )
        if server is None:
            server = stack.enter_context(_own(home))
        with _reported_to(server):
            yield server.wait


def names_none(env: Mapping[str, str], folder: Path) -> bool:
    """Whether nothing can name a server, or forbid an own one: no variable, file or profile."""
    about = ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH")
    if any(name in env for name in about) or any(
        name.startswith("PREFECT_SERVER_") and "EPHEMERAL" in name for name in env
    ):
        return False
    home = Path(env.get("PREFECT_HOME", "~/.prefect")).expanduser()
    files = (folder / ".env", folder / "prefect.toml", home / "profiles.toml")
    return not any(path.exists() for path in files)


@contextmanager
def _own(home: Path) -> Iterator["OwnServer"]:
    from driftune.deployment.own_server import OwnServer

    server = OwnServer(home, os.environ)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def _reported_to(server: "OwnServer") -> Iterator[None]:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from driftune.deployment.own_server import MARK

    os.environ[MARK] = server.api
    try:
        with temporary_settings({PREFECT_API_URL: server.api}):
            yield
    finally:
        del os.environ[MARK]


def read_settings() -> "Settings":
    """Prefect's settings, from the environment, ``.env``, ``prefect.toml`` and a profile.

    Raises:
        DriftuneError: when a file or a value is wrong.
    """
    said = io.StringIO()
    try:
        # It says some of what is wrong by printing and leaving.
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            importlib.import_module("prefect.main")
            from prefect.settings import get_current_settings

            return get_current_settings()
    except (Exception, SystemExit) as error:
        raise DriftuneError(settings_problem(error, said.getvalue())) from None


def settings_problem(error: BaseException, said: str) -> str:
    """The line for settings that Prefect cannot read; ``said``: what it printed."""
    broken = _broken_file()
    if broken is not None:
        return f"Prefect: {broken}; correct the file, or move it away"
    wrong = getattr(error, "errors", None)
    if callable(wrong) and (found := wrong()):
        name = ".".join(str(each) for each in found[0].get("loc", ()))
        return (
            f"Prefect: its setting {name} is wrong ({found[0].get('msg')}); correct or unset it, "
            "in the environment, prefect.toml, .env or the profile"
        )
    text = " ".join(said.split()) if isinstance(error, SystemExit) else ""
    text = text or f"{type(error).__name__}: {' '.join(str(error).split())}"
    return (
        f"Prefect: its settings cannot be read ({redact(text)[:_LENGTH]}); see the variables "
        "PREFECT_…, prefect.toml, .env and its profiles"
    )


def _broken_file() -> str | None:
    """Which file that Prefect reads is no TOML, and why."""
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect")
    with contextlib.suppress(RuntimeError):
        home = home.expanduser()
    profiles = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml")
    for path in (profiles, Path("prefect.toml"), Path("pyproject.toml")):
        try:
            tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except OSError as error:
            return f"{path}: cannot be read ({(error.strerror or str(error)).lower()})"
        except ValueError as error:
            return f"{path}: is no TOML ({error})"
    return None


def require_client() -> None:
    """See that clients can be made: of proxies and certificates that the environment names.

    Raises:
        DriftuneError: when they cannot.
    """
    import httpx

    try:
        httpx.Client().close()
    except Exception as error:
        # Certificates are files; what else it refuses is an address.
        about = _CERTIFICATES if isinstance(error, OSError) else _PROXIES
        names = [name for name in os.environ if name.upper() in about]
        raise DriftuneError(
            f"{', '.join(sorted(names)) or 'proxies or certificates'}: no connection can be made "
            f"by them ({_short(error)}); correct or unset them"
        ) from None


def require_answer(url: str) -> None:
    """See that a Prefect server answers at the address that the settings name.

    Raises:
        DriftuneError: when none does, or what does is no Prefect server.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    problem: Exception | None
    try:
        with (
            temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
            get_client(sync_client=True, httpx_settings={"timeout": PATIENCE}) as client,
        ):
            problem = client.api_healthcheck()
            if problem is None:
                client.api_version()
    except Exception as error:
        problem = error
    if problem is not None:
        raise DriftuneError(away(url, problem))


def away(url: str, error: BaseException) -> str:
    """The line for a Prefect server that does not answer."""
    return (
        f"PREFECT_API_URL: no Prefect server answers at {redact(url)} ({_short(error)}); "
        "start it, or correct the address in the environment, prefect.toml, .env or the profile; "
        "without one a run starts a server of its own"
    )


def _short(error: BaseException) -> str:
    """The first line of an error, without the pages that httpx and pydantic point to."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return redact(lines[0])[:_LENGTH] if lines else type(error).__name__


@contextmanager
def _told_in_a_line(url: str) -> Iterator[None]:
    """A server that goes away while flows run is told in a line, too."""
    import httpx
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        yield
    except (httpx.TransportError, PrefectHTTPStatusError) as error:
        raise DriftuneError(away(url, error)) from error
