"""Serves a bundle's scores over HTTP: ``python serve.py --bundle bundle``, and ``--help``.

``POST /score`` takes a JSON list of rows and answers a list of their scores; ``GET /health``,
``/version`` and ``/metrics`` tell what serves. A new manifest is taken up without a restart.
"""

import argparse
import json
import sys
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from prometheus_client import Counter, Gauge, Histogram, make_asgi_app

from driftune.serving import BundleError, Follower, RowsError, Scorer

ROWS = Counter("driftune_serving_rows", "Rows by what served them", ["served_by"])
REFUSED = Counter("driftune_serving_refused", "Requests that were refused", ["status"])
SECONDS = Histogram("driftune_serving_seconds", "Seconds that scoring a request's rows took")
FAILURES = Gauge("driftune_serving_refresh_failures", "Refreshes that failed since the start")
BEHIND = Gauge("driftune_serving_behind", "1 while the newest refresh failed, else 0")


def service(follower: Follower, most_rows: int, most_bytes: int) -> FastAPI:
    """The application, with bounds on the rows and bytes of a request."""

    @asynccontextmanager
    async def following(app: FastAPI):
        FAILURES.set_function(lambda: follower.failures)
        BEHIND.set_function(lambda: follower.problem is not None)
        with follower:
            yield

    def refused(status: int, why: str) -> HTTPException:
        REFUSED.labels(status).inc()
        return HTTPException(status, why)

    app, scorer = FastAPI(title="Driftune", lifespan=following), follower.scorer
    app.mount("/metrics", make_asgi_app())
    app.get("/version")(lambda: {"info": scorer.info(), "domains": scorer.domains()})
    app.get("/health")(lambda: follower.health())

    @app.post("/score")
    async def score(request: Request) -> Response:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > most_bytes:
                raise refused(413, f"the body has more than {most_bytes} bytes; send fewer rows")
        try:
            rows = json.loads(body)
            if isinstance(rows, list) and len(rows) > most_rows:
                raise refused(413, f"{len(rows)} rows; send {most_rows} at most")
            with SECONDS.time():
                found = (await run_in_threadpool(scorer.score, rows)).to_pylist()
        except (RowsError, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise refused(422, str(error)) from None
        for row in found:
            ROWS.labels(row["served_by"] or "none").inc()
        return Response(json.dumps(found), media_type="application/json")

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve the scores of a bundle over HTTP.")
    parser.add_argument("--bundle", required=True)
    numbers = {"port": 8000, "poll": 15.0, "max-rows": 5000, "max-bytes": 8_000_000}
    for name, default in {"host": "127.0.0.1", "report-to": "", **numbers}.items():
        parser.add_argument(f"--{name}", default=default, type=type(default), help=f"{default}")
    given = parser.parse_args()
    try:
        follower = Follower(Scorer.open(given.bundle), given.poll, given.report_to)
    except (BundleError, ValueError) as error:
        sys.exit(f"error: {error}")
    app = service(follower, given.max_rows, given.max_bytes)
    uvicorn.run(app, host=given.host, port=given.port)
