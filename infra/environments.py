"""What an environment consists of: `config/ENVIRONMENT/stacks.yaml` and the templates it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
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
    package: str = ""  # of infra.packages: its code, put where functions take it from before the stack is deployed


@dataclass(frozen=True)
class Environment:
    """An environment's project and its stacks in the order of deployment."""

    name: str
    project: str
    stacks: tuple[Stack, ...]
    bootstrap: tuple[Stack, ...] = ()  # what an administrator deploys once, for the pipeline that deploys the rest
    paused: frozenset[str] = frozenset()  # DAGs that are not unpaused here


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
    """Return the configuration of `environment`, the name of a directory of infra/config.

    Raises ConfigError when there is none, or when it or a template that it names is missing or malformed.
    """
    known = sorted(entry.parent.name for entry in ROOT.glob("config/*/stacks.yaml"))
    # A path such as ../config/prod leads to one as well, and would pass by what depends on the name.
    if environment not in known:
        raise ConfigError(f"No environment {environment!r}. There are: {', '.join(known)}.")
    path = ROOT / "config" / environment / "stacks.yaml"
    config = read_yaml(path)
    try:
        project = config["project"]
        stacks, bootstrap = (
            [(entry["name"], entry.get("parameters", {}), entry.get("package", "")) for entry in entries]
            for entries in (config["stacks"], config.get("bootstrap", []))
        )
    except (KeyError, TypeError, AttributeError):
        raise ConfigError(f"{path} must have a project and a list of stacks, each with its name.") from None
    prefix = f"{project}-{environment}"
    return Environment(
        name=environment,
        project=project,
        stacks=tuple(_stack(path, prefix, *entry) for entry in stacks),
        bootstrap=tuple(_stack(path, prefix, *entry) for entry in bootstrap),
        paused=frozenset(config.get("paused", ())),
    )


def _stack(config: Path, prefix: str, name: str, parameters: Any, package: str) -> Stack:
    path = ROOT / "templates" / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(f"{config}: the stack {name!r} has no template: {path} does not exist.")
    template = _text(path)
    try:
        read = _read(template)
    except yaml.YAMLError as error:
        raise _malformed(path, error) from None
    if not isinstance(read, dict) or not isinstance(read.get("Resources"), dict):
        raise ConfigError(f"{path} has no Resources.")
    for value in _import_values(read):
        if not isinstance(value, str):
            raise ConfigError(f"{path}: Fn::ImportValue must be applied to a text, or to !Sub and a text: {value}")
    return Stack(
        name=name,
        stack_name=f"{prefix}-{name}",
        template=template,
        parameters=parameter_values(parameters, f"{config}: {name}"),
        package=package,
    )


def parameter_values(read: Any, where: str) -> dict[str, str]:
    """Return parameters that `read_yaml` has read, {name: value}; `where` is for the message of a ConfigError."""
    if not isinstance(read, dict):
        raise ConfigError(f"{where}: parameters must be names with values, such as RawFileRetentionDays: 30.")
    nested = sorted(name for name, value in read.items() if not isinstance(value, str))
    if nested:
        raise ConfigError(f"{where}: the value of {', '.join(nested)} must be a single text or number.")
    return read


def read_yaml(path: Path) -> Any:
    """Return what a file of YAML or JSON says, every scalar as it is typed: no 012 is a 10, no `on` is a True.

    None or "" for an empty file. Raises ConfigError, without what the file says: it may be a password.
    """
    try:
        return yaml.load(_text(path), yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise _malformed(path, error) from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8: byte {error.start}.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None


def _malformed(path: Path, error: yaml.YAMLError) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    where = f": line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return ConfigError(f"{path} is not YAML{where}.")


@cache
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


def _import_values(part: Any) -> Iterator[Any]:
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

    A value is the caller's, else the configuration's; Project and Environment come by themselves, and nobody
    else may set them. What is left out keeps the template's default. Raises ConfigError when a parameter without
    a default has no value, or when one is given that no template (for the configuration: not this template)
    declares.
    """
    common = {"Project": environment.project, "Environment": environment.name}
    # A stack of one environment would make the resources of another.
    if taken := sorted(common.keys() & {*given, *(name for stack in environment.stacks for name in stack.parameters)}):
        raise ConfigError(f"{' and '.join(taken)} must not be given: infra/config and ENV say it.")
    declared_by = {stack.name: template_parameters(stack.template) for stack in environment.stacks}
    # Names that are misspelt are said before that others are missing.
    for stack in environment.stacks:
        if unknown := sorted(set(stack.parameters).difference(declared_by[stack.name])):
            raise ConfigError(f"The template of stack {stack.name!r} declares no parameter {', '.join(unknown)}.")
    if unused := sorted(set(given).difference(*declared_by.values())):
        raise ConfigError(f"No template of environment {environment.name!r} declares {', '.join(unused)}.")
    resolved: dict[str, dict[str, str]] = {}
    for stack in environment.stacks:
        declared = declared_by[stack.name]
        offered = {**stack.parameters, **given, **common}
        missing = sorted(name for name, spec in declared.items() if name not in offered and "Default" not in spec)
        if missing:
            raise ConfigError(
                f"The stack {stack.name!r} needs a value for {', '.join(missing)}: write `{missing[0]}: …` into a YAML "
                "file, and say PARAMETERS=that file."
            )
        resolved[stack.name] = {name: offered[name] for name in declared if name in offered}
    return resolved
