"""Read the settings, layer over layer, and remember where each one came from.

From the lowest: the models' defaults, ``settings.toml`` (``[default]``, then the section that
``SMABOT_ENV`` names), ``.secrets.toml`` beside it, then the one among systemd's credentials,
``SMABOT_`` variables, flags. Tables merge, lists
and values replace. Nothing but TOML is evaluated. dynaconf is used here and nowhere else, one
instance a layer, and is imported only where there is something to read: it takes 0.2 s.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import ValidationError

from smabot.errors import ConfigError, suggest
from smabot.settings.model import Config, Settings, mapping_keys
from smabot.settings.plugin_paths import beside_settings, named_plugins
from smabot.settings.renamed import RENAMED, NewNames, new_names
from smabot.settings.setting_errors import (
    PREFIX,
    flat,
    plugin_settings_error,
    settings_error,
    unknown_setting,
)
from smabot.system.paths import file_exists
from smabot.system.redaction import (
    MASK,
    SECRETS_FILE,
    is_secret,
    register_secret,
    texts,
    worth_masking,
)

__all__ = ["Flag", "Loaded", "load", "merge", "plugin_settings_error"]

NOT_SETTINGS = frozenset({"SMABOT_ENV", "SMABOT_DEBUG"})

Tree = dict[str, Any]
Origins = dict[str, str]
SettingsOf = Callable[[Sequence[str], Sequence[str]], tuple[int, type[Settings] | None]]

_DYNACONF: dict[str, Any] = {
    "settings_files": [],
    "core_loaders": [],
    "environments": False,
    "load_dotenv": False,
    "auto_cast": False,
    "dotted_lookup": False,
    "nested_separator": False,
}


class Flag(NamedTuple):
    """A setting from the command line: its dotted key, the option as typed, its value."""

    key: str
    option: str
    value: Any


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and for each dotted key where its value came from."""

    config: Config
    origins: Mapping[str, str]

    def origin(self, dotted: str) -> str:
        """Return where a key's value came from; ``default`` when no layer sets it."""
        return self.origins.get(dotted, "default")

    def is_secret(self, dotted: str) -> bool:
        """Whether a key's value must not be shown."""
        return is_secret(dotted, self.origin(dotted))

    def shown(self, tables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return every dotted key with its value as JSON has it, secrets masked.

        ``tables`` are the plugins' tables with their defaults, in place of those that were set.
        """
        values = self.config.model_dump(mode="json")
        if tables is not None:
            values["plugin"] = tables
        return {
            dotted: MASK if self.is_secret(dotted) and value not in (None, "") else value
            for dotted, value in flat(values)
        }

    def describe(self, dotted: str) -> str:
        """Return a line with a key's value, masked if secret, and its origin."""
        shown = self.shown()
        dotted = RENAMED.get(dotted, dotted)
        if dotted not in shown:
            raise ConfigError(f"no setting '{dotted}'{suggest(dotted, shown)}")
        return f"{dotted} = {shown[dotted]!r} ({self.origin(dotted)})"

    def secrets(self) -> tuple[str, ...]:
        """Return the secret values themselves, for the redaction of output."""
        values = self.config.model_dump(mode="json")
        return tuple(
            text
            for dotted, value in flat(values)
            if self.is_secret(dotted)
            for text in texts(value)
        )


def load(
    settings: Path | None = None,
    flags: Sequence[Flag] = (),
    settings_of: SettingsOf = lambda keys, named: (0, None),
) -> Loaded:
    """Read all layers. Without ``settings``, ``./settings.toml`` is read if it is there.

    ``settings_of`` finds the plugin that a variable's keys name, perhaps one in a file that the
    settings name: how many of the keys are its name, and its settings class.

    Raises ConfigError: one line with the key, its value (unless secret), its origin, what is wrong.
    """
    tree: Tree = {}
    origins: Origins = {}
    for table, origin in _file_layers(settings):
        merge(tree, origins, new_names(table, origin), origin)
    variables, options = NewNames(), NewNames()
    flagged = list(named_plugins({flag.key: flag.value for flag in flags}))
    for name, value in _variables():  # SMABOT_PLUGINS comes before all SMABOT_PLUGIN__…
        named = [*named_plugins(tree), *flagged]
        keys = _match(tree, name.removeprefix(PREFIX).split("__"), settings_of, named)
        if (dotted := ".".join(keys)) in RENAMED or dotted in RENAMED.values():
            now = PREFIX + RENAMED.get(dotted, dotted).upper().replace(".", "__")
            keys = variables.of(dotted, value, name, now).split(".")
        merge(tree, origins, _nest(keys, value), name)
    for flag in flags:
        now = f"--{RENAMED.get(flag.key, flag.key)}"
        key = options.of(flag.key, flag.value, flag.option, now)
        merge(tree, origins, _nest(key.split("."), flag.value), flag.option)
    for dotted, value in flat(tree):
        if is_secret(dotted, origins.get(dotted, "")):
            register_secret(*worth_masking(dotted, value))
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        raise settings_error(error, origins, Config) from None
    return Loaded(config, origins)


def merge(tree: Tree, origins: Origins, above: Mapping[str, Any], origin: str) -> None:
    """Lay a layer over a tree, in place: tables merge, anything else replaces."""
    _merge(tree, origins, above, origin, "")


def _merge(
    tree: Tree, origins: Origins, above: Mapping[str, Any], origin: str, prefix: str
) -> None:
    for key, value in above.items():
        dotted = prefix + key
        if isinstance(value, Mapping):
            if not isinstance(tree.get(key), dict):
                tree[key] = {}
                origins[dotted] = origin
            if value:
                origins.pop(dotted, None)
                _merge(tree[key], origins, value, origin, dotted + ".")
        else:
            for old in [each for each in origins if each.startswith(dotted + ".")]:
                del origins[old]
            tree[key] = value
            origins[dotted] = origin


# -- files -----------------------------------------------------------------------------------------


def files_of(settings: Path | None) -> tuple[Path, Path]:
    """Return the files of the settings and of the secrets, which need not be there."""
    path = settings or Path("settings.toml")
    return path, path.with_name(SECRETS_FILE)


def _file_layers(settings: Path | None) -> Iterator[tuple[Tree, str]]:
    path, secrets = files_of(settings)
    if settings is not None and not file_exists(path, f"--settings {path}"):
        raise ConfigError(f"--settings {path}: no such file")
    places = path, secrets, *_credentials()
    files = {file: _sections(file) for file in places if file_exists(file, str(file))}
    env = os.environ.get("SMABOT_ENV", "").lower() or "default"
    known = {section for sections in files.values() for section in sections}
    if env != "default" and env not in known:
        where = f"in {' or '.join(map(str, files))}" if files else f"because there is no {path}"
        raise ConfigError(f"SMABOT_ENV={env}: no section [{env}] {where}{suggest(env, known)}")
    for file, sections in files.items():
        for section in dict.fromkeys(("default", env)):
            yield beside_settings(sections.get(section, {}), file.parent), f"{file} [{section}]"


def _credentials() -> Iterator[Path]:
    """Yield the secrets that systemd keeps for this service alone (systemd.exec(5), LoadCredential)."""
    if folder := os.environ.get("CREDENTIALS_DIRECTORY"):
        yield Path(folder, SECRETS_FILE)


def _sections(file: Path) -> dict[str, Tree]:
    if (
        file.name == SECRETS_FILE and file not in _credentials()
    ):  # the rights of those are systemd's
        _check_private(file)
    sections: dict[str, Tree] = {}
    for section, table in _read_toml(file).items():
        if not isinstance(table, dict):
            raise ConfigError(f"{file}: '{section}' stands outside a section: put it in [default]")
        if section in Config.model_fields:
            raise ConfigError(f"{file}: unknown section [{section}]: write [default.{section}]")
        if section != "default" and suggest(section, ["default"]):
            raise ConfigError(f"{file}: unknown section [{section}] (did you mean 'default'?)")
        for key in table:
            if key not in Config.model_fields and key not in RENAMED:
                raise ConfigError(f"{file} [{section}]: {unknown_setting(key, Config)}")
        sections[section] = table
    return sections


def _check_private(file: Path) -> None:
    mode = stat.S_IMODE(file.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        raise ConfigError(f"{file}: others may read it (mode {mode:04o}): run `chmod 600 {file}`")


def _read_toml(file: Path) -> Tree:
    try:
        text = file.read_text(encoding="utf-8-sig") + "\n"
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: is not UTF-8 text: save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{file}: can't be read: {error.strerror}") from None
    if (tables := _empty_tables(text)) is not None:
        return tables

    from dynaconf import Dynaconf
    from dynaconf.loaders import toml_loader

    reader = Dynaconf(**_DYNACONF, loaders=[], envvar_prefix=None)
    own = set(reader.as_dict())
    try:
        toml_loader.load(reader, filename=[text], silent=False)
    except ValueError as error:
        raise ConfigError(f"{file}: {_toml_problem(str(error), text)}") from None
    except RecursionError:
        raise ConfigError(f"{file}: holds lists or tables within each other too deep") from None
    return {key.lower(): value for key, value in reader.as_dict().items() if key not in own}


def _empty_tables(text: str) -> Tree | None:
    """Return the tables of a file that sets nothing in them; None for any other.

    So the file as it is shipped, all commented out, costs no import of dynaconf.
    """
    tables: Tree = {}
    for line in text.splitlines():
        bare = line.partition("#")[0].strip()
        if bare and not re.fullmatch(r"\[[\w.]+\]", bare):
            return None
        section, *rest = bare.strip("[]").split(".")
        if bare:
            merge(tables, {}, _nest([section.lower(), *rest], {}), "")
    return tables


def _toml_problem(message: str, text: str) -> str:
    what, _, where = message.rstrip(")").partition(" (at ")
    if "line" not in where:
        where = f"line {len(text.rstrip().splitlines())}, the end"
    return f"{where}: {what[:1].lower()}{what[1:]}"


# -- variables -------------------------------------------------------------------------------------


def _variables() -> list[tuple[str, Any]]:
    """Return the ``SMABOT_`` variables, typed as TOML where they can be; secrets as they are."""
    names = sorted(n for n in os.environ if n.startswith(PREFIX) and n not in NOT_SETTINGS)
    if not names:
        return []

    from dynaconf import Dynaconf

    loaders = ["dynaconf.loaders.env_loader"]
    try:
        typed = Dynaconf(**_DYNACONF, loaders=loaders, envvar_prefix=PREFIX.rstrip("_")).as_dict()
    except (RecursionError, ValueError):  # Python's own limits: all else that is no TOML is text
        longest = max(names, key=lambda name: len(os.environ[name]))
        raise ConfigError(f"{longest}: has too many digits, or too many lists in lists") from None
    return [
        (name, raw if is_secret(name) else typed.get(name.removeprefix(PREFIX).upper(), raw))
        for name, raw in ((name, os.environ[name]) for name in names)
    ]


def _match(
    tree: Tree, keys: Sequence[str], settings_of: SettingsOf, named: Sequence[str]
) -> list[str]:
    """Find a variable's keys in a tree whatever their case; those that it doesn't have are lowered.

    In a plugin's table its settings class knows the names, and the keys of a mapping, as symbols,
    stay as they are typed.
    """
    found: list[str] = []
    here: Any = tree
    typed: frozenset[int] = frozenset()
    if keys[0].lower() == "plugin" and len(keys) > 2:
        length, model = settings_of(keys[1:], named)
        typed = frozenset(1 + length + place for place in mapping_keys(model, keys[1 + length :]))
    for place, key in enumerate(keys):
        names = here if isinstance(here, dict) else {}
        same = next((n for n in names if n.lower() == key.lower()), key.lower())
        found.append(key if place in typed else same)
        here = names.get(found[-1])
    return found


def _nest(keys: Sequence[str], value: Any) -> Tree:
    for key in reversed(keys):
        value = {key: value}
    return cast(Tree, value)
