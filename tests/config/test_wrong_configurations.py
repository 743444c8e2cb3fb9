"""Configurations that are wrong in one place: each is one line of file, key, value and remedy."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from driftune.config.loading import load_config
from driftune.errors import ConfigError
from tests.conftest import small_params

LEFT_OUT = object()
LISTS = {"columns": {"item_id": "shown"}}
OWN = {"factory": "my_models:make", "weights": "model.safetensors"}
PACKAGE = "must be package.module:function, such as my_models.deepfm:make"


class Wrong(NamedTuple):
    """What stands under a dotted key, and the line that it is answered by, after the file."""

    name: str
    key: str
    value: Any
    line: str


# Entries of drift.triggers that are wrong, and their lines.
TRIGGERS: list[tuple[dict[str, Any], str]] = [
    ({"method": "psi", "above": 1}, "name one of signal, column and metric"),
    ({"column": "a", "signal": "hour", "method": "psi", "above": 1}, "name one of signal, col"),
    ({"column": "price", "method": "psy", "above": 1}, "method = 'psy' is no drift method of"),
    ({"column": "price", "method": "psi"}, "give one of above and p; psi gives a distance"),
    ({"column": "price", "method": "ks", "above": 1}, "ks gives a p-value: write p: 0.001"),
    ({"column": "price", "method": "wasserstein", "p": 0.1}, "wasserstein gives a distance"),
    ({"column": "price", "method": "chisquare", "p": 0.1}, "method 'chisquare' does not fit"),
    ({"column": "category", "method": "ks", "p": 0.1}, "method 'ks' does not fit 'categ"),
    ({"column": "user", "method": "psi", "above": 1}, "column 'user' is an id: two samples of"),
    ({"column": "time", "method": "psi", "above": 1}, "column 'time' is another one each day"),
    ({"signal": "auc", "method": "psi", "above": 1}, "'auc' decides by its name alone"),
    ({"metric": "mine", "above": 1}, "metric = 'mine' must be package.module:CLASS"),
    ({"metric": "my:M", "above": 1}, "name the columns that the metric reads"),
    ({"metric": "my:M", "columns": ["price"]}, "give one of above and p, in the metric's"),
    ({"signal": "hours", "method": "psi", "above": 1}, "signal = 'hours' is no signal that"),
]
WRONG = [
    Wrong("a long value", "gate.metric", "x" * 500, "…: must be"),
    Wrong("null for a number", "gate.min_effect", None, "= null: must be a number"),
    Wrong("a value too few", "gate.calibration_band", [1], "calibration_band has too few values"),
    Wrong("no list of numbers", "drift.follow_up_days", "7", "must be a list, such as [1, 2]"),
    Wrong("a section misspelt", "drfit.min_rows", 3, "unknown key 'drfit'; did you mean drift?"),
    Wrong("a key misspelt", "gate.min_efect", 3, "'gate.min_efect'; did you mean min_effect?"),
    Wrong("a role misspelt", "columns.users", "u", "'columns.users'; did you mean user?"),
    Wrong("deep inside", "drift.confirm.day", 2, "'drift.confirm.day'; did you mean days?"),
    Wrong("another's key", "drift.resamples", 9, "it belongs into gate.resamples"),
    Wrong("a key of nowhere", "zzz", 9, "unknown key 'zzz'; remove it or correct its spelling"),
    Wrong("text", "drift.min_rows", "many", "drift.min_rows = 'many': must be a whole number"),
    Wrong("a fraction", "drift.min_rows", 1.5, "drift.min_rows = 1.5: must be a whole number"),
    Wrong("true", "seed", True, "seed = True: must be a number"),
    Wrong("NaN", "gate.min_effect", float("nan"), "= nan: must be a finite number"),
    Wrong("infinity", "backbone.learning_rate", float("inf"), "= inf: must be a finite number"),
    Wrong("a number", "resources.memory", 2, "resources.memory = 2: must be text"),
    Wrong("no list", "source.partitions", "region", "= 'region': must be a list, such as [a, b]"),
    Wrong("no section", "gate", [1], "gate = [1]: must hold keys, such as {metric: …}"),
    Wrong("null", "gate", None, "gate = null: must hold keys, such as {metric: …}"),
    Wrong("no role", "columns.user", LEFT_OUT, "key 'columns.user' is missing; add it"),
    Wrong("an empty role", "columns.user", "", "columns.user = '': is empty; name a column of"),
    Wrong(
        "a role of two columns",
        "columns.user",
        ["a", "b"],
        "columns.user = ['a', 'b']: must be a column's name or {sql: …}",
    ),
    Wrong("a role misspelt inside", "columns.user", {"sq": "a"}, "did you mean sql?"),
    Wrong("no domain", "columns.domain", [], "columns.domain = []: names no column; give one"),
    Wrong("a domain twice", "columns.domain", ["a", "a"], "= ['a', 'a']: has 'a' twice"),
    Wrong("a part of a domain", "columns.domain", ["a", 3], "columns.domain.1 = 3: must be text"),
    Wrong("no label", "columns.click", LEFT_OUT, "'columns.click' is missing; add it, or where"),
    Wrong("below zero", "drift.min_rows", -3, "drift.min_rows = -3: must be above 0"),
    Wrong("above one", "reference.holdout", 1.5, "reference.holdout = 1.5: must be 1 or less"),
    Wrong(
        "dates reversed",
        "reference.last",
        "2020-01-01",
        "last must not lie before first: 2020-01-01 is before 2026-03-02; exchange them",
    ),
    Wrong(
        "no date",
        "reference.last",
        "02.03.2026",
        "reference.last = '02.03.2026': must be a date such as \"2026-03-02\"",
    ),
    Wrong("no day", "source.uri", "logs/x.csv", "source.uri = 'logs/x.csv': must contain {day}"),
    Wrong("no part of a day", "source.uri", "{day:%Q}", "'{day:%Q}': %Q is no part of a day"),
    Wrong("a format", "source.format", "csb", "= 'csb': must be 'auto', 'parquet', 'csv' or"),
    Wrong("two signs", "source.csv", {"delimiter": "||"}, "= '||': must have one sign, or none"),
    Wrong("an encoding", "source.csv", {"encoding": "utf9"}, "= 'utf9': is no encoding that"),
    Wrong("a header", "source.csv", {"header": "yes"}, "= 'yes': must be a line's number, a list"),
    Wrong("a plain time", "columns.time", "t", "columns.time = 't': must hold keys, such as {col"),
    Wrong(
        "a unit",
        "columns.time",
        {"column": "t", "unit": "hours"},
        "columns.time.unit = 'hours': must be 'timestamp', 's', 'ms', 'us' or 'ns'",
    ),
    Wrong("no expression", "columns.click", {"sql": "a +"}, "columns.click.sql = 'a +': is no"),
    Wrong("two statements", "columns.click", {"sql": "1; DROP x"}, "= '1; DROP x': is no expressi"),
    Wrong("no counter", "features.counters.per", [["users"]], "per: 'users' is not one of user, "),
    Wrong("a counter", "features.counters.per", ["user"], "per.0 = 'user': must be a list"),
    Wrong("a label read", "features.numerical", ["click"], "'click' is the label columns.click"),
    Wrong("a feature twice", "features.categorical", ["a", "a"], "'a' is there twice; remove one"),
    Wrong("no lists", "source.explode", {"columns": {}}, "source.explode.columns: must not be em"),
    Wrong(
        "lists without the item",
        "source.explode",
        {"columns": {"shown": "shown"}},
        "columns.item = 'item_id' is no column of source.explode.columns (shown)",
    ),
    Wrong(
        "a separator of nothing",
        "source.explode",
        LISTS | {"separator": {"x": ","}},
        "separator: 'x' is none of its lists; there are shown",
    ),
    Wrong(
        "clicks in two places",
        "source.explode",
        LISTS | {"clicked": {"at": "a", "ids": "b"}},
        "source.explode.clicked: has at and ids; give one of suffix, at and ids",
    ),
    Wrong("negatives of", "negatives", {"from": "all"}, "negatives.from = 'all': must be 'sessio"),
    Wrong("no negatives", "negatives", {"per_positive": 0}, "per_positive = 0: must be 1 or more"),
    Wrong("a zone", "timezone", "europe/berlin", "zone such as Europe/Berlin; did you mean Europe"),
    Wrong("a metric", "gate.metric", "auc", "gate.metric = 'auc': must be 'ctr_auc' or 'ctcvr_a"),
    Wrong("a place", "adapter.at", ["click_towr.1"], "'click_towr.1' is no place of the model; th"),
    Wrong("a layer", "adapter.at", ["click_tower.9"], "there are click_tower.0 to click_tower.2"),
    Wrong("no model", "recommender", "a:b", "= 'a:b': must hold keys, such as {factory: …}"),
    Wrong("no factory", "recommender", {"weights": "w.pt"}, "key 'recommender.factory' is missing"),
    Wrong("no weights", "recommender", {"factory": "a:b"}, "key 'recommender.weights' is missing"),
    Wrong("weights of no name", "recommender", OWN | {"weights": ""}, "weights = '': must not be"),
    Wrong("weights afar", "recommender", OWN | {"weights": "s3://b/w"}, "let DVC fetch it: dvc im"),
    Wrong("a file of code", "recommender", OWN | {"factory": "models.py"}, PACKAGE),
    Wrong("a module alone", "recommender", OWN | {"factory": "models"}, PACKAGE),
    Wrong("a path of code", "recommender", OWN | {"factory": "my/models:make"}, PACKAGE),
    Wrong(
        "a model's key", "recommender", OWN | {"weight": "w"}, "'recommender.weight'; did you mea"
    ),
    Wrong(
        "options", "recommender", OWN | {"options": [1]}, "must hold keys and values, such as {a"
    ),
    Wrong(
        "a folder of code", "recommender", OWN | {"code": "lib"}, "must be a list, such as [a, b]"
    ),
    Wrong(
        "a column", "recommender", OWN | {"columns": ["hue"]}, "columns: 'hue' is no role and no"
    ),
    Wrong(
        "a label", "recommender", OWN | {"columns": ["click"]}, "'click' is no role and no feature"
    ),
    Wrong(
        "a column twice", "recommender", OWN | {"columns": ["item", "item"]}, "is there twice; rem"
    ),
    Wrong(
        "a past's column twice",
        "recommender",
        OWN | {"history": {"columns": ["item", "item"]}},
        "recommender.history.columns = ['item', 'item']: 'item' is there twice; remove one",
    ),
    Wrong(
        "a past's column",
        "recommender",
        OWN | {"history": {"columns": ["hue"]}},
        "recommender.history.columns: 'hue' is no role and no feature; there are user, item,",
    ),
    Wrong(
        "a past of", "recommender", OWN | {"history": {"of": "views"}}, "= 'views': must be 'clic"
    ),
    Wrong(
        "no past", "recommender", OWN | {"history": {"length": 0}}, "length = 0: must be above 0"
    ),
    Wrong("a lag", "recommender", OWN | {"history": {"lag_hours": -1}}, "= -1: must be 0 or more"),
    Wrong("past days", "recommender", OWN | {"history": {"days": 0}}, "days = 0: must be above 0"),
    Wrong("trained", "recommender", OWN | {"trained_until": "02.03.26"}, "must be a date such as"),
    Wrong("a runner", "runner.kind", "dask", "= 'dask': must be 'threads', 'processes' or 'ray'"),
    Wrong("a size", "resources.memory", "2 gigs", "= '2 gigs': must be a number and MB or GB, su"),
    Wrong("a bound", "gate.calibration_band", [2, 1], "the first bound must be below the second"),
    Wrong("three bounds", "gate.calibration_band", [1, 2, 3], "= [1, 2, 3]: must have 2 values"),
    Wrong("a signal", "drift.triggers", ["auk"], "drift.triggers.0 = 'auk': must be 'calibration'"),
    Wrong(
        "a number for it",
        "drift.triggers",
        [3],
        "= 3: must be 'calibration', 'auc', 'residuals' or {signal",
    ),
    *(
        Wrong(f"trigger {number}", "drift.triggers", ["auc", entry], f"drift.triggers.1: {line}")
        for number, (entry, line) in enumerate(TRIGGERS)
    ),
    Wrong(
        "a trigger's key",
        "drift.triggers",
        [{"colum": "price", "method": "psi"}],
        "did you mean column?",
    ),
    Wrong("no method", "drift.triggers", [{"column": "price"}], "method = '' is no drift method"),
    Wrong(
        "an action",
        "drift.triggers",
        [{"column": "price", "method": "psi", "above": 1, "action": "adapts"}],
        "drift.triggers.0.action = 'adapts': must be 'adapt', 'alert' or 'watch'; did you mean",
    ),
    Wrong("an event", "notify.events", ["promoted"], "did you mean promotion?"),
    Wrong("too short", "retention.lake", 3, "retention.lake = 3: must be 90 or more"),
    Wrong("a path", "workspace", "runs*", "cannot lie in a folder with * in its path; choose"),
    Wrong("a variable", "workspace", "$NOT_THERE/x", "the variable $NOT_THERE is not set; set it"),
]
NO_YAML = {
    "a tab": ("seed: 7\n\tgate: 1", "line 2, column 1: found character"),
    "no colon": ("seed: 7\ntimezone UTC\ngate:\n", "line 3, column 1: could not find expected ':'"),
    "an open bracket": ("a: [1", "line 1, column 6: expected ',' or ']'"),
    "braces without quotes": ("source:\n  uri: {day}.csv", "line 2, column 13: "),
    "a key twice": ("seed: 7\nseed: 8", "line 2: 'seed' is there twice; remove one"),
    "a key that is a list": ("? [a, b]\n: 1", "line 1: a key is a list or mapping; write a name"),
    "two documents": ("seed: 1\n---\nseed: 2", "line 2: a second document begins; remove"),
    "a day that is none": ("a: 2026-02-30", "line 1: '2026-02-30' is no value (day is out of"),
    "an hour that is none": ("a: 2026-01-01 25:00:00", "line 1: '2026-01-01 25:00:00' is no value"),
    "a number of no digits": ("seed: 0b_", "line 1: '0b_' is no value"),
    "too many brackets": ("a: " + "[" * 3000, "lists or sections are too deep"),
    "a control sign": ("a: \x01", "position 4: a sign that YAML does not allow"),
    "an object": ("a: !!python/object:os.x 1", "line 1, column 4: could not determine"),
}
ENVIRONMENT = {
    "DRIFTUNE__DRIFT__MIN_ROW": ("3", "unknown key 'drift.min_row'; did you mean min_rows?"),
    "DRIFTUNE__DRIFT__MIN_ROWS": ("x", "drift.min_rows = 'x': must be a whole number"),
    "DRIFTUNE__GATE__RESAMPLES": ("[1", "'[1' is not valid YAML"),
    "DRIFTUNE__DRIFT__MIN_CLICKS": ("2026-02-30", "'2026-02-30' is not valid YAML"),
    "DRIFTUNE__GATE": ("3", "gate = 3: must hold keys, such as {metric: …}"),
    "DRIFTUNE__SEED": ("3", "'seed' is tracked by DVC for pre-training"),
    "DRIFTUNE__": ("3", "names no key; write DRIFTUNE__SECTION__KEY, or unset it"),
}


def refused(path: Path, env: dict[str, str] | None = None) -> str:
    """The one line that a configuration is refused by."""
    with pytest.raises(ConfigError) as error:
        load_config(path, env or {})
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_a_wrong_key_is_one_line(tmp_path: Path, wrong: Wrong) -> None:
    params = small_params()
    *sections, last = wrong.key.split(".")
    node = params
    for section in sections:
        node = node.setdefault(section, {})
    if wrong.value is LEFT_OUT:
        del node[last]
    else:
        node[last] = wrong.value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params), encoding="utf-8")
    line = refused(path)
    assert line.startswith(f"{path}: ")
    assert wrong.line in line
    # One wrong place is said once.
    assert line.count(str(path)) == 1 + line.count("key 'columns.user.sql'")


@pytest.mark.parametrize("name", NO_YAML)
@pytest.mark.few(3)
def test_a_text_that_is_no_yaml_is_one_line(tmp_path: Path, name: str) -> None:
    text, said = NO_YAML[name]
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    assert refused(path).startswith(f"{path}: not valid YAML: {said}")


@pytest.mark.parametrize("variable", ENVIRONMENT)
def test_a_wrong_override_names_its_variable(tmp_path: Path, variable: str) -> None:
    value, said = ENVIRONMENT[variable]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(small_params()), encoding="utf-8")
    assert refused(path, {variable: value}).startswith(f"{variable}: {said}")


def test_many_wrong_values_are_one_line_of_some(tmp_path: Path) -> None:
    params = small_params()
    params["columns"]["domain"] = list(range(500))
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params), encoding="utf-8")
    line = refused(path)
    assert "columns.domain.0 = 0: must be text" in line
    assert line.endswith("and 495 more problems")


@pytest.mark.parametrize(("of", "known"), [("clicks", 23), ("conversions", 0), ("impressions", 0)])
def test_a_history_of_labels_that_are_not_known_yet_is_refused(
    of: str, known: int, tmp_path: Path
) -> None:
    params, path = small_params(), tmp_path / "params.yaml"
    params.setdefault("gate", {})["label_delay_hours"] = 24
    past = {"of": of, "lag_hours": known}
    params["recommender"] = OWN | {"history": past}
    path.write_text(yaml.safe_dump(params), encoding="utf-8")
    if of == "impressions":
        load_config(path, {})
        return
    line = refused(path)
    assert f"recommender.history.lag_hours = {known} is shorter than gate.label_delay_hours" in line
    params["recommender"]["history"] = past | {"lag_hours": 24}
    path.write_text(yaml.safe_dump(params), encoding="utf-8")
    load_config(path, {})
