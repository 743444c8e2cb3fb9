"""Domain names are data of any length and script; only their safe key reaches files and URLs."""

import hashlib
import re
import unicodedata


def domain_key(name: str) -> str:
    """Return a short key for a domain: readable slug, then 8 hex digits of its SHA-256.

    The key holds only ``[a-z0-9-]`` and at most 41 characters, so that it is safe as a file
    name, a model name, a URL segment and an event resource; the hash keeps different names apart.
    """
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:32].strip("-")
    return f"{slug}-{digest}" if slug else f"d-{digest}"
