"""What an environment consists of: `config/ENVIRONMENT/stacks.yaml` and the templates it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import yaml

from infra.errors import ConfigError

ROOT = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Stack:
    """One stack: `name` such as ingest, `stack_name` in CloudFormation, template text, own parameters."""

    name: str
    stack_name: str
    template: str
    parameters: dict[str, str]


@dataclass(frozen=True)
class Environment:
    """An environment's project and its stacks in the order of deployment."""

    name: str
    project: str
    stacks: tuple[Stack, ...]


class _TemplateLoader(yaml.SafeLoader):
    """Reads a template's plain parts; a tag such as !Sub is replaced by what it is applied to.

    So templates write Fn::ImportValue in full, as YAML demands anyhow where a !Sub follows.
    """


def _untagged(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    raise TypeError(f"YAML has no node of type {type(node).__name__}.")


_TemplateLoader.add_multi_constructor("!", _untagged)


def load(environment: str) -> Environment:
    """Return the configuration of `environment`.

    Raises ConfigError when there is none, or when it names a template that does not exist.
    """
    path = ROOT / "config" / environment / "stacks.yaml"
    if not path.is_file():
        known = sorted(entry.parent.name for entry in ROOT.glob("config/*/stacks.yaml"))
        raise ConfigError(f"No environment {environment!r}: {path} does not exist. There are: {', '.join(known)}.")
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    project = config["project"]
    return Environment(
        name=environment,
        project=project,
        stacks=tuple(_stack(path, f"{project}-{environment}", entry) for entry in config["stacks"]),
    )


def _stack(config: Path, prefix: str, entry: Mapping[str, Any]) -> Stack:
    name = entry["name"]
    template = ROOT / "templates" / f"{name}.yaml"
    if not template.is_file():
        raise ConfigError(f"{config}: the stack {name!r} has no template: {template} does not exist.")
    parameters = entry.get("parameters", {})
    for key, value in parameters.items():
        # YAML turns an unquoted `yes` or `012345678901` into something else than CloudFormation would see.
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise ConfigError(f"{config}: {name}.{key} is a {type(value).__name__}: quote it to make it a string.")
    return Stack(
        name=name,
        stack_name=f"{prefix}-{name}",
        template=template.read_text(encoding="utf-8"),
        parameters={key: str(value) for key, value in parameters.items()},
    )


def _read(template: str) -> dict[str, Any]:
    # S506 warns of loaders that build any object; this one is the safe loader plus plain values.
    return yaml.load(template, _TemplateLoader)  # noqa: S506


def template_parameters(template: str) -> dict[str, Any]:
    """Return the Parameters section of a template's text: {name: specification}."""
    return _read(template).get("Parameters", {})


def template_resources(template: str) -> dict[str, Any]:
    """Return the Resources section of a template's text: {logical id: resource}."""
    return _read(template)["Resources"]


def imports(template: str, parameters: Mapping[str, str]) -> set[str]:
    """Return the names of the exports that a template's text imports, with its parameters put in."""
    return {Template(name).safe_substitute(parameters) for name in _import_values(_read(template))}


def _import_values(part: Any) -> Iterator[str]:
    """What each Fn::ImportValue in a part of a template is applied to."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "Fn::ImportValue":
                yield value
            else:
                yield from _import_values(value)
    elif isinstance(part, list):
        for value in part:
            yield from _import_values(value)


def resolve_parameters(environment: Environment, given: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return what each stack is deployed with, by the stack's name: {stack name: {parameter: value}}.

    A value is the caller's, else the configuration's; Project and Environment come by themselves. What is
    left out keeps the template's default. Raises ConfigError when a parameter without a default has no value,
    or when one is given that no template (for the configuration: not this template) declares.
    """
    common = {"Project": environment.project, "Environment": environment.name}
    resolved: dict[str, dict[str, str]] = {}
    unused = set(given)
    for stack in environment.stacks:
        declared = template_parameters(stack.template)
        unknown = sorted(set(stack.parameters) - set(declared))
        if unknown:
            raise ConfigError(f"The template of stack {stack.name!r} declares no parameter {', '.join(unknown)}.")
        offered = {**common, **stack.parameters, **given}
        missing = sorted(name for name, spec in declared.items() if name not in offered and "Default" not in spec)
        if missing:
            raise ConfigError(f"The stack {stack.name!r} needs a value for {', '.join(missing)}.")
        resolved[stack.name] = {name: offered[name] for name in declared if name in offered}
        unused -= set(declared)
    if unused:
        raise ConfigError(f"No template of environment {environment.name!r} declares {', '.join(sorted(unused))}.")
    return resolved
