"""The ledger of the demo as release 62340b5 wrote it, for tests that read older ledgers."""

import gzip
from pathlib import Path

# 72 decisions of 12 days: 60 stable, 1 watched, 9 promoted, 2 rejected. Host names are left out.
_FILE = Path(__file__).parent / "data" / "ledger-62340b5.db.gz"


def unpack_old_ledger(home: Path) -> Path:
    """Put the old ledger into a workspace; returns its file."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / "ledger.db"
    path.write_bytes(gzip.decompress(_FILE.read_bytes()))
    return path
