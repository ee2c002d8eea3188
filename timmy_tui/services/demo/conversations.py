"""What people, timers and the heartbeat ask Hermes in the simulated stack, and how it goes about it."""

from __future__ import annotations

import json

from msgspec import Struct

LOCAL_MODEL = "hermes4:14b"
CODER_MODEL = "qwen2.5-coder:7b"
CLOUD_MODEL = "anthropic/claude-sonnet-4.5"


class Step(Struct, frozen=True):
    """One tool call and what came back."""

    tool: str
    arguments: dict[str, str]
    output: str
    exit_code: int = 0
    error: str | None = None

    @property
    def result(self) -> str:
        """The tool row's content, as 0.19 stores it (facts/hermes.md §9)."""
        return json.dumps({"output": self.output, "exit_code": self.exit_code, "error": self.error})


class Conversation(Struct, frozen=True):
    """One session's story."""

    title: str
    ask: str
    thought: str
    steps: tuple[Step, ...]
    answer: str
    source: str = "cli"
    model: str = LOCAL_MODEL
    weight: int = 1
    """Roughly how many times the usual context it drags along."""

    @property
    def cloud(self) -> bool:
        """Answered by a priced model on somebody else's machine."""
        return self.model == CLOUD_MODEL


def shell_step(command: str, output: str, exit_code: int = 0) -> Step:
    """A command and what it printed."""
    return Step("terminal", {"command": command}, output, exit_code)


def read_step(path: str, output: str, error: str | None = None) -> Step:
    """A file that was read, or the reason why not."""
    return Step("read_file", {"path": path}, output, error=error)


def search_step(pattern: str, output: str) -> Step:
    """A pattern and where it stands."""
    return Step("search_files", {"pattern": pattern, "target": "content"}, output)


