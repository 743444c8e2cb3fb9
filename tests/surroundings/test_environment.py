"""Surroundings of the command line, a row each: what it makes of them, or the line that it says."""

import errno
import getpass
import io
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pydantic
import pytest

from driftune.cli import entry_points, flow_runs, prefect_settings, server, surroundings
from driftune.deployment.loopback import beside_proxies, free_port
from driftune.deployment.own_server import reason
from driftune.errors import DriftuneError
from driftune.owners import complete_identity, user_name

HERE = "127.0.0.1,localhost,::1"


def raising(error: BaseException) -> Callable[..., NoReturn]:
    """A function that fails with the error."""

    def fail(*_: str, **__: str) -> NoReturn:
        raise error

    return fail


@pytest.mark.parametrize(
    ("env", "wanted"),
    [
        ({}, HERE),
        ({"HTTP_PROXY": "http://proxy:3128"}, HERE),
        ({"ALL_PROXY": "socks5://proxy:1080", "NO_PROXY": ""}, HERE),
        ({"NO_PROXY": "store.example"}, f"store.example,{HERE}"),
        ({"no_proxy": "store.example, .corp"}, f"store.example,.corp,{HERE}"),
        ({"NO_PROXY": "old.example", "no_proxy": "store.example"}, f"store.example,{HERE}"),
        ({"NO_PROXY": "localhost,127.0.0.1"}, "localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "*"}, "*"),
    ],
)
def test_no_proxy_is_asked_for_this_machine(env: dict[str, str], wanted: str) -> None:
    found = beside_proxies(env)
    assert (found["NO_PROXY"], found["no_proxy"]) == (wanted, wanted)
    assert {name: found[name] for name in env if name.upper() != "NO_PROXY"} == {
        name: value for name, value in env.items() if name.upper() != "NO_PROXY"
    }


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"ALL_PROXY": "socks5://127.0.0.1:9"}, "ALL_PROXY: no connection can be made .*socksio"),
        ({"http_proxy": "foo:bar"}, "http_proxy: .*Invalid port: 'bar'"),
        ({"HTTPS_PROXY": "gopher://x"}, "HTTPS_PROXY: .*gopher"),
        ({"SSL_CERT_FILE": "/nowhere/ca.pem"}, "SSL_CERT_FILE: .*No such file.*correct or unset"),
    ],
)
def test_proxies_and_certificates_that_no_client_takes(
    env: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare(monkeypatch, env)
    with pytest.raises(DriftuneError, match=f"^{said}"):
        prefect_settings.require_client()


def bare(monkeypatch: pytest.MonkeyPatch, env: Mapping[str, str]) -> None:
    """The process's environment with no proxy, certificate or setting of Prefect but these."""
    for name in [*os.environ]:
        if name.upper().endswith("_PROXY") or name.startswith(("SSL_CERT", "PREFECT_")):
            monkeypatch.delenv(name)
    for name, value in env.items():
        monkeypatch.setenv(name, value)


def test_proxies_that_clients_take_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    bare(monkeypatch, {"HTTP_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "http://10.0.0.1:3128"})
    prefect_settings.require_client()
    assert os.environ["HTTP_PROXY"] == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("url", "proxy", "said"),
    [
        ("http://127.0.0.1:{port}/api", None, "refused"),
        ("localhost:4200", None, "it is no address of http:// or https://"),
        ("https:///api", None, "it is no address"),
        ("http://host:no-port/api", None, "Port could not be cast"),
        ("http://no-such-host.invalid/api", None, "no Prefect server answers"),
        # Only who knows the proxy can tell.
        ("http://127.0.0.1:{port}/api", "HTTP_PROXY", None),
        (None, None, None),
    ],
)
def test_an_address_at_which_nothing_listens_is_told_before_prefect_is_imported(
    url: str | None, proxy: str | None, said: str | None
) -> None:
    env = {} if url is None else {"PREFECT_API_URL": url.format(port=free_port())}
    if proxy is not None:
        env[proxy] = "http://127.0.0.1:9"
    if said is None:
        server.require_reachable(env)
        return
    with pytest.raises(DriftuneError, match=f"^PREFECT_API_URL: .*{said}"):
        server.require_reachable(env)


@pytest.mark.parametrize(
    ("env", "files", "own"),
    [
        ({}, (), True),
        ({"PREFECT_LOGGING_LEVEL": "DEBUG"}, (), True),
        ({"PREFECT_API_URL": "http://127.0.0.1:4200/api"}, (), False),
        ({"PREFECT_PROFILE": "team"}, (), False),
        ({"PREFECT_PROFILES_PATH": "/etc/profiles.toml"}, (), False),
        ({"PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}, (), False),
        ({"PREFECT_SERVER_EPHEMERAL_ENABLED": "true"}, (), False),
        ({}, ("home/profiles.toml",), False),
        ({}, (".env",), False),
        ({}, ("prefect.toml",), False),
    ],
)
def test_a_server_of_its_own_starts_at_once_where_nothing_can_name_another(
    env: dict[str, str], files: tuple[str, ...], own: bool, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    for name in files:
        (tmp_path / name).touch()
    given = {"PREFECT_HOME": str(tmp_path / "home"), **env}
    assert prefect_settings.names_none(given, tmp_path) is own


class _Setting(pydantic.BaseModel):
    request_timeout: float


def _wrong_setting() -> pydantic.ValidationError:
    try:
        _Setting.model_validate({"request_timeout": "soon"})
    except pydantic.ValidationError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("file", "text", "error", "said", "wanted"),
    [
        ("home/profiles.toml", "active = [", ValueError("x"), "", "home/profiles.toml: is no TOML"),
        ("prefect.toml", "x = [", ValueError("x"), "", "prefect.toml: is no TOML"),
        ("pyproject.toml", "[tool", ValueError("x"), "", "pyproject.toml: is no TOML"),
        ("home/profiles.toml", None, ValueError("x"), "", "profiles.toml: cannot be read"),
        (None, None, _wrong_setting(), "", "its setting request_timeout is wrong"),
        (None, None, SystemExit(1), "Profile 'team'\nnot found", "Profile 'team' not found"),
        (None, None, KeyError("a:secret=b"), "", "its settings cannot be read.*KeyError"),
    ],
)
def test_settings_of_prefect_that_cannot_be_read(
    file: str | None,
    text: str | None,
    error: BaseException,
    said: str,
    wanted: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bare(monkeypatch, {"PREFECT_HOME": str(tmp_path / "home")})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    if file is not None and text is not None:
        (tmp_path / file).write_text(text)
    elif file is not None:
        (tmp_path / file).mkdir()
    line = prefect_settings.settings_problem(error, said)
    assert "\n" not in line
    assert line.startswith("Prefect: ")
    with pytest.raises(DriftuneError, match=wanted):
        raise DriftuneError(line)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql+asyncpg://ann:s3cret@127.0.0.1:{port}/prefect", "…@127.0.0.1.*refused"),
        ("postgresql://h:no-port/x", "no database answers"),
        ("sqlite+aiosqlite:///prefect.db", None),
        ("", None),
    ],
)
def test_a_database_of_the_server_that_is_away(url: str, said: str | None) -> None:
    env = {"PREFECT_API_DATABASE_CONNECTION_URL": url.format(port=free_port())}
    if said is None:
        prefect_settings.require_database(env)
        return
    with pytest.raises(DriftuneError, match=f"^PREFECT_API_DATABASE_CONNECTION_URL: .*{said}"):
        prefect_settings.require_database(env)


def test_a_wrong_setting_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    bare(monkeypatch, {"PREFECT_API_REQUEST_TIMEOUT": "soon", "PREFECT_HOME": "/nowhere"})
    line = prefect_settings.settings_problem(_wrong_setting(), "")
    assert line.startswith("Prefect: PREFECT_API_REQUEST_TIMEOUT is wrong (Input should be a valid")


def test_a_server_that_is_away_is_named_without_its_login() -> None:
    line = server.away(
        "https://ann:s3cret@prefect/api",
        ConnectionError("refused - For more information check: x\nand so on"),
    )
    assert "no Prefect server answers at https://…@prefect/api (refused); start it" in line
    assert "s3cret" not in line


@pytest.mark.parametrize(
    ("log", "wanted"),
    [
        ("", ""),
        ("Killed\n", "Killed"),
        (
            "Traceback (most recent call last):\n  File x\n    raise\n"
            "sqlalchemy.exc.OperationalError: attempt to write a readonly database\n"
            "ERROR: Application startup failed. Exiting.\n",
            "sqlalchemy.exc.OperationalError: attempt to write a readonly database",
        ),
        ("ERROR:    [Errno 98] address already in use\n", "ERROR:    [Errno 98] address already"),
        ("ConnectionRefusedError: [Errno 111] refused\nbye\n", "ConnectionRefusedError: [Errno"),
    ],
)
def test_what_a_server_that_did_not_start_said(log: str, wanted: str, tmp_path: Path) -> None:
    (tmp_path / "server.log").write_text(log)
    found = reason(tmp_path / "server.log")
    assert found.startswith(wanted) and bool(found) == bool(wanted)


@pytest.mark.parametrize(
    ("env", "profile", "wanted"),
    [
        ({}, False, {"PREFECT_HOME": "workspace/prefect"}),
        ({}, True, {"PREFECT_HOME": None}),
        ({"PREFECT_API_URL": "http://s/api"}, False, {"PREFECT_HOME": None}),
        ({"PREFECT_API_URL": " "}, False, {"PREFECT_HOME": "workspace/prefect"}),
        ({"PREFECT_HOME": "/p"}, False, {"PREFECT_HOME": "/p"}),
        ({"HOME": "/nonexistent"}, False, {"PREFECT_HOME": "workspace/prefect"}),
        (
            {"HOME": "/nonexistent", "PREFECT_API_URL": "http://s/api"},
            False,
            {"PREFECT_HOME": "workspace/prefect", "HOME": "workspace"},
        ),
        ({"PREFECT_LOGGING_LEVEL": "INFO"}, False, {"PREFECT_LOGGING_LEVEL": "INFO"}),
        ({"PREFECT_API_URL": ""}, False, {"PREFECT_API_URL": None}),
        ({"HTTP_PROXY": "http://p:1"}, False, {"NO_PROXY": HERE, "HTTP_PROXY": "http://p:1"}),
    ],
)
def test_the_environment_of_a_run(
    env: dict[str, str],
    profile: bool,
    wanted: dict[str, str | None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bare(monkeypatch, {"HOME": str(tmp_path), **env})
    if profile:
        (tmp_path / ".prefect").mkdir()
        (tmp_path / ".prefect" / "profiles.toml").touch()
    flow_runs.prepare_environment(tmp_path / "workspace")
    for name, value in wanted.items():
        whole = str(tmp_path / value) if value and value.startswith("workspace") else value
        assert os.environ.get(name) == whole


def test_a_number_without_name_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare(monkeypatch, {})
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", raising(RuntimeError("no home")))
    assert not surroundings.has_home(os.environ)
    flow_runs.prepare_environment(tmp_path)
    assert os.environ["HOME"] == str(tmp_path)


@pytest.mark.parametrize(
    ("name", "home", "wanted"),
    [
        (True, True, {}),
        (False, True, {"LOGNAME": f"uid {os.getuid()}"}),
        (True, False, {"HOME": "/nonexistent"}),
        (False, False, {"LOGNAME": f"uid {os.getuid()}", "HOME": "/nonexistent"}),
    ],
)
def test_other_packages_get_a_name_and_a_home(
    name: bool, home: bool, wanted: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not name:
        monkeypatch.setattr(getpass, "getuser", raising(KeyError("getpwuid(): uid not found")))
    if not home:
        monkeypatch.setattr(Path, "home", raising(RuntimeError("no home")))
    env: dict[str, str] = {}
    complete_identity(env)
    assert env == wanted


@pytest.mark.parametrize("error", [KeyError(12345), OSError("no name"), ImportError("pwd")])
def test_who_has_no_name_is_a_number(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", raising(error))
    assert user_name() == f"uid {os.getuid()}"


def test_a_working_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(DriftuneError, match=r"working directory is gone.*cd"):
        surroundings.require_folder()


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "no space left"), (errno.EROFS, "read-only"), (errno.EDQUOT, "quota")],
)
def test_a_temporary_folder_without_room(
    number: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", "/tiny")
    monkeypatch.setattr(tempfile, "TemporaryFile", raising(OSError(number, os.strerror(number))))
    with pytest.raises(DriftuneError, match=f"/tiny: .*{said}.*set TMPDIR"):
        surroundings.require_temporary_folder()


def test_no_temporary_folder_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", raising(FileNotFoundError(2, "No usable one")))
    monkeypatch.setattr(tempfile, "TemporaryFile", raising(FileNotFoundError(2, "No usable one")))
    with pytest.raises(DriftuneError, match="the usual ones: no usable one; set TMPDIR"):
        surroundings.require_temporary_folder()


def test_a_workspace_that_may_not_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    surroundings.require_writable("workspace", tmp_path / "not" / "yet")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(DriftuneError, match=rf"{tmp_path} may not be written to by uid \d+; see"):
        surroundings.require_writable("workspace", tmp_path / "not" / "yet")
    flags = os.statvfs(tmp_path)

    class ReadOnly:
        f_flag = flags.f_flag | os.ST_RDONLY

    monkeypatch.setattr(os, "statvfs", lambda _: ReadOnly)
    with pytest.raises(DriftuneError, match=r"on a read-only file system; .*DRIFTUNE__WORKSPACE"):
        surroundings.require_writable("workspace", tmp_path)


def test_a_workspace_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "workspace").touch()
    with pytest.raises(DriftuneError, match="workspace is no folder; move it away, or choose"):
        surroundings.require_writable("workspace", tmp_path / "workspace" / "prefect")


def test_a_terminal_that_knows_ascii_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    surroundings.mend_streams()
    print("home · 東京", file=out, flush=True)
    assert out.buffer.getvalue() == b"home \\xb7 \\u6771\\u4eac\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
def test_a_stream_that_is_closed_leads_nowhere(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, name, None)
    surroundings.mend_streams()
    opened = getattr(sys, name)
    assert opened.readable() if name == "stdin" else opened.writable()


def package(folder: Path, *files: str) -> Path:
    """A folder with empty files of these names."""
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


OWN = ("tasks/__init__.py", "tasks/fanout.py", "flows/__init__.py", "flows/daily.py")


@pytest.mark.parametrize(
    ("library", "files", "found"),
    [
        ("src/driftune", OWN, True),
        ("driftune", OWN, True),
        ("src/driftune", ("tasks/__init__.py", "flows/__init__.py"), False),
        ("src/driftune", (), False),
    ],
)
def test_where_flows_and_tasks_lie(
    library: str, files: tuple[str, ...], found: bool, tmp_path: Path
) -> None:
    package(tmp_path, *files)
    assert entry_points.project_root(tmp_path / library) == (tmp_path if found else None)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["lib", "own", "other"], ["lib", "own", "other"]),
        (["lib", "other", "own"], ["lib", "own", "other", "own"]),
        (["lib", "other"], ["lib", "own", "other"]),
        (["lib"], ["lib", "own"]),
    ],
)
def test_processes_that_are_spawned_find_the_project_first(
    before: list[str], after: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = package(tmp_path / "own", *OWN)
    package(tmp_path / "other", "flows.py")
    monkeypatch.setattr(entry_points, "project_root", lambda: own)
    monkeypatch.setattr(entry_points, "NAMES", ("flows",))
    monkeypatch.setattr(entry_points, "_load", lambda *_: None)
    monkeypatch.setattr(sys, "path", [str(tmp_path / name) for name in before])
    entry_points.load_entry_points()
    assert [Path(each).name for each in sys.path] == after


@pytest.mark.parametrize("foreign", ["tasks/__init__.py", "tasks.py", "flows/__init__.py"])
@pytest.mark.parametrize("imported", [False, True])
def test_another_package_of_the_name_comes_second(
    foreign: str, imported: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = package(tmp_path / "own", *OWN)
    (own / "flows" / "daily.py").write_text("import tasks.fanout\n")
    other = package(tmp_path / "other", foreign)
    for name in [each for each in sys.modules if each.split(".")[0] in entry_points.NAMES]:
        monkeypatch.delitem(sys.modules, name)
    for name in entry_points.NAMES:
        if imported:
            module = ModuleType(name)
            module.__file__ = str(other / f"{name}.py")
            monkeypatch.setitem(sys.modules, name, module)
        else:
            # So that what is loaded goes again with the test.
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
            sys.modules.pop(name)
    monkeypatch.setattr(sys, "path", [str(other), *sys.path])
    monkeypatch.setattr(entry_points, "project_root", lambda: own)
    entry_points.load_entry_points()
    import flows.daily

    assert flows.daily.__file__ == str(own / "flows" / "daily.py")
    assert flows.daily.tasks.fanout.__file__ == str(own / "tasks" / "fanout.py")
    assert sys.path[:2] == [str(own), str(other)]
    for name in [each for each in sys.modules if each.split(".")[0] in entry_points.NAMES]:
        del sys.modules[name]
