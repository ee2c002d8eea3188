"""What is asked while the demo runs, in turn."""

from __future__ import annotations

from timmy_tui.services.demo.conversations import (
    CODER_MODEL,
    CRON,
    Conversation,
    Step,
    read_step,
    search_step,
    shell_step,
)

LIVE = (
    Conversation(
        "Which tests are the slowest?",
        "The suite takes four minutes. Where does the time go?",
        "pytest can tell by itself.",
        (
            shell_step("pytest -q --durations 5", "41.20s call tests/test_mirror.py::test_full_sync"),
            read_step("tests/test_mirror.py", "def test_full_sync(repo_with_4000_commits):\n    ...\n"),
        ),
        "One test makes a repository of 4,000 commits for itself. With a fixture for the whole session the suite "
        "takes 2:50.",
        weight=0,
    ),
    Conversation(
        "Weather for the ride home",
        "Will it rain between six and seven?",
        "",
        (Step("web_search", {"query": "rain radar next hours"}, "dry until 20:00"),),
        "No, dry until eight.",
        source="telegram",
        weight=0,
    ),
    Conversation(
        "Write a systemd unit for the worker",
        "The worker shall start with the machine and stop cleanly.",
        "A clean stop needs the right signal and enough time.",
        (
            shell_step("systemctl --user list-units 'timmy*'", "0 loaded units listed."),
            shell_step("systemd-analyze verify timmy-worker.service", ""),
        ),
        "timmy-worker.service is written and verified. It stops by SIGINT and waits 130 s for a running tick.",
        weight=0,
    ),
    Conversation(
        "Find dependencies that nothing imports",
        "Which packages in pyproject.toml are no longer used?",
        "Compare the list with the imports.",
        (
            search_step("^(import|from) ", "src/mirror/api.py:3\nsrc/mirror/cli.py:1\nsrc/mirror/cli.py:4"),
            shell_step("pip list --not-required", "click 8.1\nhttpx 0.28\nsimplejson 3.19"),
        ),
        "Only simplejson: its last import went away in March.",
        model=CODER_MODEL,
        weight=0,
    ),
    CRON[1],
    Conversation(
        "Shorten the first page of the README",
        "Nobody reads it. Get it down to one screen.",
        "What it is, how to start it, where to read on; the rest can move.",
        (read_step("README.md", "# gitea-mirror\n\nA small service that ...\n"),),
        "From 140 lines to 38; the design notes moved to docs/design.md.",
        weight=0,
    ),
)
