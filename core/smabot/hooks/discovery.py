"""Find, select, import and make plugins, and check what is wrong with one before it is used.

A plugin is a class (or module) named by an entry point in group ``smabot``, or in a file that the
settings name. Its name is also its name on the command line and of its settings table.
"""

from __future__ import annotations

import inspect
import os
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import smabot
from smabot.domain.bot_records import HALT
from smabot.errors import ConfigError, PluginError, SmabotError, suggest
from smabot.hooks.hook_checks import is_needed
from smabot.hooks.plugin_files import PluginFile, files_among, plugin_named
from smabot.hooks.plugin_isolation import undisturbed
from smabot.hooks.plugin_output import printed_to_log
from smabot.settings.model import Config, Settings
from smabot.settings.plugin_paths import names_file

GROUP = "smabot"
Source = EntryPoint | PluginFile
"""What a plugin is imported from."""
Installed = dict[str, tuple[Source, ...]]
"""The sources of each name: one, where only one distribution or file claims it."""

_NAME = re.compile(r"\w+(\.\w+)*", re.ASCII)


def discover(named: Iterable[str] = ()) -> Installed:
    """Return by name the installed plugins' entry points, and the files among ``named``."""
    points: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        points.setdefault(point.name, []).append(point)
    found: Installed = {name: _distinct(some) for name, some in points.items()}
    for file in files_among(named):
        group = (some for name, some in found.items() if name.startswith(f"{file.name}."))
        rivals = found.get(file.name) or tuple(each for some in group for each in some)
        found[file.name] = (*rivals, file)
    return found


def named_by(config: Config) -> tuple[str, ...]:
    """Return the plugins that the settings name: names, prefixes, and paths of files."""
    return (*config.base_plugins, *config.plugins)


def user_of(module: str) -> str:
    """Return the plugin that a module is of, for a message; the module where it is of none."""
    package, _, inner = module.partition(".")
    if inner == "py":
        return f"plugin '{package}'"
    for name, points in sorted(discover().items()):
        if any(point.value.partition(":")[0].partition(".")[0] == package for point in points):
            return f"plugin '{name}'"
    return module


def select(wanted: Sequence[str], blocked: Sequence[str], installed: Iterable[str]) -> list[str]:
    """Return the names that are wanted, by name, prefix (``risk``) or file, less the blocked ones.

    Raises ConfigError for a name that selects or blocks nothing.
    """
    known = sorted(installed)

    def expand(name: str) -> list[str]:
        if names_file(name):
            return [plugin_named(name)]
        found = [each for each in known if each == name or each.startswith(name + ".")]
        if not found:
            groups = {each.split(".")[0] for each in known}
            hint = suggest(name, groups | set(known))
            if os.path.isfile(f"{name}.py"):  # noqa: PTH113 - a name may be too long for a path
                hint = f" (for the file {name}.py write ./{name}.py)"
            raise ConfigError(
                f"plugin '{name}' is not installed{hint}; installed are: {', '.join(known) or 'none'}"
            )
        return found

    off = {each for name in blocked for each in expand(name)}
    return list(dict.fromkeys(e for name in wanted for e in expand(name) if e not in off))


def make(name: str, points: Sequence[Source], config: Config, origins: Mapping[str, str]) -> object:
    """Import a plugin and make it with its settings table; what it prints meanwhile is logged.

    Raises ConfigError for one that is installed twice, can't be imported, was made for another
    version or has wrong settings, PluginError for one whose constructor raises.
    """
    target = load_plugin(name, points)
    with printed_to_log(), undisturbed():
        return make_from(name, target, config, origins)


def make_from(name: str, target: Any, config: Config, origins: Mapping[str, str]) -> object:
    """Make a plugin of its class with its settings table; a module is a plugin as it is.

    Raises ConfigError for wrong settings, PluginError for a class whose constructor raises.
    """
    return made_with(name, target, plugin_settings(name, target, config, origins))


