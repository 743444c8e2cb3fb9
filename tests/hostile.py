"""Names that break what takes a name for anything but data."""

NAMES = (
    "n" * 10_000,
    "%s%(a)s",
    "{}{0}{name!r:>{width}}",
    "' OR 1=1; DROP TABLE staged; --",
    '"\\x00\\1\\g<0>$1${a}`id`',
    "a\x00b\x07\x1b[31m\n\r\t\x7f",
    "\u202eabc\u2066\u200b\ufeff",
    "../../../etc/passwd",
    "<script>alert(1)</script>",
    "--help",
    "💥 e\u0301 \u0430bc",
    "%",
    "?",
    ":a",
    ".",
    "/",
    "[*]",
    "con",
    "null",
    "{{ 7 * 7 }}",
)
