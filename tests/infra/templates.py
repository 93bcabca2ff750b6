"""Read the templates as CloudFormation does, and ask the resource schemas which resources take tags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cfnlint.decode import decode
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

DIRECTORY = Path(__file__).resolve().parents[2] / "infra" / "templates"
PATHS = sorted(DIRECTORY.glob("*.yaml"))
REGION = "us-east-1"


def load(path: Path) -> dict[str, Any]:
    """Return the template with short tags (!Ref, !Sub) written as functions ({"Ref": …}, {"Fn::Sub": …})."""
    template, problems = decode(str(path))
    assert not problems, f"{path}: {problems}"
    return template


def resources() -> dict[tuple[str, str], dict[str, Any]]:
    """Return all resources of all templates by (template, logical id)."""
    return {
        (path.stem, logical_id): resource for path in PATHS for logical_id, resource in load(path)["Resources"].items()
    }


def of_type(resource_type: str) -> dict[str, dict[str, Any]]:
    """Return the properties of all resources of one type, by logical id."""
    return {
        logical_id: resource["Properties"]
        for (_, logical_id), resource in resources().items()
        if resource["Type"] == resource_type
    }


def tag_property(resource_type: str) -> str | None:
    """Return the name of the property that carries a type's tags, None when the type takes none."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, resource_type).schema
    tagging = schema["tagging"]
    return tagging["tagProperty"].removeprefix("/properties/") if tagging["taggable"] else None


def tags(properties: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a resource's tags by key, whether its type takes a list of pairs or a map."""
    value = properties.get(name, {})
    return value if isinstance(value, dict) else {tag["Key"]: tag["Value"] for tag in value}


def statements(properties: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the statements of a resource's policy document."""
    return properties["PolicyDocument"]["Statement"]
