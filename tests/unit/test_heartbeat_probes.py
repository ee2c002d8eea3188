"""A probe tells what it saw, also when that is nothing, a lie or no end."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
from pathlib import Path

import pytest
from faulty_server import Answer, FaultyServer
from hermes_store_maker import make_empty_store
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.config import (
    CommandProbeConfig,
    Config,
    HeartbeatConfig,
    HttpProbeConfig,
    ProbesConfig,
    Settings,
    TcpProbeConfig,
)
from timmy_tui.services.heartbeat.commands import OUTPUT_LIMIT_BYTES, run_command
from timmy_tui.services.heartbeat.deadlines import ask_blocking
from timmy_tui.services.heartbeat.perceive import perceive
from timmy_tui.services.heartbeat.probes import (
    COMMAND_TEXT,
    Facts,
    meminfo_used_pct,
    probe_command,
    probe_disks,
    probe_http,
    probe_load,
    probe_memory,
    probe_tcp,
    told,
    vm_stat_used_pct,
)
from timmy_tui.services.heartbeat.stack_probes import probe_hermes, probe_ollama, probe_queue
from timmy_tui.text import Json

NOW = 1_795_144_500.0
ENV = {"PATH": os.defpath}

NO_PROBES = ProbesConfig()

MODEL = {"name": "hermes4:14b", "model": "hermes4:14b", "digest": "d1", "size": 9, "details": {}}
OLLAMA = {
    "/api/ps": json.dumps({"models": [MODEL | {"size_vram": 9, "expires_at": "2318-01-01T00:00:00Z"}]}),
    "/api/tags": json.dumps({"models": [MODEL, MODEL | {"name": "nomic:1", "digest": "d2"}]}),
    "/api/version": '{"version": "0.30.1"}',
    "/api/generate": '{"response": "ok", "done": true}',
}

VM_STAT = """Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                               100000.
Pages active:                             200000.
Pages inactive:                           180000.
Pages speculative:                         20000.
Pages wired down:                         150000.
"Translation faults":                    9999999.
Pages occupied by compressor:              50000.
"""


def settings(home: Path, probes: ProbesConfig = NO_PROBES, ollama_host: str = "") -> Settings:
    return Settings(
        config=Config(heartbeat=HeartbeatConfig(probes=probes)),
        timmy_home=home,
        hermes_home=home / ".hermes",
        config_path=home / "tui.yaml",
        ollama_host=ollama_host,
    )


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(("status", "alive"), [(200, True), (302, True), (401, True), (404, True), (500, False)])
async def test_a_server_that_answers_below_500_lives(status: int, alive: bool) -> None:
    with FaultyServer({"/health": Answer(b"{}", status)}) as server:
        facts = await probe_http(HttpProbeConfig("gitea", f"{server.url}/health"), ENV)
    assert facts == ({"gitea_alive": True} if alive else {"gitea_alive": False, "gitea_error": f"HTTP {status}"})


async def test_a_dead_server_is_dead_with_a_reason() -> None:
    with FaultyServer() as server:
        server.trouble = "refuse"
        facts = await probe_http(HttpProbeConfig("gitea", server.url), ENV)
        assert facts == {"gitea_alive": False, "gitea_error": "connection refused"}
        server.trouble = "hang"
        facts = await probe_http(HttpProbeConfig("gitea", server.url, timeout_s=0.05), ENV)
        assert facts == {"gitea_alive": False, "gitea_error": "no answer within 0.05 s"}
        server.trouble = "drop"
        assert (await probe_http(HttpProbeConfig("gitea", server.url), ENV))["gitea_alive"] is False


async def test_an_endless_body_is_not_read() -> None:
    with FaultyServer({"/": "x"}) as server:
        server.trouble = "flood"
        assert await probe_http(HttpProbeConfig("gitea", f"{server.url}/"), ENV) == {"gitea_alive": True}
        assert server.sent_bytes < 50_000_000


@pytest.mark.parametrize(
    "url", ["", "gitea", "ftp://x", "http://[::1", "http://\x00", "http://user:hunter22@127.0.0.1:1/?token=hunter22"]
)
async def test_a_senseless_address_is_a_value_and_never_repeated(url: str) -> None:
    facts = await probe_http(HttpProbeConfig("gitea", url), ENV)
    assert facts["gitea_alive"] is False
    assert "hunter22" not in str(facts)


async def test_a_variable_of_the_url_comes_from_the_environment() -> None:
    with FaultyServer({"/x": "{}"}) as server:
        probe = HttpProbeConfig("gitea", "${GITEA_URL}/x")
        assert await probe_http(probe, {"GITEA_URL": server.url}) == {"gitea_alive": True}
        assert "not set" in str((await probe_http(probe, {}))["gitea_error"])


async def test_a_port_that_accepts_is_alive() -> None:
    with FaultyServer() as server:
        assert await probe_tcp(TcpProbeConfig("db", "127.0.0.1", server.port)) == {"db_alive": True}
    dead = await probe_tcp(TcpProbeConfig("db", "127.0.0.1", unused_port()))
    assert dead == {"db_alive": False, "db_error": "connection refused"}
    for host in ("no host", "", "host\x00name", "x" * 300, "ä" * 70):
        assert (await probe_tcp(TcpProbeConfig("db", host, 1)))["db_alive"] is False


async def test_a_commands_json_is_a_tree_and_its_text_a_text() -> None:
    tree = CommandProbeConfig("backup", ("echo", '{"ok": true, "age_h": 3, "note": "a\\u001b[2J"}'))
    assert await probe_command(tree, ENV) == {"backup": {"ok": True, "age_h": 3, "note": "a^[[2J"}}
    text = CommandProbeConfig("uptime", ("printf", "up 3 days\\n\\033[31mred"))
    assert await probe_command(text, ENV) == {"uptime": "up 3 days\n^[[31mred"}


@pytest.mark.parametrize(
    ("run", "error"),
    [
        (("sh", "-c", "echo no lock; exit 4"), "exit code 4: no lock"),
        (("sh", "-c", "kill -9 $$"), "ended by signal 9"),
        (("no-such-command",), "no-such-command: No such file or directory"),
        (("nul\0byte",), "nul^@byte: embedded null byte"),
        ((), "there is no command to run"),
        (("sleep", "600"), "no end within 0.1 s, so it was ended"),
    ],
)
async def test_a_failing_command_is_a_value(run: tuple[str, ...], error: str) -> None:
    assert await probe_command(CommandProbeConfig("it", run, timeout_s=0.1), ENV) == {"it": {"error": error}}


async def test_at_the_deadline_the_whole_process_group_ends(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    reader = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    script = 'trap "" TERM; sh -c "trap \\"\\" TERM; sleep 600" > "$0" & wait'
    result = await run_command(("sh", "-c", script, str(alive)), timeout_s=0.2, env=ENV)
    assert result.exit_code is None
    os.set_blocking(reader, True)
    assert await asyncio.to_thread(os.read, reader, 1) == b""  # nobody holds the other end any more
    os.close(reader)


async def test_a_child_left_behind_holds_up_nothing(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    result = await run_command(("sh", "-c", '(read x < "$0") & echo started', str(gate)), timeout_s=30, env=ENV)
    assert (result.exit_code, result.output) == (0, "started\n")
    await asyncio.to_thread(gate.write_text, "go\n")


async def test_a_flood_of_output_is_bounded() -> None:
    result = await run_command((sys.executable, "-c", "print('x' * 5_000_000)"), timeout_s=30, env=ENV)
    assert result.exit_code == 0
    assert len(result.output) == OUTPUT_LIMIT_BYTES


async def test_a_cancelled_command_is_ended_with_its_children(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    script = 'exec 3> "$0"; echo started >&3; sleep 600 & wait'
    task = asyncio.create_task(run_command(("sh", "-c", script, str(alive)), timeout_s=60, env=ENV))
    reader = await asyncio.to_thread(os.open, alive, os.O_RDONLY)
    assert await asyncio.to_thread(os.read, reader, 20) == b"started\n"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(os.read, reader, 1) == b""  # nobody holds the other end any more
    os.close(reader)


def test_a_command_can_be_run_from_the_event_loop_of_any_thread() -> None:
    found: list[str] = []

    def worker() -> None:
        found.append(asyncio.run(run_command(("echo", "here"), timeout_s=30, env=ENV)).output)

    thread = threading.Thread(target=worker)
    thread.start()
    thread.join()
    assert found == ["here\n"]


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ('{"token": "abcdef123456", "n": 1}', {"token": "***", "n": 1}),
        ('{"password": 12345678}', {"password": "***"}),
        ('{"deep": [{"api_key": "k123456"}]}', {"deep": [{"api_key": "***"}]}),
        ('{"url": "https://bob:hunter22@git/x"}', {"url": "https://bob:***@git/x"}),
        ('{"tokens": 12345678}', {"tokens": 12345678}),
        ("Authorization: Bearer abcdefgh", "Authorization: Bearer ***"),
        ("[1, 2]", [1, 2]),
        ("", ""),
    ],
)
def test_no_secret_of_a_command_gets_into_a_prompt(output: str, value: Json) -> None:
    assert told(output) == value


@given(st.text(max_size=300) | st.recursive(st.none() | st.text(), st.lists, max_leaves=40).map(json.dumps))
def test_any_output_is_a_bounded_value(output: str) -> None:
    assert len(json.dumps(told(output), ensure_ascii=False)) <= 4 * COMMAND_TEXT


def test_a_huge_document_is_cut() -> None:
    assert len(str(told(json.dumps(["x" * 3_000] * 100)))) <= COMMAND_TEXT + 1
    assert len(str(told("[" * 100_000))) <= COMMAND_TEXT + 40


async def test_the_first_disk_has_the_short_name(tmp_path: Path) -> None:
    facts = await probe_disks(("~",), {"HOME": str(tmp_path)})
    assert list(facts) == ["disk_used_pct"]
    assert isinstance(facts["disk_used_pct"], int)
    several = await probe_disks(("~", "/nowhere/at/all"), {"HOME": str(tmp_path)})
    assert several["disks"] == {"~": facts["disk_used_pct"], "/nowhere/at/all": None}
    assert several["disk_error"] == "/nowhere/at/all: no such file or directory"
    assert await probe_disks((), ENV) == {}


async def test_load_and_memory_are_told_where_the_system_tells_them(tmp_path: Path) -> None:
    load = await probe_load()
    assert load["cpus"] == os.cpu_count()
    assert await probe_memory(ENV, meminfo=tmp_path / "none") == {}
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable: 250 kB\n")
    assert await probe_memory(ENV, meminfo=tmp_path / "meminfo") == {"memory_used_pct": 75}


@given(st.text())
def test_any_text_is_no_reason_to_fail(text: str) -> None:
    for share in (meminfo_used_pct(text), vm_stat_used_pct(text)):
        assert share is None or 0 <= share <= 100


def test_vm_stat_counts_what_cannot_be_given_away() -> None:
    assert vm_stat_used_pct(VM_STAT) == 57
    assert vm_stat_used_pct("") is None
    assert meminfo_used_pct("MemTotal: 0 kB\nMemAvailable: 0 kB") is None


async def test_ollama_says_what_it_holds(tmp_path: Path) -> None:
    with FaultyServer(OLLAMA) as server:
        facts = await probe_ollama(settings(tmp_path, ollama_host=server.url), ENV)
        assert server.count("/api/generate") == 0
    assert facts == {
        "model_health": {
            "ollama_running": True,
            "version": "0.30.1",
            "models_installed": ["hermes4:14b", "nomic:1"],
            "models_loaded": ["hermes4:14b"],
        }
    }


async def test_one_token_is_asked_for_only_when_it_is_wanted(tmp_path: Path) -> None:
    with FaultyServer(OLLAMA) as server:
        wanting = settings(tmp_path, ProbesConfig(inference=True), server.url)

        async def inference() -> Json:
            health = (await probe_ollama(wanting, ENV))["model_health"]
            assert isinstance(health, dict)
            return health["inference_ok"]

        assert await inference() is True
        (asked,) = [json.loads(request.body) for request in server.requests if request.path == "/api/generate"]
        assert asked["model"] == "hermes4:14b"
        assert set(asked["options"]) == {"num_predict"}
        server.bodies["/api/generate"] = Answer('{"error": "runner died"}', 500)
        assert await inference() is False
        server.bodies["/api/ps"] = '{"models": []}'
        assert await inference() is None


async def test_an_ollama_that_is_away_is_told(tmp_path: Path) -> None:
    facts = await probe_ollama(settings(tmp_path, ollama_host=f"127.0.0.1:{unused_port()}"), ENV)
    health = facts["model_health"]
    assert isinstance(health, dict)
    assert health["ollama_running"] is False
    assert "refused" in str(health["error"])
    senseless = await probe_ollama(settings(tmp_path, ollama_host="a b c"), ENV)
    assert '"ollama_running": false' in json.dumps(senseless)


def hermes_facts(facts: Facts) -> dict[str, Json]:
    hermes = facts["hermes"]
    assert isinstance(hermes, dict)
    return hermes


async def test_without_hermes_there_is_little_to_say(tmp_path: Path) -> None:
    assert await probe_hermes(settings(tmp_path), ENV, lambda: NOW, None) == {"hermes": {"found": False}}


async def test_hermes_sessions_are_counted_since_the_last_tick(tmp_path: Path) -> None:
    store = make_empty_store(tmp_path / ".hermes" / "state.db")
    store.session("good", started_at=NOW - 100)
    store.message("good", "user", timestamp=NOW - 100)
    store.message("good", "assistant", timestamp=NOW - 90, finish_reason="stop")
    store.session("runs", started_at=NOW - 200)
    store.message("runs", "user", timestamp=NOW - 20)
    store.session("failed", started_at=NOW - 700)
    store.message("failed", "user", timestamp=NOW - 690)  # it counts as failed 300 s later, after the last tick
    store.session("failed long ago", started_at=NOW - 1_100)
    store.message("failed long ago", "user", timestamp=NOW - 1_050)
    store.close()
    facts = hermes_facts(await probe_hermes(settings(tmp_path), ENV, lambda: NOW, NOW - 600))
    assert (facts["sessions_since"], facts["failed_since"], facts["sessions_running"]) == (2, 1, 1)


async def test_a_damaged_store_and_a_missing_profile_are_told(tmp_path: Path) -> None:
    (tmp_path / ".hermes").mkdir()
    (tmp_path / ".hermes" / "state.db").write_bytes(b"no database" * 1_000)
    facts = hermes_facts(await probe_hermes(settings(tmp_path), ENV, lambda: NOW, None))
    assert "not a SQLite database" in str(facts["error"])
    (tmp_path / ".hermes" / "active_profile").write_text("work")
    facts = hermes_facts(await probe_hermes(settings(tmp_path), ENV, lambda: NOW, None))
    assert "work" in str(facts["error"])


async def test_the_gateway_lives_by_its_process_and_cron_by_its_ticker(tmp_path: Path) -> None:
    home = tmp_path / ".hermes"
    (home / "cron").mkdir(parents=True)
    (home / "gateway.pid").write_text(json.dumps({"pid": os.getpid(), "kind": "hermes-gateway"}))
    (home / "cron" / "ticker_heartbeat").write_text(f"{NOW - 20.4}")
    (home / "cron" / "ticker_last_success").write_text(f"{NOW - 400}")
    facts = hermes_facts(await probe_hermes(settings(tmp_path), ENV, lambda: NOW, None))
    assert facts["gateway_alive"] is True
    assert (facts["cron_ticker_age_s"], facts["cron_success_age_s"], facts["cron_stale"]) == (20, 400, True)
    (home / "gateway.pid").write_text(json.dumps({"pid": os.getpid(), "start_time": 1}))  # another one's pid by now
    facts = hermes_facts(await probe_hermes(settings(tmp_path), ENV, lambda: NOW, None))
    if sys.platform == "linux":
        assert (facts["gateway_alive"], facts["gateway_stale"]) == (False, True)
    (home / "gateway.pid").unlink()
    (home / "gateway_state.json").write_text('{"gateway_state": "running"}')
    facts = hermes_facts(await probe_hermes(settings(tmp_path), ENV, lambda: NOW, None))
    assert facts["gateway_alive"] is False
    assert "gateway_stale" not in facts
    assert "cron_stale" not in facts


@pytest.mark.parametrize("content", ["", "{}", "[]", "nonsense", '{"pid": -1}', '{"pid": 1e99}', '{"pid": true}'])
async def test_a_senseless_pid_file_is_a_dead_gateway(tmp_path: Path, content: str) -> None:
    (tmp_path / ".hermes").mkdir()
    (tmp_path / ".hermes" / "gateway.pid").write_text(content)
    facts = hermes_facts(await probe_hermes(settings(tmp_path), ENV, lambda: NOW, None))
    assert facts["gateway_alive"] is False


async def test_the_queue_says_how_much_waits(tmp_path: Path) -> None:
    from huey import SqliteHuey

    assert await probe_queue(settings(tmp_path), ENV) == {"queue": {"pending": 0}}
    huey = SqliteHuey("timmy", filename=str(tmp_path / "queue.db"))
    huey.storage.enqueue(b"task")
    huey.storage.close()
    assert await probe_queue(settings(tmp_path), ENV) == {"queue": {"pending": 1}}
    (tmp_path / "queue.db").write_bytes(b"no database" * 1_000)
    (facts,) = (await probe_queue(settings(tmp_path), ENV)).values()
    assert isinstance(facts, dict)
    assert facts["pending"] is None
    assert "queue.db" in str(facts["error"])


async def test_a_question_that_hangs_is_given_up() -> None:
    release = threading.Event()
    with pytest.raises(TimeoutError):
        await ask_blocking(release.wait, 0.05)
    release.set()
    with pytest.raises(KeyError):
        await ask_blocking(lambda: {}["x"], 5)


async def test_a_whole_perception_has_its_keys_in_order(tmp_path: Path) -> None:
    with FaultyServer({**OLLAMA, "/gitea": "{}"}) as server:
        probes = ProbesConfig(
            http=(HttpProbeConfig("gitea", f"{server.url}/gitea"),),
            tcp=(TcpProbeConfig("db", "127.0.0.1", unused_port()),),
            commands=(
                CommandProbeConfig("backup", ("echo", "3")),
                CommandProbeConfig("hermes", ("echo", "not the real one")),
            ),
        )
        seen = await perceive(settings(tmp_path, probes, server.url), ENV | {"HOME": str(tmp_path)}, lambda: NOW, None)
    assert isinstance(seen, dict)
    keys = [key for key in seen if key not in ("load", "cpus", "memory_used_pct")]
    assert keys[:3] == ["gitea_alive", "db_alive", "db_error"]
    assert keys[3:] == ["model_health", "hermes", "queue", "disk_used_pct", "backup", "command_hermes"]
    assert (seen["gitea_alive"], seen["backup"]) == (True, 3)
    assert seen["hermes"] == {"found": False}


async def test_on_a_bare_machine_there_is_a_perception_too(tmp_path: Path) -> None:
    seen = await perceive(settings(tmp_path, ollama_host=f"127.0.0.1:{unused_port()}"), {}, lambda: NOW, None)
    assert isinstance(seen, dict)
    assert "gitea_alive" not in seen
    assert '"ollama_running": false' in json.dumps(seen["model_health"])


async def test_probes_without_end_cost_the_others_nothing(tmp_path: Path) -> None:
    with FaultyServer(OLLAMA) as server:
        server.trouble = "hang"
        probes = ProbesConfig(
            http=(HttpProbeConfig("gitea", server.url, timeout_s=600),),
            commands=(CommandProbeConfig("stuck", ("sleep", "600"), timeout_s=600),),
        )
        seen = await perceive(settings(tmp_path, probes, server.url), ENV, lambda: NOW, timeout_s=0.3)
    assert isinstance(seen, dict)
    assert seen["gitea_alive"] is False
    assert seen["stuck"] == {"error": "no end within 0.3 s"}
    assert seen["model_health"] == {"ollama_running": False, "error": "no end within 0.3 s"}
    assert seen["queue"] == {"pending": 0}
