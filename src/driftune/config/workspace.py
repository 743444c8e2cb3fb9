"""Where a run writes: every path under the workspace has its name here."""

from datetime import date
from pathlib import Path

from driftune.config import Config

# How names of Evidently's own pages end: they are served and shown apart from the site's.
EVIDENTLY = ".evidently.html"


class Workspace:
    """The folders and files of one workspace; nothing is created by asking for a path."""

    def __init__(self, config: Config) -> None:
        self.home = config.home

    @property
    def lake(self) -> Path:
        """The Delta table, unless ``lake`` names another place."""
        return self.home / "lake"

    @property
    def lake_cache(self) -> Path:
        """Data files of a lake in an object store, as they were read or written last."""
        return self.home / "lake-cache"

    @property
    def staging(self) -> Path:
        """Scratch of running ingestions."""
        return self.home / "staging"

    @property
    def many_days(self) -> Path:
        """Files of many days, each version by day."""
        return self.home / "many-days"

    @property
    def model(self) -> Path:
        """Encoder, backbone and pre-training figures."""
        return self.home / "model"

    @property
    def features(self) -> Path:
        """Encoded days, named by what they were encoded from."""
        return self.home / "features"

    @property
    def profiles(self) -> Path:
        """What the drift windows of each day hold, by what they were drawn from."""
        return self.home / "drift" / "profiles"

    @property
    def adapters(self) -> Path:
        """Adapter files by domain key and version."""
        return self.home / "adapters"

    @property
    def challengers(self) -> Path:
        """Adapter files of fine-tunings that are not promoted yet."""
        return self.home / "challengers"

    def challenger(self, decision_id: str) -> Path:
        """Adapter files of a decision's challenger, until it is promoted."""
        return self.challengers / decision_id

    @property
    def pooled(self) -> Path:
        """Adapter files of pooled starts, named by what they were made from."""
        return self.home / "pooled"

    def trainer(self, decision_id: str) -> Path:
        """What is known of a decision's training job of the user's own while it runs (JSON)."""
        return self.home / "trainers" / f"{decision_id}.json"

    @property
    def mlflow(self) -> Path:
        """MLflow's store (SQLite), unless ``registry.mlflow`` names another."""
        return self.home / "mlflow.db"

    @property
    def reports(self) -> Path:
        """The review site."""
        return self.home / "reports"

    # A delivery that was refused after another one was accepted lies beside that one.

    def quality(self, day: date, *, redelivery: bool = False) -> Path:
        """The day's quality record (JSON), or that of its refused redelivery."""
        return self.home / "quality" / f"{_name(day, redelivery)}.json"

    def quarantine(self, day: date, *, redelivery: bool = False) -> Path:
        """The rejected rows of the day or redelivery with file, row and reasons (parquet)."""
        return self.home / "quarantine" / f"{_name(day, redelivery)}.parquet"

    def quality_profile(self, day: date) -> Path:
        """What the accepted rows of the day look like, for the days after it (JSON)."""
        return self.home / "quality" / "profiles" / f"{day}.json"

    def released(self, day: date) -> Path:
        """What was let out of the day's quarantine, by whom and why (JSON)."""
        return self.home / "quality" / "released" / f"{day}.json"

    def turn(self, day: date) -> Path:
        """The lock file of who takes the day in."""
        return self.home / "locks" / f"{day}.lock"

    def docs_record(self, day: date, *, redelivery: bool = False) -> Path:
        """What Great Expectations said of the day or redelivery (JSON), as the site shows it."""
        return self.home / "data_docs" / f"{_name(day, redelivery)}.json"

    def columns(self, day: date) -> Path:
        """The types of the columns that the day's files had (JSON)."""
        return self.home / "columns" / f"{day}.json"

    def snapshot(self, day: date, key: str) -> Path:
        """Which snapshot of a domain and day lies in Evidently's workspace (JSON)."""
        return self.home / "drift" / f"{day}" / f"{key}.snapshot.json"

    def drift_page(self, day: date, key: str) -> Path:
        """The site's page of a domain and day that shows Evidently's in a frame."""
        return self.drift_pages / f"{day}" / f"{key}.html"

    def evidently_page(self, day: date, key: str) -> Path:
        """Evidently's own page of a domain and day."""
        return self.drift_pages / f"{day}" / f"{key}{EVIDENTLY}"

    @property
    def evidently(self) -> Path:
        """Evidently's workspace, for ``evidently ui``."""
        return self.home / "evidently"

    @property
    def metrics(self) -> Path:
        """The last metrics of each flow, in Prometheus' text format."""
        return self.home / "metrics"

    @property
    def suppressed(self) -> Path:
        """Whose rows were erased and must not come back (JSON), by salted hashes."""
        return self.home / "erased.json"

    @property
    def suppressed_lock(self) -> Path:
        """Held while that list changes, and shared by what writes a staged day."""
        return self.home / ".erased.lock"

    @property
    def erasing_lock(self) -> Path:
        """Held by an erasure at work."""
        return self.home / ".erasing.lock"

    @property
    def upkeep_lock(self) -> Path:
        """Held by what prunes or erases: one at a time."""
        return self.home / ".upkeep.lock"

    @property
    def bundles(self) -> Path:
        """Where bundles were exported to (JSON, a file each)."""
        return self.home / "bundles"

    @property
    def policies(self) -> Path:
        """What the last comparison of policies found (JSON)."""
        return self.home / "policies.json"

    @property
    def drift_pages(self) -> Path:
        """Evidently's pages, a folder per day."""
        return self.reports / "drift"


def shown_path(config: Config, path: Path) -> str:
    """A path as a person types it from the project's folder, where it lies inside."""
    inside = path.is_relative_to(config.root)
    return str(path.relative_to(config.root) if inside else path)


def _name(day: date, redelivery: bool) -> str:
    return f"{day}.refused" if redelivery else f"{day}"
