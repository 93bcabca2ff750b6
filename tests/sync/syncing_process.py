"""A process that syncs once, as the DAG's tasks do, and is killed at a step. It is told what by JSON on its input."""

from __future__ import annotations

import json
import sys

import boto3

from tests.sync import faults
from tests.sync.synced import Synced


def main() -> None:
    """Sync; whoever comes to the end was not killed."""
    order = json.load(sys.stdin)
    synced = Synced(lambda _role: order["store"], order["redshift"], "", boto3.client("s3"), order["bucket"])
    with faults.at(order["step"], faults.kill):
        synced.sync()


if __name__ == "__main__":
    main()
