"""The routes of the Marketplace page, each behind Airflow's own authentication.

Airflow mounts the app of a plugin beside its own, where none of its checks apply: so every route, static files too,
asks its auth manager here. Who may see the UI may see the page; raw lines hold personal data, so they are for those who
may also start runs of `ingest_files`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import jinja2
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_view
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException as AnyHTTPException

from marketplace_page import lines
from marketplace_page.bucket import Bucket, MissingSettingError, UnreachableError

HERE = Path(__file__).parent
VERSION = 1  # of the status, as marketplace.reporting.status writes it
STALE = timedelta(minutes=25)
MOST_READ = 1024 * 1024  # of a file whose lines are shown
STATIC = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml",
          "icon-dark.svg": "image/svg+xml"}  # fmt: skip
# The DAGs by which a person mends what the page shows, and what each is for.
ACTIONS = {
    "correct_alias": ("Correct an alias", "A name or an id stands for another publisher or game."),
    "replay_rows": ("Load rows again", "Rejected or held rows, after a contract was mended."),
    "redrive_notifications": ("Dead letters", "Look at notifications that were given up, deliver or discard them."),
    "sync_warehouse": ("Sync or repair the warehouse", "Load what differs anew, compare all rows, or reload tables."),
}
# Scripts and styles from here alone, no other host, nothing in line, and no other site may frame it.
POLICY = "; ".join(
    ("default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'",
     "frame-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'self'")
)  # fmt: skip
# The dashboard is one file with its styles in it, and has no script: none of it may run one.
DASHBOARD_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'self'; sandbox"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def may_see_lines(user: GetUserDep) -> None:
    """Let pass who may see raw lines, which hold personal data: whoever may start runs of ingest_files."""
    # Not by Airflow's requires_access_dag: that asks the metadata database for the DAG's team, which MWAA has none of.
    if not get_auth_manager().is_authorized_dag(
        method="POST", access_entity=DagAccessEntity.RUN, details=DagDetails(id="ingest_files"), user=user
    ):
        raise HTTPException(403, "Raw lines hold personal data: they need the right to start runs of ingest_files.")


LINES = [Depends(may_see_lines)]
Text = Annotated[str, Query(max_length=300)]


class Page:
    """What the routes share: the two buckets and the templates."""

    def __init__(self) -> None:
        self.report = Bucket("REPORT_BUCKET")
        self.landing = Bucket("LANDING_BUCKET")
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"ago": ago, "when": when, "number": number, "duration": duration}
        self._templates.globals |= {"link": link, "actions": ACTIONS}

    def render(self, request: Request, name: str, status_code: int = 200, **values: Any) -> HTMLResponse:
        """Return a page of a template."""
        base = request.scope.get("root_path", "")
        text = self._templates.get_template(name).render(
            base=base, airflow=base.rsplit("/marketplace", 1)[0], path=request.url.path, **values
        )
        return HTMLResponse(text, status_code)

    def status(self) -> dict[str, Any]:
        """Return the published state. Raises Unready when there is none that this page understands."""
        status = self.report.json("status/latest.json")
        if status is None:
            raise Unready(
                "Nothing has been published yet",
                "The report bucket has no status. Unpause the DAG publish_status, or trigger it: the page is there when"
                " its run has ended.",
            )
        if status["version"] != VERSION:
            raise Unready(
                "Another release has written the status",
                f"It is of version {status['version']}, and this page knows {VERSION}: deploy plugins.zip and dags/ of"
                " one release, and run publish_status.",
            )
        status["is_stale"] = datetime.now(UTC) - datetime.fromisoformat(status["written_at"]) > STALE
        return status

    def group(self, kind: str, key: dict[str, str]) -> dict[str, Any]:
        """Return a dataset and reason with its raw lines, by what the published status says of it."""
        groups = (self.status()["parts"][kind]["value"] or {"groups": []})["groups"]
        for group in groups:
            if all(group[name] == value for name, value in key.items()):
                # The status was read before: by now a newer one may have replaced its lines.
                return {"lines": None, **group, **(self.report.json(group["key"]) or {})}
        raise HTTPException(404, "There are no such rows any more: they were loaded again, or expired.")

    def figure(self, chart: str, figure: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Return the dashboard's account of its figures, a chart of it and one of its figures."""
        figures = self.figures()
        for one in figures["charts"]:
            for of_chart in one["figures"]:
                if (one["name"], of_chart["id"]) == (chart, figure):
                    return figures, one, of_chart
        raise HTTPException(404, "The dashboard has no such figure any more.")

    def figures(self) -> dict[str, Any]:
        """Return what the dashboard's figures come from. Raises Unready when there is no dashboard yet."""
        figures = self.report.json("dashboard/latest/figures.json")
        if figures is None:
            raise Unready(
                "There is no dashboard yet",
                "It is published after each sync that has changed the warehouse: trigger sync_warehouse, and look at"
                " the runs of build_marts and publish_dashboard.",
            )
        return figures


