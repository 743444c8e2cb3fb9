"""The encoder: vocabularies with out-of-vocabulary buckets, and standardised numbers.

Fitted on the reference days. Ids: 0 is null, 1 … B are the buckets of unseen values (by the MD5
of the value, the same on every machine and version), the vocabulary follows.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from driftune.config import Config
from driftune.errors import BackboneError
from driftune.features.counters import counter_columns, lake_column
from driftune.io import json_text, read_json, replacing, write_sealed
from driftune.lake.duck import Connection, connect, identifier, literal, one_row, parquet
from driftune.lake.scratch import connect_within
from driftune.lake.table import Lake

_BASE_FIELDS = ("user", "item", "domain")
CLIP = 5.0


@dataclass(frozen=True)
class Encoder:
    """A fitted encoder: field names, their sizes, and mean and scale of the numbers.

    ``debias``: roles that training reads as they are, and what is scored has in their place.
    ``raw``: what a recommender of the user's own reads beside them, as it was logged.
    """

    fields: tuple[str, ...]
    sizes: tuple[int, ...]
    buckets: int
    numbers: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    vocabulary: Path
    fingerprint: str
    debias: tuple[tuple[str, float], ...] = ()
    raw: tuple[str, ...] = ()

    @property
    def stated(self) -> tuple[tuple[int, float], ...]:
        """The columns of numbers that a stated value replaces when rows are scored, and that value
        as a row has it."""
        found = []
        for role, value in self.debias:
            number = self.numbers.index(f"log_{role}")
            raw = math.copysign(math.log1p(abs(value)), value)
            scaled = (raw - self.means[number]) / self.scales[number]
            found.append((number, max(-CLIP, min(CLIP, scaled))))
        return tuple(found)


def field_columns(config: Config) -> dict[str, str]:
    """Categorical fields and their SQL expression over the lake's columns, as text."""
    category = () if config.columns.category is None else ("category",)
    names = (*_BASE_FIELDS, *category, *config.features.categorical)
    return {name: lake_column(name) for name in names} | {"hour": "hour::VARCHAR"}


def number_columns(config: Config) -> dict[str, str]:
    """Raw numbers and their SQL expression over the lake's columns (signed logarithm).

    NaN and infinities are null: rows with them may have been let in, and a mean over one is NaN.
    """
    raw = {name: identifier(f"x_{name}") for name in config.features.numerical}
    if config.columns.price is not None:
        raw = {"price": "price"} | raw
    raw |= {role: role for role in config.features.debias}
    logarithm = "CASE WHEN isfinite({0}) THEN sign({0}) * ln(1 + abs({0})) END"
    return {f"log_{name}": logarithm.format(text) for name, text in raw.items()}


def number_names(config: Config) -> list[str]:
    """All numbers of the representation, in order: raw ones, then counters."""
    return [*number_columns(config), *counter_columns(config)]


def require_roles(config: Config, encoder: Encoder) -> None:
    """See that the roles still give what the encoder was fitted on.

    Raises:
        BackboneError: naming a field or number that they lack, or a category that is new.
    """
    given = {*field_columns(config), *number_names(config)}
    lacking = [name for name in (*encoder.fields, *encoder.numbers) if name not in given]
    if lacking:
        said = f"reads {', '.join(lacking[:3])}, which columns and features no longer give"
    elif dict(encoder.debias) != config.features.debias:
        said = f"was fitted with features.debias = {dict(encoder.debias)}"
    elif "category" in given and "category" not in encoder.fields:
        said = "was fitted without columns.category"
    else:
        return
    raise BackboneError(
        f"{config.source_file}: the encoder {said}; name columns as before, or run driftune "
        "pretrain"
    )


def fit_vocabulary(
    config: Config, view: Lake, days: Sequence[date], target: Path
) -> tuple[list[str], list[int]]:
    """Write the vocabulary of some days of the lake; returns fields and table sizes."""
    fields, rows = field_columns(config), view.relation(days)
    buckets = config.features.oov_buckets
    # All rows of a list have one user: by rows, no user of lists would ever count as rare, and
    # what stands for those that are not known would not be trained.
    seen = "count(DISTINCT request_id)" if config.source.explode else "count(*)"
    sizes = []
    with connect_within(config, [view.place, target.parent]) as con, replacing(target) as part:
        con.execute("CREATE TABLE vocabulary (field VARCHAR, value VARCHAR, id INTEGER)")
        for name, text in fields.items():
            con.execute(
                f"""
                INSERT INTO vocabulary
                SELECT ?, value, row_number() OVER (ORDER BY n DESC, value) + {buckets}
                FROM (SELECT {text} AS value, {seen} AS n FROM {rows} GROUP BY ALL)
                WHERE value IS NOT NULL AND n >= {config.features.min_count}
                """,
                [name],
            )
            count = "SELECT count(*) FROM vocabulary WHERE field = ?"
            sizes.append(1 + buckets + one_row(con, count, [name])[0])
        con.execute(
            f"COPY (FROM vocabulary ORDER BY field, id) TO {literal(str(part))} (FORMAT parquet)"
        )
    return list(fields), sizes


