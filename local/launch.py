"""What the supervisor runs for each part but PostgreSQL: it gives the part its secrets and becomes it.

So no secret stands in the supervisor's configuration or on a command line.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from local import airflow, aws, emulator, warehouse
from local.layout import Layout
from local.state import load


def main(state_directory: str, part: str) -> None:
    """Replace this process by `part` of the platform in `state_directory`."""
    layout = Layout(Path(state_directory))
    state = load(layout)
    if part == "emulator":
        command, variables = emulator.command(), emulator.environment(layout, state)
        # It unpacks functions there, and a kill leaves them behind: what is there now is nobody's.
        scratch = layout.emulator / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        variables["TMPDIR"] = str(scratch)
    elif part == "redshift":
        command, variables = warehouse.command(state), aws.variables(emulator.endpoint(state), "redshift")
    else:
        command, variables = airflow.command(part), airflow.environment(layout, state)
    inherited = aws.cleaned(os.environ) | {"PYTHONUNBUFFERED": "1"}
    os.execve(command[0], command, inherited | variables)  # noqa: S606 - a fixed program, no shell


if __name__ == "__main__":
    main(*sys.argv[1:])