def plugin_settings(
    name: str, target: Any, config: Config, origins: Mapping[str, str]
) -> Settings | None:
    """Return the settings that a plugin's class is made with; None: it has none, or is a module.

    Raises ConfigError for wrong ones.
    """
    if not inspect.isclass(target):
        return None
    model = settings_model(target)
    try:
        settings = model.model_validate(config.table(name)) if model else None
    except ValueError as error:
        from smabot.settings.loading import plugin_settings_error

        raise plugin_settings_error(name, typing.cast(Any, error), origins, model) from None
    if model is None and config.table(name):
        raise ConfigError(f"plugin '{name}' has no settings: remove the table plugin.{name}")
    return settings


def made_with(name: str, target: Any, settings: Settings | None) -> object:
    """Make a plugin of its class, with its settings as `plugin_settings` returns them; a module is one as it is.

    Raises PluginError for a class whose constructor raises.
    """
    if not inspect.isclass(target):
        return target
    try:
        return target(**({} if settings is None else {"settings": settings}))
    except (SmabotError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise blame(name, "its constructor", error) from error


def load_plugin(name: str, points: Sequence[Source]) -> Any:
    """Return what `make` makes a plugin of: its class or module. Raises ConfigError as `make` does."""
    point = _only(name, points)
    _check_version(name, point)
    with printed_to_log(), undisturbed():
        return _imported(name, point)


def settings_model(plugin: type) -> type[Settings] | None:
    """Return the settings class that a plugin's constructor takes, or None.

    Raises ConfigError when the constructor's annotations name what its module does not have, when
    ``settings`` is not annotated with a settings class, and when it asks for anything else.
    """
    return _settings_model(plugin)


@lru_cache(maxsize=256)
def _settings_model(plugin: type) -> type[Settings] | None:
    shown = f"plugin {plugin.__module__}.{plugin.__qualname__}"
    try:
        hints = typing.get_type_hints(inspect.getattr_static(plugin, "__init__"))
        takes = inspect.signature(plugin).parameters
    except (NameError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{shown}: the types of its constructor's arguments can't be read: {error}"
        ) from error
    for parameter in takes.values():
        if parameter.name != "settings" and is_needed(parameter):
            raise ConfigError(
                f"{shown}: its constructor asks for '{parameter.name}': it is given 'settings' and "
                "nothing else"
            )
    hint = hints.get("settings")
    if inspect.isclass(hint) and issubclass(hint, Settings):
        return hint
    if "settings" in takes:
        raise ConfigError(
            f"{shown}: annotate its constructor's argument 'settings' with a subclass of "
            "smabot.api.Settings"
        )
    return None


def settings_of(
    keys: Sequence[str], named: Iterable[str] = ()
) -> tuple[int, type[Settings] | None]:
    """Find the plugin, installed or a file among ``named``, whose name begins dotted keys, whatever
    their case.

    Returns how many of the keys are its name, and its settings class; 0 and None for none that works.
    """
    lowered = [key.lower() for key in keys]
    installed = {name.lower(): (name, points) for name, points in discover(named).items()}
    for length in range(len(keys), 0, -1):
        name, points = installed.get(".".join(lowered[:length]), ("", ()))
        if name:
            return length, settings_found(name, points)
    return 0, None


def settings_named(name: str, named: Iterable[str] = ()) -> type[Settings] | None:
    """Return the settings class of a plugin, installed or a file among ``named``; None where it has
    none, or is broken."""
    points = discover(named).get(name)
    return settings_found(name, points) if points else None


def settings_found(name: str, points: Sequence[Source]) -> type[Settings] | None:
    """Return the same of a plugin that `discover` has found."""
    try:
        with printed_to_log(), undisturbed():
            target = _imported(name, _only(name, points))
            return settings_model(target) if inspect.isclass(target) else None
    except SmabotError:
        return None


def check_tables(
    tables: Mapping[str, Any],
    installed: Iterable[str],
    origins: Mapping[str, str],
    prefix: str = "",
) -> None:
    """Raise ConfigError for a plugin's settings that are no table, or of one not installed."""
    for key, value in tables.items():
        name = prefix + key
        group = any(each.startswith(name + ".") for each in installed)
        if name not in installed and not group:
            raise ConfigError(
                f"settings: plugin.{name}: no such plugin is installed{suggest(name, installed)}; one "
                "in a file needs its path in plugins"
            )
        if not isinstance(value, dict):
            origin = origins.get(f"plugin.{name}", "settings")
            raise ConfigError(f"{origin}: plugin.{name} = {value!r}: must be a table")
        if name not in installed:
            check_tables(value, installed, origins, name + ".")


def blame(plugin: str, where: str, error: BaseException) -> PluginError:
    """Return the one line that says which plugin raised what, in what, and on which line."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    line = f" ({frame.tb_frame.f_code.co_filename}:{frame.tb_lineno})" if frame else ""
    return PluginError(
        f"plugin '{plugin}' raised in {where}: {type(error).__name__}: {error}{line}"
    )


# -- one entry point -------------------------------------------------------------------------------


def _only(name: str, points: Sequence[Source]) -> Source:
    """Return a name's one source. Raises ConfigError where the name is no good, or two claim it."""
    files = [point for point in points if isinstance(point, PluginFile)]
    for file in files:
        file.require()
    if not _NAME.fullmatch(name) or name.split(".")[0] == HALT or (files and "." in name):
        rule = "use letters, digits, underscores, and dots for groups; 'core' is taken"
        if files:
            rule = "name the file with letters, digits and underscores; 'core' is taken"
        raise ConfigError(
            f"plugin '{name}' ({_origin(points[0])}): its name starts order ids: {rule}"
        )
    if len(files) > 1:
        raise ConfigError(
            f"plugin '{name}' is named twice, by {' and by '.join(file.value for file in files)}: a file's "
            "name is its plugin's name: give each plugin a file and a name of its own"
        )
    if files and len(points) > 1:
        raise ConfigError(
            f"plugin '{name}' ({files[0].text}) has the name of an installed plugin, of "
            f"{_origin(points[0])}: rename the file, or uninstall that one"
        )
    if len(points) > 1:
        raise ConfigError(
            f"plugin '{name}' is installed twice, by {' and by '.join(map(_origin, points))}: "
            "uninstall one"
        )
    return points[0]


def _origin(point: Source) -> str:
    if isinstance(point, PluginFile):
        return point.value
    return f"{_distribution(point)} ({point.value})"


def _distinct(points: list[EntryPoint]) -> tuple[Source, ...]:
    """Return each once, by distribution: one that is found in two places claims a name twice."""
    if len(points) == 1:
        return tuple(points)  # to read a distribution's name takes as long as to find it
    claims = {(_distribution(point), point.value): point for point in points}
    return tuple(claims[claim] for claim in sorted(claims))


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"


def _imported(name: str, point: Source) -> Any:
    if isinstance(point, PluginFile):
        return point.load()
    try:
        return point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ConfigError(
            f"plugin '{name}' ({point.value}) can't be imported: {type(error).__name__}: {error}"
        ) from error


def _check_version(name: str, point: Source) -> None:
    """Raise ConfigError when the plugin's distribution asks for another version of smabot."""
    for line in (point.dist.requires if point.dist else None) or ():
        if line.replace("_", "-").split("smabot", 1)[0] == "" and "extra ==" not in line:
            from packaging.requirements import InvalidRequirement, Requirement

            try:
                need = Requirement(line)
            except InvalidRequirement as error:
                raise ConfigError(f"plugin '{name}': Requires-Dist {line!r}: {error}") from None
            if need.name == "smabot" and not need.specifier.contains(
                smabot.__version__, prereleases=True
            ):
                raise ConfigError(
                    f"plugin '{name}' needs smabot{need.specifier}, this is {smabot.__version__}: "
                    f"upgrade {point.dist.name if point.dist else name}"
                )
