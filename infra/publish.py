"""Put what Airflow runs where MWAA takes it from: each file that has changed, and no other.

What is there is known by a list beside it, which is written last: an interrupted upload is done again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from infra.airflow_package import Package
from infra.stacks import Client, Progress

PREFIX = "airflow/"
LIST = f"{PREFIX}published.json"  # beside dags/: MWAA does not sync it
NOT_YET = "not-yet-uploaded"  # a plan's word for a version that the deployment will bring
DELETE_BATCH = 1000  # the most keys that S3 deletes in one request
VERSIONED = {"plugins.zip": "PluginsVersion", "requirements.txt": "RequirementsVersion"}


def publish(s3: Client, bucket: str, package: Package, progress: Progress) -> dict[str, str]:
    """Upload what differs from what is there, and return the parameters of the stack: {"PluginsVersion": …}.

    A DAG's file comes after what it reads, and what is gone here goes there last: Airflow reads while this writes.
    """
    before = _published(s3, bucket)
    files, versions = before["files"], before["versions"]
    wanted = {f"dags/{name}": path for name, path in package.dags.items()}
    changed = [name for name in sorted(wanted, key=_order) if files.get(name) != _digest(wanted[name])]
    for name in changed:
        s3.put_object(Bucket=bucket, Key=PREFIX + name, Body=wanted[name].read_bytes())
    for name, path in (("plugins.zip", package.plugins), ("requirements.txt", package.requirements)):
        if files.get(name) != _digest(path):
            with path.open("rb") as content:
                versions[name] = s3.put_object(Bucket=bucket, Key=PREFIX + name, Body=content)["VersionId"]
            changed.append(name)
    gone = sorted(files.keys() - wanted.keys() - VERSIONED.keys())
    for start in range(0, len(gone), DELETE_BATCH):
        keys = [{"Key": PREFIX + name} for name in gone[start : start + DELETE_BATCH]]
        s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
    now = {name: _digest(path) for name, path in _all(package).items()}
    if now != files:
        body = json.dumps({"files": now, "versions": versions}, indent=1, sort_keys=True).encode()
        s3.put_object(Bucket=bucket, Key=LIST, Body=body)
    progress(f"s3://{bucket}/{PREFIX}: {len(changed)} files uploaded, {len(gone)} deleted, of {len(now)}")
    return {parameter: versions[name] for name, parameter in VERSIONED.items()}


def expected_versions(s3: Client, bucket: str, package: Package) -> dict[str, str]:
    """Return the parameters that `publish` would return; NOT_YET for what it would upload."""
    before, files = _published(s3, bucket), _all(package)
    return {
        parameter: before["versions"][name] if before["files"].get(name) == _digest(files[name]) else NOT_YET
        for name, parameter in VERSIONED.items()
    }


def _all(package: Package) -> dict[str, Path]:
    dags = {f"dags/{name}": path for name, path in package.dags.items()}
    return {**dags, "plugins.zip": package.plugins, "requirements.txt": package.requirements}


def _order(name: str) -> tuple[bool, str]:
    """DAG files, which lie in dags/ itself, after all others."""
    return name.count("/") == 1 and name.endswith(".py"), name


def _published(s3: Client, bucket: str) -> dict[str, Any]:
    """What was published last, by the list; nothing where there is no list, or no bucket yet."""
    try:
        return dict(json.loads(s3.get_object(Bucket=bucket, Key=LIST)["Body"].read()))
    except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
        return {"files": {}, "versions": {}}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
