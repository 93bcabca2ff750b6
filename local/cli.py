"""What the Makefile calls: python -m local.cli up|down|status|reset|logs|upload|token|demo."""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from local import aws, emulator, envfile, issuer, ports, space
from local.errors import LocalError
from local.layout import Layout
from local.platform import API_SERVER, PORTS, Platform
from local.supervisor import last_lines, leftovers

# Without a terminal, as in a log, lines are as long as they need to be.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 140)


class Clock:
    """Prints lines that start with the seconds since it was made, or since `already` seconds before."""

    def __init__(self, already: float = 0.0) -> None:
        self._start = time.monotonic() - already

    def seconds(self) -> float:
        """Return the seconds so far."""
        return time.monotonic() - self._start

    def say(self, text: str) -> None:
        """Print a line of progress."""
        console.print(f"[dim]{self.seconds():4.0f}s[/dim]  {escape(text)}")


def up(platform: Platform) -> None:
    """Start the platform and say where its parts are."""
    platform.up()
    console.print(f"\nThe platform is up.   Airflow: {platform.api.url}   Variables: . .local/env   Stop: make down")


def down(platform: Platform) -> None:
    """Stop the platform."""
    platform.down()
    console.print("The platform is down; its data stays (make reset deletes it).")


def reset(platform: Platform) -> None:
    """Stop the platform and delete its data."""
    platform.reset()
    console.print("The platform is down and its data is deleted.")


def status(platform: Platform) -> int:
    """Print each part with its health and address; return 1 unless all are well."""
    for shortage in space.shortages(platform.data_directories()):
        console.print(f"[red]{escape(shortage)}[/red]")
    statuses = platform.statuses()
    if not statuses:
        orphans = leftovers(platform.layout)
        if orphans:
            log = platform.layout.log_file("supervisord")
            console.print(f"The supervisor was killed; {len(orphans)} processes still run: make up")
            console.print(f"The last lines of {log}:\n{escape(last_lines(log))}")
        else:
            console.print("The platform is not running: make up")
        return 1
    known = platform.state.ports
    addresses = {
        part: f"{'http://' if part in ('emulator', API_SERVER) else ''}{ports.HOST}:{known[name]}"
        for part, name in PORTS.items()
        if name in known
    }
    health = platform.health()
    width = max(10, *map(len, health.values()))
    console.print(f"[bold]{'part':22}{'state':{width}} {'pid':>8}  {'since':9} address[/bold]")
    for part in statuses.values():
        word = health[part.name]
        color = "green" if word == "healthy" else "red"
        since = datetime.fromtimestamp(part.since, UTC).astimezone().strftime("%H:%M:%S") if part.pid else ""
        pid = str(part.pid) if part.pid else ""
        line = f"{part.name:22}[{color}]{escape(word):{width}}[/{color}] {pid:>8}  {since:9}"
        console.print(f"{line} {addresses.get(part.name, '')}".rstrip())
    down = [part.name for part in statuses.values() if part.crashed]
    # Airflow's parts end without their database, each with a traceback that says no more than this.
    for name in ["postgres"] if "postgres" in down else down:
        log = platform.layout.log_file(name)
        console.print(f"\n[red]{name} went down.[/red] The last lines of {log}:\n{escape(last_lines(log))}")
    if down:
        console.print("\n`make up` starts what is down.")
    return 0 if set(health.values()) == {"healthy"} else 1


def logs(platform: Platform, part: str) -> None:
    """Print the end of one part's log."""
    known = sorted(path.stem for path in platform.layout.log.glob("*.log"))
    if part not in known:
        raise LocalError(f"PART={part or '…'} has no log. Parts with one: {', '.join(known)}")
    console.print(escape(last_lines(platform.layout.log_file(part), 200)))


def upload(platform: Platform, files: list[str], dataset: str) -> None:
    """Put files into the landing bucket."""
    from local import upload as uploads

    if not files:
        raise LocalError('Name the files: make upload FILES="a.csv b.csv" [DATASET=…]')
    values = envfile.read(platform.layout.env_file) if platform.layout.env_file.exists() else {}
    if not values or not emulator.answers(platform.state):
        raise LocalError("The platform is not running: make up")
    chosen = [(path, uploads.choose_dataset(path, dataset)) for path in map(Path, files)]
    # The emulator accepts an object that it cannot write to the disk, and has it only until it ends. It keeps a file
    # twice while that moves to the archive.
    size = sum(path.stat().st_size for path, _name in chosen)
    space.require(platform.data_directories(), also_mb=2 * size // 1_000_000)
    s3 = emulator.client("s3", values["AWS_ENDPOINT_URL"], read_timeout=300)  # to put large parts together
    bucket = values["LANDING_BUCKET"]
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        for path, name in chosen:
            task = progress.add_task(escape(path.name), total=path.stat().st_size)
            put = uploads.upload(s3, bucket, path, name, partial(progress.advance, task))
            console.print(f"{escape(str(path))} → s3://{bucket}/{escape(put.key)} (version {put.version_id})")
            progress.remove_task(task)
    if "AIRFLOW_URL" in values:  # a platform for tests may have none
        console.print(f"What becomes of it: {values['AIRFLOW_URL']}/dags/ingest_files, docs/runbooks/ingestion.md")


def token(platform: Platform, customer: str, scopes: str, seconds: int) -> None:
    """Print a token for the APIs, and nothing else: so that it can stand in a command."""
    print(issuer.token(platform.layout, platform.state, customer, scopes, seconds))


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the command line's meaning."""
    parser = argparse.ArgumentParser(prog="local.cli")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "down", "status", "reset"):
        commands.add_parser(name)
    demonstrating = commands.add_parser("demo")
    demonstrating.add_argument("--started", type=float, default=time.time(), help="seconds since the epoch")
    commands.add_parser("logs").add_argument("part", nargs="?", default="")
    signing = commands.add_parser("token")
    signing.add_argument("--customer", default="")
    signing.add_argument("--scopes", default="")
    signing.add_argument("--seconds", type=int, default=3600)
    uploading = commands.add_parser("upload")
    uploading.add_argument("--dataset", default="")
    uploading.add_argument("files", nargs="*")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run one command; return its exit status."""
    options = parse(arguments)
    clock = Clock(time.time() - options.started if options.command == "demo" else 0.0)
    try:
        aws.refuse_remote(os.environ)
        kept = aws.cleaned(os.environ)
        os.environ.clear()
        os.environ.update(kept)
        platform = Platform(Layout(), say=clock.say)
        if options.command == "status":
            return status(platform)
        if options.command == "logs":
            logs(platform, options.part)
        elif options.command == "token":
            token(platform, options.customer, options.scopes, options.seconds)
        elif options.command == "upload":
            upload(platform, options.files, options.dataset)
        elif options.command == "demo":
            from local import demo

            return demo.run(platform, console, clock)
        else:
            {"up": up, "down": down, "reset": reset}[options.command](platform)
    except LocalError as error:
        console.print(f"\n[red]{escape(str(error))}[/red]", style="")
        return 1
    except KeyboardInterrupt:
        console.print("\nInterrupted. The next `make up` goes on from here; `make down` stops what runs.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
