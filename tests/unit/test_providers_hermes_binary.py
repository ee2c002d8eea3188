"""The hermes command is known by its files; it is run only when they don't tell, and in an empty home."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from timmy_tui.services.providers import hermes_binary
from timmy_tui.services.providers.hermes_binary import find_hermes


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"PATH": f"{tmp_path / 'bin'}:{os.defpath}", "HOME": str(tmp_path)}


@pytest.fixture(autouse=True)
def forget_versions() -> Iterator[None]:
    yield
    hermes_binary._told_version.cache_clear()


def environment(root: Path, version: str) -> Path:
    """A virtual environment's skeleton with Hermes in it; returns its interpreter."""
    (root / "bin").mkdir(parents=True)
    (root / "lib/python3.11/site-packages" / f"hermes_agent-{version}.dist-info").mkdir(parents=True)
    python = root / "bin/python3"
    python.symlink_to(sys.executable)
    return python


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_no_command_is_none(env: dict[str, str]) -> None:
    assert find_hermes("hermes-of-no-such-name", env) is None
    assert find_hermes("", env) is None


def test_a_venvs_script_tells_its_version_without_being_run(tmp_path: Path, env: dict[str, str]) -> None:
    python = environment(tmp_path / "venv", "0.19.0")
    launcher = script(tmp_path / "bin/hermes", f"#!{python}\nraise SystemExit('was run')\n")
    found = find_hermes("hermes", env)
    assert found is not None
    assert (found.path, found.version, found.error) == (str(launcher), "0.19.0", None)


def test_a_link_of_pipx_or_uv_is_followed(tmp_path: Path, env: dict[str, str]) -> None:
    python = environment(tmp_path / "venvs/hermes-agent", "0.20.1")
    real = script(tmp_path / "venvs/hermes-agent/bin/hermes", f"#!{python}\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/hermes").symlink_to(real)
    found = find_hermes("hermes", env)
    assert found is not None
    assert found.version == "0.20.1"
    assert found.path == str(tmp_path / "bin/hermes")


@pytest.mark.parametrize(
    "launcher",
    [
        "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\nimport sys\n",
        "#!/bin/sh\n'''exec' '{python}' \"$0\" \"$@\"\n' '''\n",
        '#!/usr/bin/env bash\nunset PYTHONPATH\nexec {python} -m hermes_cli.main "$@"\n',
    ],
)
def test_a_shell_launcher_is_read_not_run(tmp_path: Path, env: dict[str, str], launcher: str) -> None:
    python = environment(tmp_path / "a long path" if "'" in launcher else tmp_path / "venv", "0.19.2")
    script(tmp_path / "bin/hermes", launcher.replace("{python}", str(python)))
    found = find_hermes("hermes", env)
    assert found is not None
    assert (found.version, found.error) == ("0.19.2", None)


def test_a_relocatable_launcher_names_the_folder_it_stands_in(tmp_path: Path, env: dict[str, str]) -> None:
    environment(tmp_path / "venv", "0.21.0")
    line = "'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python3' \"$0\" \"$@\"\n' '''\n"
    real = script(tmp_path / "venv/bin/hermes", "#!/bin/sh\n" + line)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/hermes").symlink_to(real)
    found = find_hermes("hermes", env)
    assert found is not None
    assert (found.version, found.error) == ("0.21.0", None)


def test_an_installers_wrapper_leads_to_the_venvs_script(tmp_path: Path, env: dict[str, str]) -> None:
    python = environment(tmp_path / "opt", "0.19.5")
    real = script(tmp_path / "opt/bin/hermes", f"#!{python}\n")
    script(tmp_path / "bin/hermes", f'#!/usr/bin/env bash\nexec "{real}" "$@"\n')
    found = find_hermes("hermes", env)
    assert found is not None
    assert found.version == "0.19.5"


def test_an_environment_whose_python_is_gone_says_so(tmp_path: Path, env: dict[str, str]) -> None:
    python = environment(tmp_path / "venv", "0.19.0")
    script(tmp_path / "bin/hermes", f"#!{python}\n")
    python.unlink()
    found = find_hermes("hermes", env)
    assert found is not None
    assert found.error is not None
    assert "is gone; reinstall" in found.error


def test_wrappers_that_call_each_other_come_to_an_end(tmp_path: Path, env: dict[str, str]) -> None:
    one, two = tmp_path / "bin/hermes", tmp_path / "bin/other"
    script(one, f'#!/bin/sh\nif false; then\nexec "{two}"\nfi\necho hermes 3.2.1\n')
    script(two, f'#!/bin/sh\nexec "{one}"\n')
    found = find_hermes("hermes", env)
    assert found is not None
    assert found.version == "3.2.1"


def test_a_binary_is_asked_once_in_an_empty_home_without_the_operators_keys(
    tmp_path: Path, env: dict[str, str]
) -> None:
    seen = tmp_path / "seen"
    script(
        tmp_path / "bin/hermes",
        f'#!/bin/sh\nenv >> "{seen}"\necho "args=$*" >> "{seen}"\necho "Hermes Agent v0.18.3 (2026.5.1)"\n',
    )
    env |= {"HERMES_HOME": str(tmp_path / "precious"), "OPENAI_API_KEY": "sk-verysecret"}
    for _ in range(3):
        found = find_hermes("hermes", env)
        assert found is not None
        assert (found.version, found.error) == ("0.18.3", None)
    log = seen.read_text()
    assert log.count("args=--version") == 1
    assert "verysecret" not in log
    assert "precious" not in log
    home = next(line.split("=", 1)[1] for line in log.splitlines() if line.startswith("HERMES_HOME="))
    assert not Path(home).exists()
    assert not Path(home).parent.exists()


def test_a_launcher_that_changed_is_asked_again(tmp_path: Path, env: dict[str, str]) -> None:
    launcher = script(tmp_path / "bin/hermes", "#!/bin/sh\necho v1.0.0\n")
    os.utime(launcher, (1, 1))
    assert (found := find_hermes("hermes", env)) is not None
    assert found.version == "1.0.0"
    script(launcher, "#!/bin/sh\necho v2.0.0\n")
    assert (found := find_hermes("hermes", env)) is not None
    assert found.version == "2.0.0"


def test_a_command_that_fails_is_told_in_one_safe_line(tmp_path: Path, env: dict[str, str]) -> None:
    script(tmp_path / "bin/hermes", "#!/bin/sh\necho first\nprintf 'boom \\033[2J token=abcdefgh\\n'\nexit 3\n")
    found = find_hermes("hermes", env)
    assert found is not None
    assert found.version is None
    assert found.error == "hermes --version failed: boom ^[[2J token=***"


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfd_open to see a process end")
def test_a_command_that_hangs_is_ended_with_its_children(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hermes_binary, "VERSION_DEADLINE_S", 0.3)
    pid_file = tmp_path / "pid"
    script(tmp_path / "bin/hermes", f'#!/bin/sh\nsleep 600 &\necho $! > "{pid_file}"\nwait\n')
    found = find_hermes("hermes", env)
    assert found is not None
    assert found.error is not None
    assert "no answer within 0.3 s" in found.error
    assert _is_gone(int(pid_file.read_text()))


def _is_gone(pid: int) -> bool:
    """The process has ended, or does so within seconds."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 5)[0])
    finally:
        os.close(handle)