class Unready(RuntimeError):
    """There is nothing to show yet: a title, and what to do."""

    def __init__(self, title: str, text: str) -> None:
        super().__init__(f"{title}: {text}")
        self.title, self.text = title, text


def create_app() -> FastAPI:
    """Return the app that Airflow mounts."""
    page = Page()
    app = FastAPI(
        title="Marketplace",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(requires_access_view(AccessView.WEBSITE))],
    )
    _answer_errors(app, page)
    _add_state(app, page)
    _add_lines(app, page)
    _add_dashboard(app, page)

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in STATIC:
            raise HTTPException(404, "There is no such file.")
        return Response((HERE / "static" / name).read_bytes(), media_type=STATIC[name])

    @app.get("/act/{dag_id}")
    def act(request: Request, dag_id: str) -> HTMLResponse:
        if dag_id not in ACTIONS:
            raise HTTPException(404, f"The page has forms for {', '.join(ACTIONS)}.")
        return page.render(request, "act.html", dag_id=dag_id, title=ACTIONS[dag_id][0])

    return app


def _add_state(app: FastAPI, page: Page) -> None:
    @app.get("/")
    def overview(request: Request) -> HTMLResponse:
        return page.render(request, "overview.html", status=page.status())

    @app.get("/rejected")
    def rejected(request: Request) -> HTMLResponse:
        return page.render(request, "rejected.html", status=page.status())

    @app.get("/held")
    def held(request: Request) -> HTMLResponse:
        return page.render(request, "held.html", status=page.status())


def _add_lines(app: FastAPI, page: Page) -> None:
    @app.get("/rejected/lines", dependencies=LINES)
    def rejected_lines(request: Request, dataset: Text, reason: Text) -> HTMLResponse:
        group = page.group("rejected", {"dataset": dataset, "reason": reason})
        return page.render(request, "lines.html", kind="rejected", group=group)

    @app.get("/rejected/lines.csv", dependencies=LINES)
    def rejected_csv(dataset: Text, reason: Text) -> Response:
        return _download("rejected", page.group("rejected", {"dataset": dataset, "reason": reason}))

    @app.get("/held/lines", dependencies=LINES)
    def held_lines(request: Request, dataset: Text, reason: Text, ref_dataset: Text) -> HTMLResponse:
        group = page.group("held", {"dataset": dataset, "reason": reason, "ref_dataset": ref_dataset})
        return page.render(request, "lines.html", kind="held", group=group)

    @app.get("/held/lines.csv", dependencies=LINES)
    def held_csv(dataset: Text, reason: Text, ref_dataset: Text) -> Response:
        key = {"dataset": dataset, "reason": reason, "ref_dataset": ref_dataset}
        return _download("held", page.group("held", key))


