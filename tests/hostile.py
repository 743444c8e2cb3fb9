"""Hostile values: each is text wherever it stands, whatever role it has."""

# Whoever runs a script of these is heard: in the browser's log and at an address that ends so.
RAN = "hostile-script-ran"


def _values() -> tuple[str, ...]:
    run = f"console.log('{RAN}')"
    markup = (
        f"</script><script>{run}</script>",
        f"</SCRIPT ><sCrIpT>{run}</ScRiPt>",
        f"<!--<script>{run}//-->",
        f"]]></script><script>{run}</script>",
        f"<img src=x onerror={run}>",
        f"<svg/onload={run}>",
        f"<svg><script>{run}</script></svg>",
        f"<iframe srcdoc='<script>{run}</script>'></iframe>",
        f'" onmouseover="{run}" autofocus onfocus="{run}" x="',
        f"' onmouseover='{run}' autofocus onfocus='{run}' x='",
        f"--><script>{run}</script>",
        f"</title></style></textarea><script>{run}</script>",
        f'<a href="javascript:{run}">link</a>',
        f"javascript:{run}",
        f"jAvAsCrIpT&colon;{run}",
        f"data:text/html,<script>{run}</script>",
        f"<base href=//{RAN}.invalid/><meta http-equiv=refresh content='0;url=//{RAN}.invalid'>",
        f"<link rel=stylesheet href=http://{RAN}.invalid/a.css><style>*{{display:none}}</style>",
        f"<b>{RAN[:7]}</b>&lt;i&gt;&amp;&#60;u&#62;",
        f"\\u003cscript\\u003e{run}\\u003c/script\\u003e",
        f"';{run};//",
        f"`${{{run}}}`",
        f"{{{{ self.__init__.__globals__ }}}}{{% for x in y %}}{{{{7*7}}}}{{# {run} #}}",
        "${7*7} #{7*7} <%= 7*7 %> @(7*7)",
        "$a $b ${c} $$ %{y} %{customdata[0]} <extra></extra>",
        "var(--text)",
        "%s%(a)s%n%d%",
        "{0.__class__} {} {a[b]} {{}}",
    )
    others = (
        f"[click](javascript:{run}) ![x](http://{RAN}.invalid/a.png)",
        f"**bold** `code` # head\n\n- item\n1. one | a | b |\n<http://{RAN}.invalid>",
        f"www.{RAN}.invalid https://{RAN}.invalid/?q=a@b.invalid",
        "<!channel> <@U123> @all &lt;@here&gt;",
        f'=HYPERLINK("http://{RAN}.invalid","x")',
        "+1+cmd|' /C calc'!A0",
        "-2+3 @SUM(1) \t=1+1",
        "'; DROP TABLE decisions; --",
        '" OR ""=" \\\' /* $$ */',
        "a\r\nSubject: forged\r\n\r\nERROR forged line",
        "nul \x00 bell \x07 del \x7f next line \x85 csi \x9b31m",
        "\x1b[31mred\x1b]0;title\x07\x1b[2J\x1b[1;1H",
        "abc\u202egnp.exe\u202c \u2066x\u2069 \u200f\u061c \u2028 \u2029",
        "zero\u200bwidth\ufeff\u2060\u00ad tag \U000e0041\U000e007f",
        "half \ud800 a \udfff pair",
        "pаypаl Ｈｏｍｅ h᧐me ı İ ß ﬁ",
        "../../../../etc/passwd",
        "..\\..\\x C:\\nul CON aux.txt ~/.ssh //host/share",
        " leading and trailing ",
        "🍜 深夜 नमस्ते مرحبا e\u0301\u0301\u0301 👩\u200d🍳",
        "x" * 10_000,
        "long words " * 900,
    )
    return (*markup, *others)


VALUES = _values()
# Those that a file of logs in UTF-8 can hold.
DELIVERED = tuple(value for value in VALUES if "\ud800" not in value)

# Names that break what takes a name for anything but data.
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
