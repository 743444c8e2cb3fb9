"""Content policies: what a browser lets our pages, and those of Evidently, load and run."""

import base64
import hashlib
from collections.abc import Iterable, Mapping

Policy = Mapping[str, str]

_NOTHING: Policy = {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'"}
# Scripts are files of the site. Charts and bars set sizes in style attributes.
SITE: Policy = {
    **_NOTHING,
    "script-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
    "frame-src": "'self'",
}
_EVIDENTLY: Policy = {
    **_NOTHING,
    "style-src": "'unsafe-inline'",
    "img-src": "data: blob:",
    "font-src": "data:",
}
_OWN = ("script-src", "style-src", "img-src", "frame-src")


def in_page(policy: Policy) -> str:
    """A policy for a page's meta element.

    A page that is opened from disk has no origin of its own: files count as the site's.
    """
    return _text({name: f"{what} file:" if name in _OWN else what for name, what in policy.items()})


def of_site() -> str:
    """The header of a served page of ours."""
    return _text({**SITE, "frame-ancestors": "'self'"})


def of_sandbox() -> str:
    """The header of a served page of Evidently: its script reaches neither the site nor a network.

    Which inline scripts run is said by the page itself.
    """
    policy = {**_EVIDENTLY, "script-src": "'unsafe-inline'", "frame-ancestors": "'self'"}
    return f"sandbox allow-scripts; {_text(policy)}"


def of_scripts(scripts: Iterable[str]) -> str:
    """The policy of a page of Evidently, for its meta element: these inline scripts run, no other.

    Args:
        scripts: their texts, each as it stands between its tags.
    """
    marks = [hashlib.sha256(script.encode()).digest() for script in scripts]
    listed = " ".join(f"'sha256-{base64.b64encode(mark).decode()}'" for mark in marks)
    return _text({**_EVIDENTLY, "script-src": listed})


def _text(policy: Policy) -> str:
    return "; ".join(f"{name} {what}" for name, what in policy.items())
