"""Parse the DAGs below the working directory as MWAA's dag processor does, and print what happened as JSON.

A program of its own, since only a fresh process shows what parsing imports. It is started in a tree like
/usr/local/airflow (dags/ with dags/include/, plugins/), with dags/ and plugins/ as the only import roots.
test_mwaa.py starts it and judges the result.
"""

from __future__ import annotations

import builtins
import importlib
import json
import pkgutil
import socket
import sys
import time
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

# Packages that cost the dag processor time or memory at each parse, or that belong into a task.
HEAVY = {
    "alembic", "babel", "boto3", "botocore", "faker", "numpy", "pandas", "psycopg", "psycopg2",
    "redshift_connector", "sqlalchemy",
}  # fmt: skip
DAGS = Path.cwd() / "dags"


class RefusedWhileParsing(RuntimeError):
    """A DAG file must not reach for anything outside the process while it is parsed."""


def watch_imports(heavy: set[str]) -> Any:
    """Return a patch of `import` that notes in `heavy` which file of ours first imports a heavy package.

    What Airflow or a provider has imported before costs nothing more, and is not noted.
    """
    original = builtins.__import__

    def watched(
        name: str,
        globals: dict[str, Any] | None = None,
        locals: Any = None,
        fromlist: Any = (),
        level: int = 0,
    ) -> ModuleType:
        importer = Path((globals or {}).get("__file__") or "/")
        package = name.partition(".")[0]
        if level == 0 and package in HEAVY - sys.modules.keys() and importer.is_relative_to(DAGS):
            heavy.add(f"{importer.relative_to(DAGS)} imports {package}")
        return original(name, globals, locals, fromlist, level)

    return mock.patch.object(builtins, "__import__", watched)


def refuse(what: str, reached: set[str]) -> Any:
    """Return a function that takes any arguments, notes `what` in `reached`, and raises."""

    def refused(*args: Any, **kwargs: Any) -> Any:
        reached.add(what)
        raise RefusedWhileParsing(what)

    return refused


def parse_each_file() -> dict[str, float]:
    """Parse each DAG file, with our package imported anew; returns the CPU time of each in seconds."""
    from airflow.dag_processing.dagbag import DagBag

    for name in [name for name in sys.modules if name.partition(".")[0] == "marketplace"]:
        del sys.modules[name]
    bag = DagBag(DAGS, collect_dags=False)
    seconds = {}
    for file in sorted(DAGS.glob("*.py")):
        start = time.process_time()  # a busy machine does not make it longer
        bag.process_file(str(file))
        seconds[file.name] = time.process_time() - start
    return seconds


def parse() -> dict[str, Any]:
    """Parse the DAG files three times.

    Watched for what they import, then for what they reach for, and as the dag processor finds them.
    """
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk import Connection, Variable

    heavy: set[str] = set()
    with watch_imports(heavy):
        seconds = parse_each_file()

    import botocore.session
    import sqlalchemy

    reached: set[str] = set()
    with (
        mock.patch.object(socket.socket, "connect", refuse("the network", reached)),
        mock.patch.object(botocore.session.Session, "create_client", refuse("an AWS client", reached)),
        mock.patch.object(sqlalchemy, "create_engine", refuse("a database engine", reached)),
        mock.patch.object(Connection, "get", refuse("an Airflow connection", reached)),
        mock.patch.object(Variable, "get", refuse("an Airflow variable", reached)),
    ):
        parse_each_file()

    bag = DagBag(DAGS)
    return {
        "heavy_imports": sorted(heavy),
        "cpu_seconds": seconds,
        "reached_for": sorted(reached),
        "import_errors": bag.import_errors,
        "dag_files": {dag_id: Path(dag.fileloc).name for dag_id, dag in bag.dags.items()},
        "parsed_files": sorted(stat.file for stat in bag.dagbag_stats),
    }


def plugins() -> dict[str, str]:
    """Return the plugins that Airflow failed to load, each with its error."""
    from airflow import plugins_manager

    plugins_manager.ensure_plugins_loaded()
    return dict(plugins_manager.get_import_errors())


def package() -> dict[str, Any]:
    """Import every module of the package, and find its include directory."""
    import marketplace
    from marketplace import settings

    failed = {}
    found = [module.name for module in pkgutil.walk_packages(marketplace.__path__, "marketplace.")]
    # What Lambda calls: it needs the settings of its function, and a library that no worker has.
    modules = [name for name in found if name != "marketplace.api.handler"]
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001  # whatever it is, it is the finding
            failed[name] = traceback.format_exc()
    return {
        "package": marketplace.__file__,
        "modules": modules,
        "failed_modules": failed,
        "include_dir": str(settings.include_dir()),
    }


if __name__ == "__main__":
    answer = {**parse(), "plugin_errors": plugins(), **package()}
    Path(sys.argv[1]).write_text(json.dumps(answer, indent=2), encoding="utf-8")
