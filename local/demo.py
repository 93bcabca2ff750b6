"""`make demo`: start the platform, load sample files and mock data, account for all, notify, sync, draw."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from botocore.exceptions import BotoCoreError, ClientError
from psycopg import sql
from psycopg.rows import dict_row
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local import airflow, emulator, issuer, postgres, upload, warehouse
from local.errors import LocalError
from local.layout import REPO
from local.platform import Platform
from local.supervisor import wait_for, wait_until

SAMPLES = REPO / "include" / "data"
DAG = "ingest_files"
MOCK_DAG = "generate_mock_data"
MOCK_DAYS = 7
SYNC_DAG = "sync_warehouse"
NOTIFY_DAG = "notify_customers"
STATUS_DAG = "publish_status"
PAGE = "/plugin/market"  # the page of plugins/marketplace_plugin.py
WHOLE_DASHBOARD = "/marketplace/dashboard/view"
READS_DAG = "count_reads"
DASHBOARD_DAG = "publish_dashboard"
DASHBOARD = "dashboard/latest/"
# The last task of a run of DAG: it fails when too much was rejected, as of the samples, which are dirty on purpose.
SHARE_TASK = "check_rejected_share"
SAMPLES_TITLE = "What was loaded of the sample files"
MOCK_TITLE = "What was loaded of the files that generate_mock_data made"
LOAD_SECONDS = 300
# What is asked of the APIs: the play of the sample files, and somebody's notifications.
API_CUSTOMER = "CUST-0001"
API_PATHS = ("/aggregated-data?from=2025-01-01&to=2025-12-31&group_by=day&area=Europe", "/notifications")
SHOWN_REASONS = 5  # of each of rejected, held and issue
COUNTS = ("read", "accepted", "rejected", "held", "issues")
CHANGES = ("inserted", "updated")

FILES = """
select object_key, version_id, status, reason, claimed_by, read, accepted, rejected, held
from ops.load
where kind = 'file' and version_id = any(%(versions)s)
order by load_id
"""
# The loads of this demo: its files, and the held rows that its runs resolved.
LOADS = """
select *
from ops.load
where (kind = 'file' and version_id = any(%(versions)s)) or (kind = 'retry' and claimed_by = any(%(runs)s))
order by load_id
"""
WAITING = """
select l.dataset, count(*) as waiting
from ops.held_row as h
inner join ops.load as l using (load_id)
where l.file_load_id = any(%(loads)s) and h.retried_load_id is null
group by l.dataset
"""
REASONS = """
select findings.what, load.dataset, findings.reason, count(*) as rows
from (
    select 'rejected' as what, load_id, reason from ops.rejected_row
    union all
    select 'held' as what, load_id, reason from ops.held_row
    union all
    select 'issue' as what, load_id, kind as reason from ops.issue
) as findings
inner join ops.load using (load_id)
where load.file_load_id = any(%(loads)s) and (findings.what = 'issue' or load.kind = 'file')
group by findings.what, load.dataset, findings.reason
order by rows desc, load.dataset, findings.reason
"""
KINDS = """
select rule_id, case due_kind when 'event' then due_value else due_kind || ' ' || due_value end as due
from store.notification_rule
"""

NEWEST_SYNC = """
select run_id from ops.sync_run
where exported > 0 or deleted > 0 or mode = 'full'
order by synced_at desc, run_id limit 1
"""


@dataclass
class Stages:
    """The time of each stage, in the order in which they ended."""

    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = 0.0

    def end(self, name: str, now: float) -> None:
        """Close the stage that ends `now` seconds after the start."""
        self.seconds[name] = now - self._since
        self._since = now


class Ledger:
    """What the demo reads of schema ops."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True, row_factory=dict_row)

    def rows(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return the rows of one of this module's queries."""
        return self._connection.execute(query, parameters).fetchall()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def run(platform: Platform, console: Console, clock: Any) -> int:
    """Run the demo; return 0 when every row is accounted for and nothing failed, else 1."""
    stages = Stages()
    stages.end("install", clock.seconds())
    platform.up()
    stages.end("start", clock.seconds())
    try:
        return load(platform, console, clock, stages)
    except (psycopg.Error, BotoCoreError, ClientError, airflow.NoAnswerError) as error:
        platform.require_running()  # names the part that went down, if one did
        raise LocalError(f"The demo cannot go on: {error}\n`make status` tells how the parts are.") from None


def load(platform: Platform, console: Console, clock: Any, stages: Stages) -> int:
    """Load the sample files, then mock data, and report; return what `run` does."""
    ledger = Ledger(platform.store_url())
    try:
        # Whom a day's notifications are for is decided once: not by a run that meets half of the samples.
        settle_notifications(platform)
        since = datetime.now(UTC).isoformat()
        samples = upload_samples(platform, clock.say)
        files = watch_files(platform, ledger, samples, clock.say)
        stages.end("samples", clock.seconds())
        mock_runs = make_data(platform, clock.say)
        mock = put_by(platform, mock_runs)
        files += watch_files(platform, ledger, mock, clock.say)
        stages.end("mock data", clock.seconds())
        wait_until_moved(platform, samples + mock)
        runs = wait_for_runs(platform, since, {file["claimed_by"] for file in files})
        stages.end("archive and held rows", clock.seconds())
        notified = notify(platform, clock.say)
        read_some(platform, notified, clock.say)
        stages.end("notifications", clock.seconds())
        synced = sync_warehouse(platform, clock.say)
        stages.end("sync", clock.seconds())
        wait_for_dashboard(platform, clock.say)
        stages.end("dashboard", clock.seconds())
        publish_status(platform, clock.say)
        stages.end("status", clock.seconds())
        titled = {SAMPLES_TITLE: samples, MOCK_TITLE: mock}
        return report(platform, ledger, titled, runs, mock_runs, synced, notified, stages, console)
    finally:
        ledger.close()


def make_data(platform: Platform, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Have the DAG make the last days' mock data, and pause it again if it was paused; return its runs that succeeded.

    There may be two: once it is unpaused, the scheduler starts a run that is due.
    """
    api = platform.api
    known = {run["dag_run_id"] for run in api.runs(MOCK_DAG)}
    paused = api.dag(MOCK_DAG)["is_paused"]
    if paused:
        api.unpause(MOCK_DAG)
    try:
        api.trigger(MOCK_DAG, {"days_back": MOCK_DAYS})
        return wait_for_data(platform, known, say)
    finally:
        if paused:
            api.pause(MOCK_DAG)


def wait_for_data(platform: Platform, known: set[str], say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Wait until at least one run of the DAG that is not `known` has ended, and none goes on; return them."""
    seen: dict[str, str] = {}
    runs: list[dict[str, Any]] = []

    def ended() -> list[dict[str, Any]] | None:
        nonlocal runs
        runs = [run for run in platform.api.runs(MOCK_DAG) if run["dag_run_id"] not in known]
        for run in runs:
            now = f"{run['state']:9} {MOCK_DAG} {run['dag_run_id']}"
            if run["state"] == "running":
                puts = platform.api.task_states(MOCK_DAG, run["dag_run_id"], "put_files")
                now += f": {puts.count('success')} of {len(puts)} intervals put" if "success" in puts else ""
            if seen.get(run["dag_run_id"]) != now:
                seen[run["dag_run_id"]] = now
                say(now)
        failed = [run["dag_run_id"] for run in runs if run["state"] == "failed"]
        if failed:
            tasks = ", ".join(platform.api.failed_tasks(MOCK_DAG, failed[0])) or "no task of its own"
            raise LocalError(f"{MOCK_DAG} failed in {tasks}: {platform.api.run_page(MOCK_DAG, failed[0])}")
        if runs and all(run["state"] == "success" for run in runs):
            return runs
        platform.require_running()
        return None

    def late() -> str:
        page = platform.api.run_page(MOCK_DAG, runs[0]["dag_run_id"]) if runs else platform.api.url
        return f"{MOCK_DAG} has not ended after {LOAD_SECONDS} s: {page}"

    return wait_for(ended, LOAD_SECONDS, late, airflow.POLL_SECONDS)


def put_by(platform: Platform, mock_runs: list[dict[str, Any]]) -> list[upload.Uploaded]:
    """Return the files that runs of the mock data's DAG have put."""
    made = [
        platform.api.result(MOCK_DAG, run["dag_run_id"], "put_files", number)
        for run in mock_runs
        for number in range(len(platform.api.result(MOCK_DAG, run["dag_run_id"], "choose_intervals")))
    ]
    return [
        upload.Uploaded(file["key"].split("/")[1], file["key"], file["version_id"])
        for one in made
        for file in one["files"]
    ]


def sync_warehouse(platform: Platform, say: Callable[[str], None]) -> str:
    """Have the DAG bring the warehouse to the store as it is now, and return the run's id, once it has succeeded.

    The tables' changes have started runs of it before; this one comes after them.
    """
    run_id = platform.api.trigger(SYNC_DAG)
    say(f"started   {SYNC_DAG} {run_id}")
    platform.api.wait(SYNC_DAG, run_id, LOAD_SECONDS)
    return run_id


def settle_notifications(platform: Platform) -> None:
    """Wait until no run of the DAG goes on or is due: once it is unpaused, it runs for the day before."""

    def settled() -> bool:
        due_at = platform.api.dag(NOTIFY_DAG)["next_dagrun_run_after"]
        due = due_at is not None and datetime.fromisoformat(due_at) <= datetime.now(UTC)
        platform.require_running()
        return not due and all(run["state"] in airflow.FINISHED for run in platform.api.runs(NOTIFY_DAG))

    if not platform.api.dag(NOTIFY_DAG)["is_paused"]:
        wait_until(settled, LOAD_SECONDS, lambda: f"Runs of {NOTIFY_DAG} go on: {platform.api.url}/dags/{NOTIFY_DAG}")


def notify(platform: Platform, say: Callable[[str], None]) -> str:
    """Have the DAG deliver the notifications of the last whole day, and return the run's id, once it has succeeded."""
    run_id = platform.api.trigger(NOTIFY_DAG)
    say(f"started   {NOTIFY_DAG} {run_id}")
    platform.api.wait(NOTIFY_DAG, run_id, LOAD_SECONDS)
    return run_id


def read_some(platform: Platform, notified: str, say: Callable[[str], None]) -> None:
    """Mark a customer's notifications of the day as read, as the app does, and have a DAG count what was read."""
    inbox = fullest_inbox(platform, platform.api.result(NOTIFY_DAG, notified, "account")["day"])
    if not inbox:
        return
    token = issuer.token(platform.layout, platform.state, inbox[0]["customer_id"])

    def ask(method: str, path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the emulator's address
            platform.api_url + path, body, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            method=method,
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - see above
            return json.load(answer)

    for notification in ask("GET", "/notifications")["notifications"]:
        ask("PATCH", f"/notifications/{notification['id']}", b'{"read": true}')
    run_id = platform.api.trigger(READS_DAG)
    say(f"started   {READS_DAG} {run_id}")
    platform.api.wait(READS_DAG, run_id, LOAD_SECONDS)


def wait_for_dashboard(platform: Platform, say: Callable[[str], None]) -> None:
    """Wait until the dashboard shows what the last sync has brought: each sync starts the marts, they start it."""
    s3 = emulator.client("s3", platform.endpoint)
    shown = ""

    def is_there() -> bool:
        nonlocal shown
        with postgres.connect(platform.state, warehouse.DATABASE, warehouse.USER, part="redshift") as copy:
            newest = copy.execute(NEWEST_SYNC).fetchone()
        try:
            file = s3.get_object(Bucket=platform.state.outputs["ReportBucket"], Key=f"{DASHBOARD}figures.json")
            shown = json.load(file["Body"])["run_id"]
        except s3.exceptions.NoSuchKey:
            shown = ""
        platform.require_running()
        return newest is not None and shown == newest[0]

    def late() -> str:
        page = f"{platform.api.url}/dags/{DASHBOARD_DAG}"
        return f"After {LOAD_SECONDS} s the dashboard is of {shown or 'no sync'} yet: {page}"

    wait_until(is_there, LOAD_SECONDS, late)
    say(f"published {DASHBOARD}index.html")


def publish_status(platform: Platform, say: Callable[[str], None]) -> None:
    """Have the DAG publish what the Marketplace page shows, as it is now, and wait until it has succeeded."""
    run_id = platform.api.trigger(STATUS_DAG)
    say(f"started   {STATUS_DAG} {run_id}")
    platform.api.wait(STATUS_DAG, run_id, LOAD_SECONDS)


def by_rule(account: dict[str, Any], kinds: dict[str, str]) -> Table:
    """Return the table of a day's notifications, a line a rule that was due; `kinds` say what made it due."""
    table = Table(title=f"Notifications of {account['day']}", title_justify="left", box=None, pad_edge=False)
    for heading in ("rule", "due by"):
        table.add_column(heading)
    for heading in ("customers", "delivered", "skipped"):
        table.add_column(heading, justify="right")
    for rule_id, of_rule in account["rules"].items():
        skipped = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in of_rule["skipped"].items())
        table.add_row(
            rule_id, kinds.get(rule_id, ""), str(of_rule["expected"]), str(of_rule["delivered"]), skipped or "0"
        )
    return table


def fullest_inbox(platform: Platform, day: str) -> list[dict[str, str]]:
    """Return the notifications of the customer who has most of that day, as they are in the table; maybe none."""
    dynamodb = emulator.client("dynamodb", platform.endpoint)
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=platform.state.outputs["NotificationTable"],
        FilterExpression="#day = :day",
        ExpressionAttributeNames={"#day": "day"},
        ExpressionAttributeValues={":day": {"S": day}},
    )
    inboxes: dict[str, list[dict[str, str]]] = {}
    for page in pages:
        for item in page["Items"]:
            plain = {name: str(next(iter(value.values()))) for name, value in item.items()}
            inboxes.setdefault(plain["customer_id"], []).append(plain)
    _, fullest = max(inboxes.items(), key=lambda of: (len(of[1]), of[0]), default=("", []))
    return sorted(fullest, key=lambda item: item["item"])


def show_notifications(platform: Platform, ledger: Ledger, run_id: str, console: Console) -> list[str]:
    """Print a day's notifications by rule, and an inbox; returns a sentence when they do not add up."""
    account = platform.api.result(NOTIFY_DAG, run_id, "account")
    kinds = {row["rule_id"]: row["due"] for row in ledger.rows(KINDS)}
    console.print()
    if not account["rules"]:
        return [f"No rule was due on {account['day']}, though there is one for each day of the week"]
    console.print(by_rule(account, kinds))
    inbox = fullest_inbox(platform, account["day"])
    if inbox:
        console.print(f"\nThe inbox of {escape(inbox[0]['customer_id'])} of that day")
    for item in inbox:
        console.print(f"  [bold]{escape(item['subject'])}[/bold] ({escape(item['item'])}, {escape(item['locale'])})")
        for line in item["body"].splitlines():
            console.print(f"    {escape(line)}")
    if account["expected"] != account["delivered"] + sum(account["skipped"].values()):
        return [f"Of {account['expected']} notifications {account['delivered']} were delivered: {account['skipped']}"]
    return []


def by_table(platform: Platform) -> tuple[Table, list[str]]:
    """Return the table of how many rows store and warehouse have, and a sentence for each table where they differ."""
    table = Table(title="Store and warehouse", title_justify="left", box=None, pad_edge=False)
    table.add_column("table")
    for heading in ("rows in the store", "in the warehouse"):
        table.add_column(heading, justify="right")
    faults = []
    with (
        postgres.connect(platform.state, "store") as store,
        postgres.connect(platform.state, warehouse.DATABASE, warehouse.USER, part="redshift") as copy,
    ):
        for (name,) in copy.execute("select table_name from ops.sync_state order by 1").fetchall():
            counted = sql.SQL("select count(*) from {}").format(sql.Identifier(*name.split(".")))
            ours, theirs = (side.execute(counted).fetchone() or (0,) for side in (store, copy))
            table.add_row(name, str(ours[0]), str(theirs[0]))
            if ours != theirs:
                faults.append(f"{name} has {ours[0]} rows in the store, and {theirs[0]} in the warehouse")
    return table, faults


def upload_samples(platform: Platform, say: Callable[[str], None]) -> list[upload.Uploaded]:
    """Put every sample file, of include/data/DATASET/, into the landing bucket."""
    s3 = emulator.client("s3", platform.endpoint)
    bucket = platform.state.outputs["LandingBucket"]
    uploaded = []
    for path in sorted(SAMPLES.glob("*/*.csv")):
        uploaded.append(upload.upload(s3, bucket, path, upload.choose_dataset(path, path.parent.name)))
        say(f"uploaded {uploaded[-1].key}")
    if not uploaded:
        raise LocalError(f"There are no sample files in {SAMPLES}.")
    return uploaded


def watch_files(
    platform: Platform, ledger: Ledger, uploaded: list[upload.Uploaded], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Report each file's way through the ledger until all have arrived; return their rows of ops.load."""
    versions = [put.version_id for put in uploaded]
    seen: dict[str, str] = {}
    files: list[dict[str, Any]] = []

    def arrived() -> list[dict[str, Any]] | None:
        nonlocal files
        files = ledger.rows(FILES, versions=versions)
        for file in files:
            if seen.get(file["version_id"]) != file["status"]:
                seen[file["version_id"]] = file["status"]
                say(f"{file['status']:9} {file['object_key']}{account(file)}")
        if len(files) == len(uploaded) and all(file["status"] != "claimed" for file in files):
            return files
        platform.require_running()
        runs = {file["claimed_by"] for file in files if file["status"] == "claimed" and file["claimed_by"]}
        if runs and all(platform.api.run(DAG, run)["state"] in airflow.FINISHED for run in runs):
            # A load may end between the two questions.
            files = ledger.rows(FILES, versions=versions)
            if any(file["status"] == "claimed" and file["claimed_by"] in runs for file in files):
                raise LocalError(not_loaded(platform, uploaded, files))
        return None

    return wait_for(arrived, LOAD_SECONDS, lambda: not_loaded(platform, uploaded, files), airflow.POLL_SECONDS)


def not_loaded(platform: Platform, uploaded: list[upload.Uploaded], files: list[dict[str, Any]]) -> str:
    """Return a message that names each file that has not been loaded, with the reason that the ledger has."""
    noticed = {file["version_id"]: file for file in files}
    lines = []
    for put in uploaded:
        file = noticed.get(put.version_id)
        if file is None:
            lines.append(f"    {put.key}: no run has noticed it (make logs PART=airflow-triggerer)")
        elif file["status"] == "claimed":
            lines.append(f"    {put.key}: {file['reason'] or 'claimed and not finished'}")
            lines.append(f"        {platform.api.run_page(DAG, file['claimed_by'])}")
    if platform.api.dags().get(DAG):
        lines.append(f"{DAG} is paused: unpause it at {platform.api.url}/dags/{DAG}, and repeat `make demo`.")
    return "\n".join(["These files have not been loaded:", *lines])


def account(file: dict[str, Any]) -> str:
    """Return a file's account in words, empty while there is none."""
    if file["status"] == "claimed":
        return ""
    if file["status"] == "done":
        return ": read {read} = {accepted} accepted + {rejected} rejected + {held} held".format(**file)
    return f": {file['reason']}"


def latest_run(platform: Platform) -> list[str]:
    """Return a line about the latest run of the DAG, if there is one."""
    return [
        f"The latest run is {run['state']}: {platform.api.run_page(DAG, run['dag_run_id'])}\n"
        for run in platform.api.runs(DAG, limit=1)
    ]


def wait_until_moved(platform: Platform, uploaded: list[upload.Uploaded]) -> None:
    """Wait until no uploaded version lies in landing/ any more."""
    s3 = emulator.client("s3", platform.endpoint)
    bucket = platform.state.outputs["LandingBucket"]
    versions = {put.version_id for put in uploaded}
    left: list[str] = []

    def moved() -> bool:
        nonlocal left
        listing = s3.list_object_versions(Bucket=bucket, Prefix="landing/").get("Versions", [])
        left = [entry["Key"] for entry in listing if entry["VersionId"] in versions]
        if left:
            platform.require_running()
        return not left

    wait_until(moved, LOAD_SECONDS, lambda: f"Still in landing/: {', '.join(left)}\n{''.join(latest_run(platform))}")


def wait_for_runs(platform: Platform, since: str, claimants: set[str]) -> list[dict[str, Any]]:
    """Wait until the runs since the upload have ended; return them, oldest first."""

    def ended() -> list[dict[str, Any]] | None:
        runs = [
            run for run in platform.api.runs(DAG) if run["dag_run_id"] in claimants or (run["queued_at"] or "") >= since
        ]
        if all(run["state"] in airflow.FINISHED for run in runs):
            return runs[::-1]
        platform.require_running()
        return None

    def late() -> str:
        return f"A run has not ended after {LOAD_SECONDS} s. {''.join(latest_run(platform))}"

    return wait_for(ended, LOAD_SECONDS, late, airflow.POLL_SECONDS)


def report(
    platform: Platform,
    ledger: Ledger,
    uploaded: dict[str, list[upload.Uploaded]],
    runs: list[dict[str, Any]],
    mock_runs: list[dict[str, Any]],
    synced: str,
    notified: str,
    stages: Stages,
    console: Console,
) -> int:
    """Print the account of the demo, a table for each title of `uploaded`; return what `run` does."""
    versions = [put.version_id for puts in uploaded.values() for put in puts]
    loads = ledger.rows(LOADS, versions=versions, runs=[run["dag_run_id"] for run in runs])
    files = {load["version_id"]: load for load in loads if load["kind"] == "file"}
    for title, puts in uploaded.items():
        of_it = [files[put.version_id] for put in puts]
        ids = [load["load_id"] for load in of_it]
        waiting = {row["dataset"]: row["waiting"] for row in ledger.rows(WAITING, loads=ids)}
        retried = [load for load in loads if load["kind"] == "retry" and load["file_load_id"] in ids]
        console.print()
        console.print(by_dataset(title, of_it, retried, waiting))
        console.print(by_reason(ledger.rows(REASONS, loads=ids)))
    console.print(
        f"\nLive changes of rows that {MOCK_DAG} had made for these days: {live_changes(platform.api, mock_runs)}"
    )
    set_aside = [load for load in files.values() if load["status"] == "rejected"]
    for load in set_aside:
        console.print(f"Set aside as a whole: {escape(load['object_key'])}: {escape(load['reason'] or '')}")
    changed = sum(load[count] for load in loads for count in CHANGES)
    console.print(f"\nRows that files changed in the store: {changed}\n")
    table, differences = by_table(platform)
    console.print(table)

    differences += show_notifications(platform, ledger, notified, console)

    console.print(f"\nMarketplace   {platform.api.url}{PAGE}")
    console.print(f"Airflow       {platform.api.url}/dags/{DAG}   {platform.api.url}/dags/{MOCK_DAG}")
    for dag_id, of_dag in ((DAG, runs), (MOCK_DAG, mock_runs)):
        for run in of_dag:
            console.print(f"Run           {platform.api.run_page(dag_id, run['dag_run_id'])}")
    console.print(f"Run           {platform.api.run_page(SYNC_DAG, synced)}")
    console.print(f"Run           {platform.api.run_page(NOTIFY_DAG, notified)}")
    console.print(f"Dashboard     {platform.api.url}{WHOLE_DASHBOARD}")
    console.print("How it works  docs/architecture.md   Each sample's defects  include/data/README.md")
    console.print("Mock data     docs/mock-data.md   What must become of each line  mock-truth/ in the landing bucket")
    asked, unanswered = ask_apis(platform)
    for line in asked:
        console.print(escape(line))
    times = "   ".join(f"{name} {seconds:.0f} s" for name, seconds in stages.seconds.items())
    console.print(f"Time          {times}   in all {sum(stages.seconds.values()):.0f} s")

    faults, as_they_should = faults_of(loads, runs, platform.api)
    faults += differences + unanswered
    for run_id in as_they_should:
        console.print(
            f"[yellow]The run {escape(run_id)} is red, as it should be: so much of its files was rejected or set "
            "aside that somebody has to look. All else of it is stored. "
            f"Its task {SHARE_TASK} names files, reasons, and what to do (docs/runbooks/ingestion.md).[/yellow]"
        )
    for fault in faults:
        console.print(f"[red]{escape(fault)}[/red]")
    if not faults:
        console.print(
            "[green]Every row is accounted for: read = accepted + rejected + held. The warehouse has them all. "
            "Every notification is: expected = delivered + skipped.[/green]"
        )
    return 1 if faults else 0


def ask_apis(platform: Platform) -> tuple[list[str], list[str]]:
    """Ask both APIs; return the commands that do the same, and a sentence for each that does not answer."""
    token = issuer.token(platform.layout, platform.state, API_CUSTOMER)
    lines, faults = [], []
    for path in API_PATHS:
        request = urllib.request.Request(  # noqa: S310 - the emulator's address
            platform.api_url + path, headers={"Authorization": f"Bearer {token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - see above
                answer.read()
        except OSError as error:
            faults.append(f"GET {path} is not answered: {error}. make logs PART=emulator")
        bearer = f"Authorization: Bearer $(make -s token CUSTOMER={API_CUSTOMER})"
        lines.append(f'API           curl -H "{bearer}" "{platform.api_url}{path}"')
    return lines, faults


def live_changes(api: airflow.Api, mock_runs: list[dict[str, Any]]) -> str:
    """Return in words what the live changes of the runs were."""
    counts: Counter[str] = Counter()
    for run in mock_runs:
        counts.update(api.result(MOCK_DAG, run["dag_run_id"], "change_store"))
    return ", ".join(f"{rows} {what.replace('_', ' ')}" for what, rows in counts.items() if rows) or "none"


def by_dataset(
    title: str, files: list[dict[str, Any]], retried: list[dict[str, Any]], waiting: dict[str, int]
) -> Table:
    """Return the table of counts as the files were loaded, a line a dataset, and how many rows are held by now.

    The issues are also those of held rows that were loaded by now (`retried`).
    """
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("dataset")
    for heading in ("files", *COUNTS[:4], "still held", COUNTS[4]):
        table.add_column(heading, justify="right")
    for dataset in sorted({str(file["dataset"]) for file in files}):
        of_it = [file for file in files if file["dataset"] == dataset]
        sums = {count: sum(file[count] for file in of_it) for count in COUNTS}
        sums["issues"] += sum(load["issues"] for load in retried if load["dataset"] == dataset)
        cells = [len(of_it), *(sums[count] for count in COUNTS[:4]), waiting.get(dataset, 0), sums["issues"]]
        table.add_row(dataset, *map(str, cells))
    return table


def by_reason(reasons: list[dict[str, Any]]) -> Table:
    """Return the table of the most frequent reasons for a row to be rejected, held or an issue."""
    title = "\nThe most frequent reasons (all are in ops.rejected_row, ops.held_row and ops.issue)"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in ("", "dataset", "reason"):
        table.add_column(heading)
    table.add_column("rows", justify="right")
    for what in ("rejected", "held", "issue"):
        for row in [row for row in reasons if row["what"] == what][:SHOWN_REASONS]:
            table.add_row(what, row["dataset"], row["reason"], str(row["rows"]))
    return table


def faults_of(loads: list[dict[str, Any]], runs: list[dict[str, Any]], api: airflow.Api) -> tuple[list[str], list[str]]:
    """Return a sentence for each load that failed or does not add up, and for each run that failed.

    The second list has the runs that failed by nothing but the share that was rejected: that is no fault.
    """
    faults = [f"{load['object_key']} failed: {load['reason']}" for load in loads if load["status"] == "failed"]
    faults += [
        f"{load['object_key']}: read {load['read']} rows and accounted for {counted}"
        for load in loads
        if load["read"] != (counted := load["accepted"] + load["rejected"] + load["held"])
    ]
    as_they_should = []
    for run in runs:
        if run["state"] == "failed":
            tasks = sorted(set(api.failed_tasks(DAG, run["dag_run_id"])))
            if tasks == [SHARE_TASK]:
                as_they_should.append(run["dag_run_id"])
            else:
                faults.append(f"The run {run['dag_run_id']} failed in {', '.join(tasks) or 'no task of its own'}")
    return faults, as_they_should
