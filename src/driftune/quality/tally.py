"""The tally: what a staged day holds by file, domain, hour and broken rules, counted once.

Figures of the day and its domains are sums over it: each would cost a reading of all rows.
"""

from driftune.lake.duck import Connection


def tally(con: Connection) -> None:
    """Write the table ``tally`` from ``staged``, anew when rows were marked since.

    Per group: ``n`` rows, of which ``labelled`` have a readable click, ``clicked`` and
    ``converted`` have a label of 1; ``clicks`` and ``conversions`` are the labels' sums, ``last``
    is the latest time.
    """
    con.execute(
        """
        CREATE OR REPLACE TABLE tally AS
        SELECT file, domain, hour, reasons, reasons <> '' AS rejected,
               count(*) AS n,
               count(click_value) AS labelled,
               count(*) FILTER (click_value = 1) AS clicked,
               count(*) FILTER (convert_value = 1) AS converted,
               sum(click_value) AS clicks,
               sum(convert_value) AS conversions,
               max(event_time) AS last
        FROM staged GROUP BY file, domain, hour, reasons
        UNION ALL
        SELECT file, NULL, NULL, 'row_unreadable', true, count(*), 0, 0, 0, NULL, NULL, NULL
        FROM unreadable GROUP BY file
        """
    )
