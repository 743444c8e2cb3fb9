"""What Prefect reads of the environment: settings, proxies, certificates, a database; or a line."""

import contextlib
import importlib
import io
import os
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from driftune.errors import DriftuneError
from driftune.redact import redact

if TYPE_CHECKING:
    from prefect.settings import Settings

# Seconds that a server or a database has to answer, where it is looked for first.
PATIENCE = 5
_LENGTH = 300
# Where Prefect's server finds its database, if it is none of its own.
_DATABASE = (
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    "PREFECT_API_DATABASE_CONNECTION_URL",
)
# What of the environment no client can be made with, in either spelling.
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


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
        about = _CERTIFICATES if isinstance(error, OSError) else PROXIES
        names = [name for name in os.environ if name.upper() in about]
        raise DriftuneError(
            f"{', '.join(sorted(names)) or 'proxies or certificates'}: no connection can be made "
            f"by them ({short(error)}); correct or unset them"
        ) from None


def require_database(env: Mapping[str, str]) -> None:
    """See that the database that a server of the run's own is to use answers, where one is named.

    Raises:
        DriftuneError: when it does not.
    """
    name = next((name for name in _DATABASE if env.get(name)), None)
    if name is None:
        return
    address = urlsplit(env[name])
    try:
        host, port = address.hostname, address.port or 5432
        if host is not None and address.scheme.startswith("postgresql"):
            socket.create_connection((host, port), PATIENCE).close()
    except (OSError, ValueError) as error:
        raise DriftuneError(
            f"{name}: no database answers at {redact(env[name])} ({short(error)}); start it, or "
            "correct or unset the variable"
        ) from None


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
        given = str(found[0].get("input"))
        # pydantic knows it by the last part of its name alone.
        named = [each for each in os.environ if _sets(each, name) and os.environ[each] == given]
        return (
            f"Prefect: {named[0] if named else f'its setting {name}'} is wrong "
            f"({found[0].get('msg')}); correct or unset it, in the environment, prefect.toml, .env "
            "or the profile"
        )
    text = " ".join(said.split()) if isinstance(error, SystemExit) else ""
    text = text or f"{type(error).__name__}: {' '.join(str(error).split())}"
    return (
        f"Prefect: its settings cannot be read ({redact(text)[:_LENGTH]}); see the variables "
        "PREFECT_…, prefect.toml, .env and its profiles"
    )


def _sets(variable: str, name: str) -> bool:
    return variable.startswith("PREFECT_") and variable.endswith(name.upper())


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


def short(error: BaseException) -> str:
    """The first line of an error, without the pages that httpx and pydantic point to."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return redact(lines[0].partition("For more information")[0].rstrip(" -"))[:_LENGTH]
