"""A plugin from a file: `./rising.py` is the plugin `rising`, its class the one that has hooks.

The file is loaded as a module of its own, under its file name, which no import can mean. Modules
beside it are importable where it imports them: its folder is then the last one that is searched.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

from smabot.errors import ConfigError, suggest
from smabot.hooks.specifications import HOOKS
from smabot.settings.plugin_paths import names_file, split_reference
from smabot.system.paths import file_exists


@dataclass(frozen=True)
class PluginFile:
    """A file that was named as a plugin, used as an installed plugin's entry point is."""

    value: str
    """The reference as it was given: `./rising.py`, `./rising.py:Rising`."""
    dist = None

    @property
    def text(self) -> str:
        """The path as it was given."""
        return split_reference(self.value)[0]

    @property
    def path(self) -> Path:
        """The file's absolute path, without links."""
        return Path(os.path.realpath(Path(self.text).expanduser()))

    @property
    def name(self) -> str:
        """The plugin's name."""
        return Path(self.text).stem

    @property
    def attribute(self) -> str:
        """The class that was named; empty: the only one with hooks."""
        return split_reference(self.value)[1]

    def require(self) -> None:
        """Raise ConfigError unless it is there, and a Python file."""
        path = self.path
        if not path.is_dir() and path.suffix != ".py":
            whole = f"{self.text.removesuffix(path.suffix)}.py"
            there = os.path.isfile(Path(whole).expanduser())  # noqa: PTH113 - it may be too long
            hint = f": give {whole}" if there else ": a plugin's file ends with .py"
            raise ConfigError(f"plugin '{self.text}' is no Python file{hint}")
        if path.is_dir():
            files = sorted(each.name for each in path.glob("*.py"))
            example = files[0] if files else "rising.py"
            raise ConfigError(
                f"plugin '{self.text}' is a folder: name a file in it, as {self.text.rstrip('/')}/{example}"
            )
        if not file_exists(path, f"plugin '{self.text}'"):
            near = path.parent.glob("*.py") if path.parent.is_dir() else ()
            hint = suggest(path.name, [each.name for each in near])
            raise ConfigError(f"plugin '{self.text}': no such file{hint}")
        if self.value.endswith(":"):
            raise ConfigError(
                f"plugin '{self.value}': name a class after the colon, or leave it out"
            )

    def load(self) -> Any:
        """Import the file; returns its class with hooks, or the module where functions are the hooks.

        Raises ConfigError, with file and line where it can't be imported, or where it is not clear
        what the plugin is.
        """
        self.require()
        module = self._module()
        return self._named(module) if self.attribute else self._only(module)

    # -- importing ---------------------------------------------------------------------------------

    def _module(self) -> ModuleType:
        path = self.path
        name = path.name
        known = sys.modules.get(name)
        if known is not None and getattr(known, "__file__", None) == str(path):
            return known
        loader = _WithoutCache(name, str(path))
        try:
            self._make_importable(ast.parse(loader.get_data(str(path)), str(path)))
            spec = spec_from_loader(name, loader)
            assert spec is not None
            sys.modules[name] = module = module_from_spec(spec)
            loader.exec_module(module)
        except (KeyboardInterrupt, ConfigError):
            sys.modules.pop(name, None)
            raise
        except BaseException as error:
            sys.modules.pop(name, None)
            raise ConfigError(
                f"plugin '{self.name}' ({self._place(error)}) can't be imported: {_said(error)}"
            ) from error
        return module

    def _place(self, error: BaseException) -> str:
        """Return the file and line of an error: the innermost that is in the plugin's folder."""
        if isinstance(error, SyntaxError) and error.filename and error.lineno:
            return f"{self._shown(error.filename)}:{error.lineno}"
        folder = self.path.parent
        inside = [
            (file, line)
            for file, line in _lines(error.__traceback__)
            if Path(file).is_relative_to(folder)
        ]
        return f"{self._shown(inside[-1][0])}:{inside[-1][1]}" if inside else self.text

    def _shown(self, file: str) -> str:
        """Return a file's path as the plugin's own was given."""
        if Path(file) == self.path:
            return self.text
        if Path(file).is_relative_to(self.path.parent):
            return str(Path(self.text).parent / Path(file).relative_to(self.path.parent))
        return file

    def _make_importable(self, source: ast.Module) -> None:
        """Let the file import the modules beside it, and nothing else in their place.

        Raises ConfigError for a relative import, and where another module of the same name would be
        imported instead of the one beside it.
        """
        folder = str(self.path.parent)
        for name, line in _imports(source):
            if not name:
                raise ConfigError(
                    f"plugin '{self.name}' ({self.text}:{line}): a relative import: the file is no part "
                    "of a package; write `import helper` for a helper.py beside it"
                )
            if not _is_module(self.path.parent, name):
                continue
            if folder not in sys.path:
                sys.path.append(folder)
                importlib.invalidate_caches()
            found = _origin_of(name)
            if not found.startswith(folder + os.sep):
                raise ConfigError(
                    f"plugin '{self.name}' ({self.text}:{line}): imports {name}, which is "
                    f"{found} and not the {name} beside it: give that one another name"
                )

    # -- choosing ----------------------------------------------------------------------------------

    def _named(self, module: ModuleType) -> Any:
        found: Any = module
        for part in self.attribute.split("."):
            if not hasattr(found, part):
                known = [each.__name__ for each in _own_classes(module)]
                raise ConfigError(
                    f"plugin '{self.value}': {self.text} has no {self.attribute}"
                    f"{suggest(self.attribute, known)}"
                )
            found = getattr(found, part)
        return found

    def _only(self, module: ModuleType) -> Any:
        classes = _own_classes(module)
        functions = [
            each
            for each in vars(module).values()
            if inspect.isfunction(each) and each.__module__ == module.__name__
        ]
        for is_hook in (_is_marked, _has_name_of_hook):
            found: list[Any] = [
                each
                for each in classes
                if any(is_hook(name, _static(each, name)) for name in dir(each))
            ]
            if any(is_hook(each.__name__, each) for each in functions):
                found.append(module)
            if len(found) > 1:
                raise self._several(found)
            if found:
                return found[0]
        raise ConfigError(f"plugin '{self.name}' ({self.text}) has no hook: {_missing(module)}")

    def _several(self, found: list[Any]) -> ConfigError:
        names = [each.__name__ for each in found if inspect.isclass(each)]
        if len(names) < len(found):
            return ConfigError(
                f"plugin '{self.name}' ({self.text}) has hooks in functions and in {', '.join(names)}: "
                f"name a class, as {self.text}:{names[0]}, or keep the hooks in one place"
            )
        return ConfigError(
            f"plugin '{self.name}' ({self.text}) has hooks in {len(names)} classes, {', '.join(names)}: "
            f"name one, as {self.text}:{names[0]}"
        )


