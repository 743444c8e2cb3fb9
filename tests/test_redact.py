"""Redaction: no password or token in errors, logs, records, the configuration's own text."""

import logging
from collections.abc import Callable
from io import StringIO
from typing import Any

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftune.config import Config
from driftune.config.loading import load_config
from driftune.deployment.doctor import examine
from driftune.errors import ConfigError, DriftuneError, LedgerError
from driftune.intake.ingest import ingest
from driftune.redact import guard_logs, redact
from driftune.registry.ledger import Ledger
from tests.conftest import Ended, World

SECRET = "s3cr3t-Pa55"
WORDS = st.text(st.sampled_from("abcXYZ019!$%^*()+=,;:@/?.~-_"), min_size=1, max_size=12)


@given(WORDS, WORDS)
def test_a_password_of_any_signs_is_hidden(user: str, password: str) -> None:
    login = f"u{user.replace('/', '')}:{password}Q9"
    shown = redact(f"cannot open postgresql://{login}@host:5/db (why)")
    assert shown == "cannot open postgresql://…@host:5/db (why)"


@pytest.mark.parametrize(
    "text",
    [
        f"https://{SECRET}@mlflow.example",
        f"https://h/x?X-Amz-Signature={SECRET}&day=1",
        f"https://h/x?sv=1&SIG={SECRET}",
        f"postgresql://h/db?user=a&password={SECRET}",
        f"password={SECRET} host=h",
        f"'http://a:{SECRET}@h/x', \"ftp://b:{SECRET}@h\"",
    ],
)
def test_logins_and_secret_parameters_are_hidden(text: str) -> None:
    assert SECRET not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/logs/{day}/*.parquet",
        "http://127.0.0.1:4200/api",
        "https://host/a@v2/x?day=2026-03-16",
        "decision 2026-03-16.home: key=3, ann@example.org wrote",
    ],
)
def test_text_without_a_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_errors_hide_secrets_also_in_their_repr() -> None:
    error = DriftuneError(f"source.uri ftp://ann:{SECRET}@host is away")
    assert SECRET not in f"{error} {error!r} {error.args}"


def test_logs_hide_secrets_in_arguments_and_tracebacks() -> None:
    guard_logs()
    guard_logs()
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    for name in ("driftune", "prefect.flow_runs"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        try:
            raise ValueError(f"no route to http://ann:{SECRET}@host")
        except ValueError as error:
            logger.exception("failed: %s", error)
        finally:
            logger.removeHandler(handler)
    assert stream.getvalue().count("ValueError: no route to http://…@host") == 2
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize("section", ["registry", "source", "reference"])
def test_the_configuration_s_text_holds_no_secret(
    make_world: Callable[..., World], section: str
) -> None:
    url = f"ftp://ann:{SECRET}@host/{{day}}"
    values = {"ledger": url, "mlflow": url} if section == "registry" else {"uri": url}
    world = make_world(**{section: values})
    if section == "reference":
        with pytest.raises(ConfigError, match="DVC would keep its password") as caught:
            load_config(world.params, env={})
        assert SECRET not in str(caught.value)
        return
    assert SECRET not in repr(world.config)


def away(config: Config, **registry: Any) -> Config:
    """The configuration with a registry that nothing answers for."""
    return config.model_copy(update={"registry": config.registry.model_copy(update=registry)})


def test_a_ledger_that_is_away_is_named_without_its_password(world: World) -> None:
    url = f"postgresql+psycopg://ann:{SECRET}@127.0.0.1:1/x?password={SECRET}"
    with pytest.raises(LedgerError, match=r"cannot open postgresql") as caught:
        Ledger(away(world.config, ledger=url))
    assert SECRET not in str(caught.value)


def test_the_doctor_tells_of_a_store_that_is_away_without_its_password(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    config = away(world.config, mlflow=f"http://ann:{SECRET}@127.0.0.1:1")
    lines = [finding["what"] for finding in examine(config)]
    assert any("registry.mlflow: cannot be read" in line for line in lines)
    assert SECRET not in "".join(lines)


def test_a_wrong_value_and_an_override_are_told_without_their_password(
    driftune: Callable[..., Ended], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTUNE__SOURCE__URI", f"ftp://ann:{SECRET}@host/no-day")
    done = driftune("status", "--config", str(world.params))
    assert done.code == 1
    assert "must contain {day}" in done.err
    assert SECRET not in done.err + done.out


def test_a_source_with_a_password_leaves_none_in_records(world: World) -> None:
    day = world.day(0)
    place = f"a:{SECRET}@h/{day}.parquet"
    fsspec.filesystem("memory").pipe(f"/{place}", world.write(day).read_bytes())
    reference = world.config.reference.model_copy(
        update={"uri": f"memory://{place.replace(str(day), '{day}')}"}
    )
    config = world.config.model_copy(update={"reference": reference})
    with Ledger(config) as ledger:
        ingest(config, ledger, day)
    kept = [path for path in config.home.rglob("*") if path.is_file()]
    assert len(kept) > 3
    for path in kept:
        assert SECRET.encode() not in path.read_bytes(), path
