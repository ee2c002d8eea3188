"""The layers: what an import drags in, where colours stand, and that no text of others is read as markup."""

from __future__ import annotations

import ast
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import timmy_tui
from timmy_tui import services

PACKAGE = Path(timmy_tui.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
SERVICES = sorted(module.name for module in pkgutil.walk_packages(services.__path__, "timmy_tui.services."))

SCREEN_LIBRARIES = {"textual", "rich"}
SLOW = {"httpx", "huey", "redis", "pynvml", "watchfiles", "yaml", "sqlite3", "markdown_it", "pygments"}
"""What only costs time before the first paint; each is imported by the function that needs it."""


def loaded_by(program: str) -> set[str]:
    """The modules that a fresh interpreter holds after ``program``."""
    told = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint('\\n' + ' '.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(told.stdout.splitlines()[-1].split())


def tops(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_there_are_services_to_look_at() -> None:
    assert {"timmy_tui.services.monitor", "timmy_tui.services.demo.stack"} <= set(SERVICES)


def test_no_service_imports_the_screen() -> None:
    program = "import " + ", ".join(SERVICES)
    assert not tops(loaded_by(program)) & SCREEN_LIBRARIES


def test_the_monitor_imports_nothing_slow() -> None:
    assert not tops(loaded_by("import timmy_tui.services.monitor")) & (SLOW - {"sqlite3"} | SCREEN_LIBRARIES)


@pytest.fixture(scope="module")
def of_the_app() -> set[str]:
    return loaded_by("import timmy_tui.app")


def test_the_app_imports_nothing_slow(of_the_app: set[str]) -> None:
    assert not tops(of_the_app) & (SLOW - {"sqlite3"})


def test_the_app_imports_no_widget_that_it_does_not_show_at_first(of_the_app: set[str]) -> None:
    heavy = {f"textual.widgets._{name}" for name in ("markdown", "text_area", "data_table", "rich_log")}
    assert not of_the_app & heavy


def test_the_app_imports_no_screen_but_the_dashboard(of_the_app: set[str]) -> None:
    screens = {name for name in of_the_app if name.startswith("timmy_tui.screens.")}
    late = {"history", "search", "help", "setup", "session", "model", "provider", "tick", "activity", "dialogs"}
    assert not screens & {f"timmy_tui.screens.{name}" for name in late}


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["config", "path"]])
def test_a_command_that_shows_no_screen_imports_none(arguments: list[str]) -> None:
    program = f"from timmy_tui.cli import run\nassert run({arguments!r}) == 0"
    assert not tops(loaded_by(program)) & (SCREEN_LIBRARIES | SLOW)


def test_status_never_pays_for_the_screen(tmp_path: Path) -> None:
    program = (
        f"import os\nos.environ.update(HOME={str(tmp_path)!r}, OLLAMA_HOST='http://127.0.0.1:9', PATH='')\n"
        "from timmy_tui.cli import run\nrun(['status', '--json'])"
    )
    assert not tops(loaded_by(program)) & SCREEN_LIBRARIES


COLOUR = re.compile(r"#[0-9a-fA-F]{3}(?:[0-9a-fA-F]{3}(?:[0-9a-fA-F]{2})?)?\b|\brgba?\(|\bhsla?\(")
NAMED = re.compile(r":[^;{]*\b(?:red|green|blue|yellow|white|black|gr[ae]y|cyan|magenta|orange|ansi_\w+)\b")


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "themes.py"], ids=lambda path: path.stem)
def test_colours_stand_in_the_themes_alone(path: Path) -> None:
    strings = [node.value for node in ast.walk(tree_of(path)) if isinstance(node, ast.Constant)]
    assert not [text for text in strings if isinstance(text, str) and COLOUR.search(text)]


