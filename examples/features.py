"""Counters of a bundle in Feast's online store (``pip install feast``, not beside Driftune).

``driftune export --features FEATURES`` writes them; then, after each export::

    python features.py FEATURES REPO                       # SQLite, in REPO
    python features.py FEATURES REPO --redis HOST:6379     # Redis

It defines an entity for each part of a key and a feature view for each file, and brings the newest
figures to the online store. Keys are text, as the bundle has them; a domain is its key. A key that
the store does not know has the figures under ``unseen`` in ``features.json``.
"""

import argparse
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import yaml
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float32


def store_in(repo: Path, redis: str | None = None) -> FeatureStore:
    """A Feast repository in a folder; online features in SQLite there, or in Redis."""
    repo.mkdir(parents=True, exist_ok=True)
    online = {"type": "sqlite", "path": str(repo / "online.db")}
    if redis is not None:
        online = {"type": "redis", "connection_string": redis}
    settings = {
        "project": "driftune",
        "provider": "local",
        "registry": str(repo / "registry.db"),
        "online_store": online,
        "offline_store": {"type": "file"},
        "entity_key_serialization_version": 3,
    }
    (repo / "feature_store.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return FeatureStore(repo_path=str(repo))


def views_of(features: Path) -> tuple[list[Entity], list[FeatureView], datetime]:
    """The entities and views of an export's files, and the instant that their figures are of."""
    said = json.loads((features / "features.json").read_text(encoding="utf-8"))
    entities: dict[str, Entity] = {}
    views, newest = [], datetime.min.replace(tzinfo=UTC)
    for each in said["views"]:
        path = features / each["file"]
        for name in each["key"]:
            entities.setdefault(
                name, Entity(name=name, join_keys=[name], value_type=ValueType.STRING)
            )
        source = FileSource(path=str(path.resolve()), timestamp_field=said["event_time"])
        views.append(
            FeatureView(
                name="by_" + "_".join(each["key"]),
                entities=[entities[name] for name in each["key"]],
                ttl=timedelta(0),
                schema=[Field(name=name, dtype=Float32) for name in each["unseen"]],
                source=source,
            )
        )
        for time in pq.read_table(path, columns=[said["event_time"]])[0].unique().to_pylist():
            newest = max(newest, time)
    return [*entities.values()], views, newest


def main() -> None:
    """Define what the export has, and bring it to the online store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("features", type=Path)
    parser.add_argument("repo", type=Path)
    parser.add_argument("--redis", help="HOST:PORT of the online store in the place of SQLite")
    given = parser.parse_args()
    store = store_in(given.repo, given.redis)
    entities, views, newest = views_of(given.features)
    store.apply([*entities, *views])
    store.materialize(newest - timedelta(days=1), newest + timedelta(seconds=1))
    print(f"{len(views)} views of {newest:%Y-%m-%d %H:%M} UTC are in the online store")


if __name__ == "__main__":
    main()