CLI = (
    Conversation(
        "Fix the flaky websocket reconnect test",
        "tests/test_reconnect.py fails about one time in ten on CI. Find out why and fix it.",
        "A test that fails sometimes waits for something by the clock. I should look for a sleep first.",
        (
            read_step(
                "tests/test_reconnect.py",
                "async def test_reconnects(server):\n    await asyncio.sleep(0.5)\n",
            ),
            shell_step("pytest tests/test_reconnect.py -q --count 30", "2 failed, 28 passed in 19.84s", 1),
            shell_step("pytest tests/test_reconnect.py -q --count 200", "200 passed in 31.02s"),
        ),
        "The test slept for half a second instead of waiting for the second connection. It now "
        "awaits the server's "
        "own event; 200 runs in a row pass.",
        weight=3,
    ),
    Conversation(
        "Rename the staging hosts in the Ansible inventory",
        "stage1 and stage2 are now called amber and basalt. Change the inventory and whatever names them.",
        "The names may also stand in group_vars and in the CI file, so a search comes first.",
        (
            search_step("stage[12]", "inventory/hosts.yml:14\ninventory/hosts.yml:19\n.woodpecker.yml:33"),
            shell_step(
                "ansible-inventory --list --yaml | head -20",
                "all:\n  children:\n    staging:\n      hosts: ...",
            ),
        ),
        "Three places changed: two in the inventory, one in the pipeline. The inventory parses and lists both hosts.",
        weight=2,
    ),
    Conversation(
        "Why is the nightly backup 40 minutes late?",
        "The backup used to end at 03:20, now it is 04:00. What changed?",
        "Compare the log of last week with today's, then see what the slow part does.",
        (
            shell_step("grep duration /var/log/backup.log | tail -4", "duration 48m\nduration 51m\nduration 88m"),
            shell_step("du -sh /srv/gitea/* | sort -h | tail -3", "1.1G repos\n2.4G lfs\n19G packages"),
        ),
        "The package registry grew from 3 to 19 GB in eight days: a pipeline uploads each nightly "
        "build and nothing "
        "expires them. A cleanup rule that keeps ten versions brings the backup back to its old length.",
        weight=2,
    ),
    Conversation(
        "Draft release notes for gitea-mirror 0.4",
        "Write release notes from the commits since 0.3, in the tone of the last ones.",
        "The commits tell what, the last notes tell how.",
        (
            shell_step("git log --oneline v0.3..HEAD | wc -l", "41"),
            read_step("CHANGELOG.md", "## 0.3\n- Mirrors are checked in parallel.\n"),
        ),
        "A draft of nine lines stands in CHANGELOG.md: four new things, four fixes, and one change that needs a hand.",
    ),
    Conversation(
        "Review PR 212: retry budget for webhooks",
        "Look at PR 212 with me. Is the retry budget right?",
        "The question is whether a budget per host or per hook is counted, and what happens at midnight.",
        (
            shell_step(
                "git diff main...pr-212 --stat",
                " hooks/deliver.go | 88 +++++---\n hooks/budget.go | 141 ++++",
            ),
            read_step("hooks/budget.go", "type Budget struct {\n\tmu sync.Mutex\n\tspent map[string]int\n}\n"),
            search_step("NewBudget", "hooks/deliver.go:52\nhooks/budget_test.go:11"),
        ),
        "The budget is kept per hook, but one slow host has forty hooks: it should be per host. The "
        "map also never "
        "shrinks. Both are noted in the review; the rest reads well.",
        model=CODER_MODEL,
        weight=3,
    ),
    Conversation(
        "Find what fills /var on mbp",
        "The heartbeat says that the disk is filling. What is it?",
        "Start with the largest folders, then look for deleted files that are still open.",
        (
            shell_step("du -xh /var --max-depth 2 | sort -h | tail -3", "3.1G /var/log\n14G /var/cache\n22G /var/lib"),
            shell_step("du -sh /var/cache/* | sort -h | tail -2", "1.2G apt\n11G huggingface"),
        ),
        "11 GB are downloads in /var/cache/huggingface that nothing refers to any more. May I remove "
        "those that are "
        "older than 30 days?",
        weight=4,
    ),
    Conversation(
        "Port the invoice parser to msgspec",
        "Replace the hand-written checks in invoices/parse.py by msgspec structs.",
        "Keep the error messages, the bookkeeping team knows them.",
        (
            read_step(
                "invoices/parse.py",
                "def parse(raw):\n    if not isinstance(raw, dict):\n        raise BadInvoice\n",
            ),
            shell_step("pytest tests/invoices -q", "118 passed in 2.71s"),
        ),
        "parse.py went from 240 to 95 lines, all 118 tests pass, and parsing the sample year takes 0.8 s instead of 5.",
        model=CODER_MODEL,
        weight=3,
    ),
    Conversation(
        "Explain the CPU share of qwen2.5-coder",
        "ollama ps shows 31%/69% CPU/GPU for the coder model. Why, and what would help?",
        "The context is what grew: 32k for a 7B model next to a 14B one.",
        (shell_step("ollama ps", "hermes4:14b 11 GB 100% GPU\nqwen2.5-coder:7b 9.2 GB 31%/69% CPU/GPU"),),
        "Its 32k context does not fit beside hermes4:14b. With 16k it would be all on the GPU, about twice as fast.",
    ),
    Conversation(
        "Translate the onboarding page into German",
        "Translate docs/onboarding.md into German, informal address.",
        "Commands and file names stay as they are.",
        (read_step("docs/onboarding.md", "# Welcome\nYou need three things before your first day...\n"),),
        "docs/onboarding.de.md is written; two terms are marked where I was not sure of the house style.",
    ),
    Conversation(
        "Second opinion on the Postgres 17 upgrade plan",
        "Here is our plan for the upgrade. What did we forget?",
        "Extensions, statistics after pg_upgrade, and the way back are what plans forget.",
        (),
        "Three things: PostGIS must be upgraded first, statistics are not carried over before 18, "
        "and the plan has no "
        "step that proves the way back works.",
        model=CLOUD_MODEL,
        weight=2,
    ),
    Conversation(
        "Compare restic and borg for the NAS",
        "Which of the two would you take for 4 TB over a slow line, and why?",
        "What matters here is the upload after the first one, and how a restore of one file feels.",
        (),
        "restic: it resumes an interrupted upload without a fuss and mounts a snapshot to fetch one file. borg packs "
        "a little tighter, which four terabytes of photos will not show.",
        model=CLOUD_MODEL,
        weight=2,
    ),
)

