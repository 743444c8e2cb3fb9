"""The scorer: a bundle in memory, that scores rows as they are delivered."""

import threading
from datetime import date
from pathlib import Path
from typing import Self, TypedDict

import numpy as np
import pyarrow as pa
from torch import Tensor

from driftune.errors import BundleError
from driftune.serving.generation import Generation, open_generation
from driftune.serving.manifest import Manifest, Stamp, read_manifest, stamp_of
from driftune.serving.places import is_url
from driftune.serving.remote import Remote
from driftune.serving.rows import Given, Rows, as_table
from driftune.serving.scores import Scores, probabilities, slots_in

UNKNOWN, NO_CHAMPION, GONE = "unknown domain", "no champion", "adapter gone"


class Served(TypedDict):
    """What serves a domain: its name, the version of its champion (0: the base), and by what;
    ``problem``: why the base serves in that version's place."""

    name: str
    version: int
    served_by: str
    problem: str | None


class Info(TypedDict):
    """What a bundle is: its hash, the release that wrote it, the last day of its counters, the
    version of its data, the model's and the encoder's fingerprints, and how many domains."""

    bundle: str
    driftune: str
    day: date
    data: str
    backbone: str
    encoder: str
    domains: int
    adapters: int


class Scorer:
    """Scores of the champions in a bundle. May be used by several threads at once.

    Every call uses one manifest as a whole, also while ``refresh`` brings in another one.
    """

    def __init__(self, bundle: Path, now: Generation, remote: Remote | None = None) -> None:
        """Use ``Scorer.open``."""
        self._bundle, self._now, self._remote = bundle, now, remote
        self._seen: Stamp | None = None
        self._refreshing = threading.Lock()

    @classmethod
    def open(
        cls, path: str | Path, cache: str | Path | None = None, *, shadow: bool = False
    ) -> Self:
        """Open a bundle that ``driftune export`` has written; every file is checked by its hash.

        Args:
            path: a folder, or an address such as ``s3://…``, which needs fsspec and its client.
            cache: folder for what is read of an address, of this process alone; by default one that
                is removed when the process ends.
            shadow: score by the challengers that wait, too, of a bundle that was exported
                ``--with-challengers``; they never serve.

        Raises:
            BundleError: in one line, when it is missing, damaged, of another format, or has no
                challengers to be scored.
        """
        if is_url(path):
            remote = Remote(str(path), None if cache is None else Path(cache))
            found = cls(remote.folder, remote.open(shadow=shadow), remote)
        elif cache is not None:
            raise BundleError(f"{path}: is no address; a cache belongs to one, such as s3://…")
        else:
            found = cls(Path(path), open_generation(Path(path), shadow=shadow))
        if shadow and found.manifest.challengers is None:
            raise BundleError(
                f"{path}: was exported without challengers; export it with them: driftune export "
                f"--to {path} --with-challengers"
            )
        return found

    def score(self, rows: Rows) -> pa.Table:
        """Score rows: a table or record batch of Arrow, or dicts, with columns as in the logs.

        Labels and propensities are not needed, nor are times: rows without one are at the end of
        the bundle's day. Returns in the order of the rows ``p_click``, ``p_convert``, ``p_ctcvr``
        (null where the model predicts no conversions), ``domain``, ``champion`` (version; 0 is the
        frozen base), ``served_by`` (``adapter`` or ``base``) and ``why``: what the base serves for,
        or why the row has no scores. Opened with ``shadow``, ``challenger_p_click`` and so on, what
        the waiting challenger of the row's domain would say, and ``challenger``, its decision; null
        where none waits.

        Raises:
            RowsError: in one line, when a column is missing, or has a type whose values cannot be
                told to be those of the logs.
        """
        now = self._now
        given = now.read(now.with_columns(as_table(rows)))
        scores, beside = probabilities(now, given)
        answer = _answer(now, given, scores)
        for name, column in beside.items():
            answer = answer.append_column(name, column)
        return answer

    def inputs(self, rows: Rows) -> dict[str, Tensor]:
        """What the bundle's programs take of rows (``driftune export --format``), by their names:
        ``slots`` and the model's inputs, in the programs' order.

        Raises:
            RowsError: as ``score`` does.
            BundleError: when the bundle has no programs.
        """
        now = self._now
        said = now.manifest.programs
        if said is None:
            raise BundleError(
                f"{self.bundle}: has no programs; export it with them: driftune export --to "
                f"{self.bundle} --format torch"
            )
        given = now.read(now.with_columns(as_table(rows)))
        inputs = (slots_in(now.adapted, given) + 1, *now.model.inputs(now.encode(given)))
        return dict(zip(said.names, inputs, strict=True))

    def refresh(self) -> bool:
        """Take up the bundle's newest manifest; returns whether it was another one.

        A manifest whose file is as it was, or at an address has the same ETag, is not read again.
        Calls that have begun end with the one that they began with. When it cannot be read the
        former one serves on.

        Raises:
            BundleError: as ``open`` does.
        """
        with self._refreshing:
            before = self._now.manifest.bundle
            if self._remote is not None:
                if self._remote.has_changed():
                    self._now = self._remote.open(self._now)
                return self._now.manifest.bundle != before
            stamp = stamp_of(self._bundle)
            if stamp is not None and stamp == self._seen:
                return False
            if read_manifest(self._bundle).bundle != before:
                self._now = open_generation(self._bundle, self._now)
            self._seen = stamp
            return self._now.manifest.bundle != before

    @property
    def bundle(self) -> str:
        """Path or address of the bundle."""
        return str(self._bundle if self._remote is None else self._remote.place)

    @property
    def manifest(self) -> Manifest:
        """The manifest in use."""
        return self._now.manifest

    def domains(self) -> dict[str, Served]:
        """The domains that the project knows, by key."""
        return {
            key: {
                "name": domain.name,
                "version": domain.version,
                "served_by": "base" if domain.part is None else "adapter",
                "problem": domain.problem,
            }
            for key, domain in self._now.manifest.domains.items()
        }

    def info(self) -> Info:
        """What the bundle in use is."""
        said = self._now.manifest
        return {
            "bundle": said.bundle,
            "driftune": said.version,
            "day": said.day,
            "data": said.data,
            "backbone": said.backbone,
            "encoder": said.encoder,
            "domains": len(said.domains),
            "adapters": sum(each.part is not None for each in said.domains.values()),
        }