def _download(kind: str, group: dict[str, Any]) -> Response:
    if group["lines"] is None:
        raise HTTPException(404, "These lines have expired, or were loaded again: see the page anew.")
    columns = ["object_key", "line_no", "load_id", "put_at", "column_name", "reason", "detail", "raw"]
    rows = [{"reason": group["reason"], **line} for line in group["lines"]]
    name = re.sub(r"[^\w.-]", "_", f"{kind}-{group['dataset']}-{group['reason']}.csv", flags=re.ASCII)
    # With the mark by which Excel knows UTF-8.
    body = "\N{BYTE ORDER MARK}" + lines.as_csv(columns, rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(body, media_type="text/csv; charset=utf-8", headers=headers)


def _add_dashboard(app: FastAPI, page: Page) -> None:
    @app.get("/dashboard")
    def dashboard(request: Request) -> HTMLResponse:
        return page.render(request, "dashboard.html", figures=page.figures())

    @app.get("/dashboard/view")
    def view(theme: Annotated[str, Query(pattern="^(light|dark)$")] | None = None) -> Response:
        body = page.report.read("dashboard/latest/index.html")
        if body is None:
            raise HTTPException(404, "There is no dashboard yet.")
        if theme:
            # Of an attribute that is there twice a browser takes the first.
            body = re.sub(rb"<html\b", f'<html data-theme="{theme}"'.encode(), body, count=1)
        return HTMLResponse(body, headers={"Content-Security-Policy": DASHBOARD_POLICY})

    @app.get("/numbers")
    def numbers(request: Request) -> HTMLResponse:
        return page.render(request, "numbers.html", figures=page.figures())

    @app.get("/numbers/loads")
    def loads(request: Request, chart: Text, figure: Text) -> HTMLResponse:
        figures, of_chart, of_figure = page.figure(chart, figure)
        return page.render(request, "loads.html", figures=figures, chart=of_chart, figure=of_figure)

    # Which object is read is never what the browser says, but what the dashboard's account names.
    @app.get("/numbers/lines", dependencies=LINES)
    def sample(request: Request, chart: Text, figure: Text, load_id: int) -> HTMLResponse:
        _, of_chart, of_figure = page.figure(chart, figure)
        load = next((load for load in of_figure["loads"] if load["load_id"] == load_id), None)
        if load is None:
            raise HTTPException(404, "The figure does not come from this load any more.")
        head = page.landing.head_of(load["archive_key"], MOST_READ) if load.get("archive_key") else None
        found = lines.find(*head, load["sample_lines"]) if head else None
        return page.render(
            request, "sample.html", chart=of_chart, figure=of_figure, load=load, found=found,
            is_whole=head is not None and head[1], most_read=MOST_READ,
        )  # fmt: skip


def _answer_errors(app: FastAPI, page: Page) -> None:
    @app.middleware("http")
    async def add_headers(request: Request, call_next: Callable[..., Any]) -> Response:
        response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @app.exception_handler(AnyHTTPException)
    def refused(request: Request, error: AnyHTTPException) -> Response:
        titles = {401: "Please log in again", 403: "You may not see this", 404: "Not found"}
        texts = {401: "The session has ended. Reload Airflow's page to log in."}
        return page.render(
            request, "message.html", error.status_code, title=titles.get(error.status_code, "This did not work"),
            text=texts.get(error.status_code, error.detail),
        )  # fmt: skip

    @app.exception_handler(Unready)
    def unready(request: Request, error: Unready) -> Response:
        return page.render(request, "message.html", title=error.title, text=error.text)

    @app.exception_handler(UnreachableError)
    def unreachable(request: Request, error: UnreachableError) -> Response:
        text = f"{error}. The page reads the report bucket and the landing bucket, and nothing else."
        return page.render(request, "message.html", 503, title="S3 cannot be read", text=text)

    @app.exception_handler(MissingSettingError)
    def missing(request: Request, error: MissingSettingError) -> Response:
        return page.render(request, "message.html", 503, title="The page is not set up", text=str(error))


def link(path: str, **parameters: Any) -> str:
    """Return a path with its query, in which anything may stand."""
    return f"{path}?{urlencode(parameters)}"


def when(time: str | None) -> str:
    """Return a time as people read it: 2026-11-22 08:15 UTC."""
    return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M} UTC" if time else "never"


def ago(time: str | None) -> str:
    """Return how long ago a time was, roughly."""
    if time is None:
        return "never"
    return f"{duration((datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds())} ago"


def duration(seconds: float) -> str:
    """Return a time span in the largest unit of which there are two."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def number(value: float | int | None) -> str:
    """Return a number with separators; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:,.2f}" if isinstance(value, float) and not value.is_integer() else f"{value:,.0f}"