def save_encoder(
    folder: Path,
    config: Config,
    fields: list[str],
    sizes: list[int],
    means: list[float],
    scales: list[float],
) -> Encoder:
    """Write ``encoder.json`` beside the vocabulary and return the encoder."""
    # Encoders keep their fingerprint where the key is not used.
    unused = set() if config.features.debias else {"debias"}
    card = {
        "fields": fields,
        "sizes": sizes,
        "buckets": config.features.oov_buckets,
        "numbers": number_names(config),
        "means": means,
        "scales": scales,
        "features": config.features.model_dump(mode="json", exclude=unused),
        "vocabulary_sha256": _vocabulary_hash(folder / "vocabulary.parquet"),
    }
    write_sealed(folder / "encoder.json", card)
    return load_encoder(folder)


def load_encoder(folder: Path, raw: tuple[str, ...] = ()) -> Encoder:
    """Load a fitted encoder; ``raw``: see ``Encoder``.

    Raises:
        BackboneError: when it is missing or its vocabulary is not the one it was saved with.
    """
    card_path, vocabulary = folder / "encoder.json", folder / "vocabulary.parquet"
    try:
        card = read_json(card_path)
        # Users who were erased leave a number behind that nobody has: the encoder stays the same.
        accepted = [card["vocabulary_sha256"], *card.pop("erased", ())]
        if _vocabulary_hash(vocabulary) not in accepted:
            raise BackboneError(f"{vocabulary}: damaged (hash differs); run driftune pretrain")
        return Encoder(
            fields=tuple(card["fields"]),
            sizes=tuple(card["sizes"]),
            buckets=card["buckets"],
            numbers=tuple(card["numbers"]),
            means=tuple(card["means"]),
            scales=tuple(card["scales"]),
            vocabulary=vocabulary,
            fingerprint=hashlib.sha256(json_text(card).encode()).hexdigest(),
            debias=tuple(card["features"].get("debias", {}).items()),
            raw=raw,
        )
    except FileNotFoundError as error:
        raise BackboneError(f"{error.filename}: no encoder yet; run driftune pretrain") from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise BackboneError(f"{card_path}: damaged ({error}); run driftune pretrain") from None


def erase_users(
    folder: Path, users: list[str], lost: Sequence[tuple[str, str]] = (), *, write: bool = True
) -> int:
    """Forget users' ids, and the entries ``lost`` (field, value); returns how many of them the
    vocabulary has. Without ``write`` only that.

    Their numbers stay, so that everyone else keeps theirs and the fingerprint is the same. Killed
    in between, the vocabulary is one of those that the card accepts.
    """
    card_path, vocabulary = folder / "encoder.json", folder / "vocabulary.parquet"
    if not card_path.exists() or not vocabulary.exists():
        return 0
    theirs = "(field, value) IN (FROM forgotten)"
    source = parquet(vocabulary, options="file_row_number = true")
    entries = [*(("user", user) for user in users), *lost]
    with connect(reach=[folder]) as con:
        con.execute(
            "CREATE TEMP TABLE forgotten AS "
            "SELECT DISTINCT unnest($1::VARCHAR[]) AS field, unnest($2::VARCHAR[]) AS value",
            [[field for field, _ in entries], [value for _, value in entries]],
        )
        query = f"SELECT count(*) FROM {source} WHERE value IS NOT NULL AND {theirs}"
        ((known,),) = con.execute(query).fetchall()
        if not known or not write:
            return int(known)
        with replacing(vocabulary) as part:
            con.execute(
                f"COPY (SELECT * EXCLUDE (file_row_number) "
                f"REPLACE (CASE WHEN {theirs} THEN NULL ELSE value END AS value) "
                f"FROM {source} ORDER BY file_row_number) "
                f"TO {literal(str(part))} (FORMAT parquet)"
            )
            accepted = [_vocabulary_hash(vocabulary), _vocabulary_hash(part)]
            write_sealed(card_path, {**read_json(card_path), "erased": accepted})
    return int(known)


def load_vocabulary(con: Connection, encoder: Encoder) -> None:
    """Create one temp table ``vocabulary_<n>`` (value, id) per field."""
    for number, field in enumerate(encoder.fields):
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE vocabulary_{number} AS "
            f"SELECT value, id FROM {parquet(encoder.vocabulary)} "
            f"WHERE field = {literal(field)}"
        )


def encoded_fields(config: Config, encoder: Encoder) -> tuple[str, str]:
    """Select list (``c_0`` …) and joins that encode the fields of ``day_rows``."""
    texts = field_columns(config)
    selected, joins = [], []
    for number, field in enumerate(encoder.fields):
        text = f"day_rows.{texts[field]}"
        bucket = f"1 + ('0x' || substr(md5({text}), 1, 8))::UINTEGER % {encoder.buckets}"
        selected.append(
            f"(CASE WHEN {text} IS NULL THEN 0 ELSE coalesce(vocabulary_{number}.id, {bucket}) END)"
            f"::INTEGER AS c_{number}"
        )
        joins.append(f"LEFT JOIN vocabulary_{number} ON {text} = vocabulary_{number}.value")
    return ", ".join(selected), " ".join(joins)


def encoded_numbers(encoder: Encoder, table: str) -> str:
    """Select list (``x_0`` …) of standardised numbers; null becomes 0, the mean."""
    # greatest() and least() pass over nulls, so that a null must be caught before them.
    return ", ".join(
        f"CASE WHEN {table}.{identifier(name)} IS NULL THEN 0 ELSE greatest(-{CLIP}, "
        f"least({CLIP}, ({table}.{identifier(name)} - {mean!r}) / {scale!r})) END::FLOAT "
        f"AS x_{number}"
        for number, (name, mean, scale) in enumerate(
            zip(encoder.numbers, encoder.means, encoder.scales, strict=True)
        )
    )


def _vocabulary_hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