def _answer(now: Generation, given: Given, scores: Scores) -> pa.Table:
    p_click, p_convert = scores
    lacks = np.zeros(len(given), dtype=bool)
    why = np.full(len(given), -1)
    reasons = [*given.wrong, UNKNOWN, NO_CHAMPION, GONE]
    versions, bases = _serving(now, given)
    why[:] = np.append(bases, -1)[given.domain.codes]
    for number, (_, wrong) in enumerate(reversed([*given.wrong.items()])):
        why[wrong] = len(given.wrong) - 1 - number
        lacks |= wrong
    version = np.append(versions, 0)[given.domain.codes]
    adapter = np.where(np.append(bases, 0)[given.domain.codes] < 0, 0, 1)
    names = pa.array([*given.domain.values], pa.string())
    domain = names.take(pa.array(given.domain.codes, mask=given.domain.codes < 0))
    p_ctcvr = None if p_convert is None else p_click * p_convert
    told = now.manifest.conversions
    return pa.table(
        {
            "p_click": pa.array(p_click, mask=lacks),
            "p_convert": _optional(p_convert if told else None, lacks),
            "p_ctcvr": _optional(p_ctcvr if told else None, lacks),
            "domain": domain,
            "champion": pa.array(version, pa.int32(), mask=lacks),
            "served_by": pa.array(["adapter", "base"]).take(pa.array(adapter, mask=lacks)),
            "why": pa.array(reasons).take(pa.array(why, mask=why < 0)),
        }
    )


def _serving(now: Generation, given: Given) -> tuple[np.ndarray, np.ndarray]:
    """For each domain among the rows: the champion's version, and the place of the reason for
    which the base serves, −1 where an adapter does."""
    known, first = now.manifest.domains, len(given.wrong)
    versions, bases = [], []
    for key in given.keys:
        domain = known.get(key)
        versions.append(0 if domain is None or domain.part is None else domain.version)
        base = first if domain is None else first + 1 if domain.problem is None else first + 2
        bases.append(base if domain is None or domain.part is None else -1)
    return np.array(versions, dtype=np.int64), np.array(bases, dtype=np.int64)


def _optional(values: np.ndarray | None, lacks: np.ndarray) -> pa.Array:
    if values is None:
        return pa.nulls(len(lacks), pa.float64())
    return pa.array(values, mask=lacks)
