"""Evidently's page so that nothing in its data runs, and the page of the site that frames it."""

import html
import re
from datetime import date
from string import Template
from typing import TYPE_CHECKING

from driftune.content_policy import SITE, in_page, of_scripts
from driftune.errors import DriftuneError
from driftune.visible import visible

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
# JSON holds no line break: the first one before an end tag is the template's.
_DATA = re.compile(r"<script>\n(.*?)\n</script>", re.DOTALL)
_LONGEST = 90
_FRAME = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Evidently: $domain, $day · Driftune</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="../../assets/driftune.css">
</head>
<body class="framing">
<header class="top">
<div class="bar">
<a class="brand" href="../../index.html">Driftune</a>
<nav aria-label="Breadcrumb"><a href="../../index.html">Review</a> \
<span aria-hidden="true">/</span> \
<a href="../../decision/$day/$key.html"><bdi>$domain</bdi>, $day</a> \
<span aria-hidden="true">/</span> <span aria-current="page">Evidently</span></nav>
</div>
</header>
<main><h1 class="vh">Evidently's page of <bdi>$domain</bdi>, $day</h1>
<iframe sandbox="allow-scripts" src="$framed" title="Evidently's drift page"></iframe></main>
</body>
</html>
""")


def page_text(snapshot: "Snapshot") -> str:
    """Evidently's page of a snapshot: only its own scripts run, and its data ends none of them.

    Raises:
        DriftuneError: when its template is another than the one that is known.
    """
    text = snapshot.get_html_str(as_iframe=False)
    data = _DATA.search(text)
    if data is None or "<head>" not in text[: data.start()]:
        raise DriftuneError("Evidently's page has another form than that of the version in use")
    inert = data[1].replace("<", "\\u003c")
    text = f"{text[: data.start(1)]}{inert}{text[data.end(1) :]}".lstrip()
    policy = html.escape(of_scripts(found[1] for found in _SCRIPT.finditer(text)))
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return text.replace("<head>", f"<head>\n{meta}", 1)


def frame_text(domain: str, key: str, day: date, framed: str) -> str:
    """The page that shows Evidently's, ``framed`` beside it, where its scripts reach nothing."""
    name = visible(domain)
    short = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    return _FRAME.substitute(
        policy=html.escape(in_page(SITE)), domain=html.escape(short), key=key, day=day,
        framed=framed,
    )  # fmt: skip