class _WithoutCache(SourceFileLoader):
    """Compiles the file at each start: nothing is written beside it, and no edit is missed."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def files_among(names: Iterable[str]) -> list[PluginFile]:
    """Return the plugins' files among names, each name, file and class once."""
    files = [PluginFile(name) for name in names if names_file(name)]
    return list({(file.name, file.path, file.attribute): file for file in files}.values())


def plugin_named(reference: str) -> str:
    """Return the name of the plugin in a file. Raises ConfigError where there is no such file."""
    file = PluginFile(reference)
    file.require()
    return file.name


def _said(error: BaseException) -> str:
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}{': ' if said else ''}{said}"


def _lines(trace: TracebackType | None) -> Iterator[tuple[str, int]]:
    while trace is not None:
        yield trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next


def _imports(source: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the top of each module that is imported, and the line; empty where it is relative."""
    for node in ast.walk(source):
        if isinstance(node, ast.Import):
            for each in node.names:
                yield each.name.partition(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom):
            yield ("" if node.level else str(node.module).partition(".")[0]), node.lineno


def _is_module(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()


def _origin_of(name: str) -> str:
    """Return the file that an import of a name loads."""
    try:
        spec = find_spec(name)
    except ValueError:  # a module without a specification, as __main__
        return str(getattr(sys.modules.get(name), "__file__", None) or name)
    if spec is None or not spec.origin or not spec.has_location:
        return name
    return os.path.realpath(spec.origin)


def _own_classes(module: ModuleType) -> list[type]:
    """Return the classes that may be meant as the plugin: those that the file itself defines."""
    return [
        each
        for each in dict.fromkeys(filter(inspect.isclass, vars(module).values()))
        if each.__module__ == module.__name__
        and not each.__name__.startswith("_")
        and not inspect.isabstract(each)
    ]


def _static(owner: type, name: str) -> Any:
    return inspect.getattr_static(owner, name, None)


def _is_marked(name: str, value: Any) -> bool:
    return hasattr(value, "smabot_impl")


def _has_name_of_hook(name: str, value: Any) -> bool:
    return name in HOOKS


def _missing(module: ModuleType) -> str:
    """Say what a file without a plugin needs."""
    elsewhere = [
        f"{each.__name__} is imported from {each.__module__}"
        for each in vars(module).values()
        if inspect.isclass(each)
        and each.__module__ != module.__name__
        and any(_is_marked(name, _static(each, name)) for name in dir(each))
    ]
    if elsewhere:
        return f"{elsewhere[0]}: name that file, or write the class after a colon"
    return "it needs a class with a method that is marked with @hookimpl, as on_bar"