TELEGRAM = (
    Conversation(
        "Trains to Utrecht on Friday",
        "When do I have to leave to be in Utrecht at ten on Friday?",
        "A search of the timetable, then count backwards.",
        (Step("web_search", {"query": "train timetable Utrecht Friday morning"}, "07:32, 08:02, 08:32"),),
        "Take the 08:02; you arrive at 09:41.",
        source="telegram",
    ),
    Conversation(
        "Shopping list for Sunday",
        "Add lemons and two bags of flour to the list.",
        "",
        (Step("memory", {"action": "add", "content": "lemons, flour (2)"}, "saved"),),
        "Added. The list has nine things now.",
        source="telegram",
    ),
    Conversation(
        "Is the garage door closed?",
        "did I close the garage?",
        "",
        (Step("homeassistant", {"entity": "cover.garage"}, "closed since 08:14"),),
        "Yes, since 08:14.",
        source="telegram",
    ),
)

SUBAGENT = (
    Conversation(
        "Collect the slow queries of last week",
        "List the ten slowest statements of the last seven days with their mean time.",
        "",
        (shell_step("psql -c 'select * from slow_week limit 10'", "(10 rows)"),),
        "Ten statements; the first one takes 41 % of the time.",
        source="subagent",
        model=CODER_MODEL,
        weight=2,
    ),
    Conversation(
        "Check every step of the restore guide",
        "Go through docs/restore.md and say which commands no longer exist.",
        "",
        (
            read_step("docs/restore.md", "", "File not found: docs/restore.md"),
            read_step("docs/ops/restore.md", "1. Stop ..."),
        ),
        "Two of fourteen commands are gone: gitea dump -C and restic check --read-all.",
        source="subagent",
    ),
)

CRON = (
    Conversation(
        "disk-check",
        "Report disks above 85 percent.",
        "",
        (shell_step("df -P | awk '$5+0>85'", "/dev/nvme0n1p2 91% /"),),
        "One: / is at 91 percent.",
        source="cron",
    ),
    Conversation(
        "mail-digest",
        "Summarise the unread mail in five lines.",
        "",
        (Step("himalaya", {"args": "list --unread"}, "14 messages"),),
        "Fourteen new: three need an answer today, the rest is lists.",
        source="cron",
    ),
    Conversation(
        "dependency-watch",
        "Name new releases of what we pin.",
        "",
        (shell_step("pip list --outdated", "httpx 0.28.0 0.28.1"),),
        "httpx 0.28.1 is out; nothing else moved.",
        source="cron",
    ),
)


def _triage(issue: str, answer: str) -> Conversation:
    """A script's question: its name stands before the prompt, and no tool is at hand."""
    ask = (
        f"[triage_issues] A new issue came in:\n\n{issue}\n\n"
        "Answer with one line: bug, feature or question; then how urgent it is and why."
    )
    return Conversation("", ask, "", (), answer, source="tool")


TRIAGE = (
    _triage("Backup job ends with 'no space left' since Monday", "bug, urgent: there is no backup until it is mended."),
    _triage("Could the dashboard show the week as well?", "feature, can wait: nothing is broken."),
    _triage("Where is the token for the runner kept?", "bug, urgent: tokens must be rotated at once."),
    _triage("Login page is blank in Firefox 145", "bug, high: people can't get in, another browser helps for now."),
)
"""What a script asked; the third answer is one to reject."""