def test_the_style_sheet_names_no_colour() -> None:
    text = re.sub(r"/\*.*?\*/", "", (PACKAGE / "styles.tcss").read_text(), flags=re.DOTALL)
    # A selector (#models) is no colour: only what stands behind a colon is a value.
    values = [line for line in text.splitlines() if ":" in line]
    assert values
    assert not [line for line in values if re.search(rf":\s[^;{{]*(?:{COLOUR.pattern})", line) or NAMED.search(line)]


def test_the_colour_rules_find_what_they_look_for() -> None:
    for text in ("#fff", "#d9a866", "rgb(1,2,3)"):
        assert COLOUR.search(text)
    assert NAMED.search("color: red;")
    assert not NAMED.search("color: $success;")


# Text of others in a widget that reads markup ends the app: `[/]` is a MarkupError.

MARKUP_SINKS = {"Static", "Label", "Button", "Link", "Collapsible", "Checkbox", "Markdown", "notify", "update"}
"""Called with a string, each of these reads markup unless it is told not to."""

OUR_OWN_UPDATES = {"activity", "answers", "bar", "clock", "header", "heartbeat", "models", "providers", "sessions"}
"""Panes have an ``update`` of their own, which takes readings."""


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.parent.name in ("screens", "widgets")], ids=lambda path: path.stem
)
def test_no_view_turns_seconds_into_a_calendar_by_itself(path: Path) -> None:
    """``fromtimestamp`` raises for half of all numbers; ``text.moment_text`` never does."""
    named = {node.attr for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)}
    assert not named & {"fromtimestamp", "utcfromtimestamp", "localtime", "gmtime", "ctime", "strftime"}


def tree_of(path: Path) -> ast.AST:
    return ast.parse(path.read_text(), str(path))


def careless_calls(tree: ast.AST) -> list[int]:
    """The lines on which a sink gets anything but a literal, a ``Content``, or ``markup=False``."""
    found: list[int] = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name not in MARKUP_SINKS or not node.args:
            continue
        owner = getattr(getattr(node.func, "value", None), "attr", "")
        if name == "update" and owner in OUR_OWN_UPDATES:
            continue
        off = any(
            keyword.arg == "markup" and isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            for keyword in node.keywords
        )
        if not off and not _is_safe(node.args[0]):
            found.append(node.lineno)
    return found


def _is_safe(argument: ast.expr) -> bool:
    if isinstance(argument, ast.Constant):
        return True
    return isinstance(argument, ast.Call) and isinstance(argument.func, ast.Name) and argument.func.id == "Content"


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path.parent.name in ("screens", "widgets", "timmy_tui")],
    ids=lambda path: path.stem,
)
def test_no_sink_reads_text_of_others_as_markup(path: Path) -> None:
    assert careless_calls(tree_of(path)) == []


@pytest.mark.parametrize(
    ("source", "careless"),
    [
        ("Static(name)", True),
        ("self.notify(f'{model} is here')", True),
        ("self.notify(error.message, markup=True)", True),
        ("label.update(text)", True),
        ("Static('[b]ours[/b]')", False),
        ("Static(Content(name))", False),
        ("self.notify(error.message, severity='error', markup=False)", False),
        ("self.models.update(servers, gpu)", False),
    ],
)
def test_the_markup_rule_finds_what_it_looks_for(source: str, careless: bool) -> None:
    assert bool(careless_calls(ast.parse(source))) == careless


def test_nothing_makes_markup_of_strings() -> None:
    for path in MODULES:
        text = path.read_text()
        assert "from_markup" not in text, path
        assert "RichLog(" not in text, path


@pytest.mark.parametrize("attribute", ["border_title", "border_subtitle", "tooltip", "sub_title"])
def test_attributes_that_read_markup_get_no_text_of_others(attribute: str) -> None:
    """Textual parses these as markup when they are strings."""
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if not isinstance(node, ast.Assign):
                continue
            names = [target.attr for target in node.targets if isinstance(target, ast.Attribute)]
            assert attribute not in names or _is_safe(node.value), f"{path.name}:{node.lineno}"
