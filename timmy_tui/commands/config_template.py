"""The file that ``timmy-tui config init`` writes: every key with its default, commented out."""

from __future__ import annotations

TEMPLATE = """\
# timmy-tui. Every key is here with its default; take the # away to change one.
# Order of precedence: flags, environment, this file, defaults. No secrets: write ${NAME} to read one from
# the environment at the moment of use. What is in force:  timmy-tui config show

# --- The stack ------------------------------------------------------------------------------------------

# Ollama servers. An empty url means http://127.0.0.1:11434. OLLAMA_HOST in the environment stands above the
# url of the only server; with several it fills in those without one.
#ollama:
#  - name: local
#    url: ""
#    headers: {}            # e.g. {Authorization: "Bearer ${OLLAMA_KEY}"}
#    vram_total_gb: null    # the GPU memory of a server on another machine, in decimal gigabytes

# Hermes Agent. Empty means ~/.hermes (HERMES_HOME stands above it) and the profile that is active there.
#hermes:
#  home: ""
#  profile: ""
#  command: hermes
#  hours: 24                # the window of the sessions pane

#heartbeat:
#  enabled: true
#  every_minutes: 10
#  timeout_s: 130           # the whole tick; what the tick key waits for
#  model: ""                # empty: each provider's own default
#  local_only: true         # a call never leaves loopback or the private network
#  task: ""                 # somebody else's task that the tick key runs, e.g. tasks.heartbeat_tick
#  probes:
#    http: []               # - {name: gitea, url: "http://127.0.0.1:3000/", timeout_s: 5}   gives gitea_alive
#    tcp: []                # - {name: postgres, host: 127.0.0.1, port: 5432, timeout_s: 3}  gives postgres_alive
#    commands: []           # - {name: raid, run: [mdadm, --detail, --test, /dev/md0], timeout_s: 10}
#    disks: ["~"]
#    inference: false       # ask the model for one token at each tick: inference_ok
#  notify:
#    bell: false            # ring the terminal for an alert
#    run: []                # an argument vector; it gets the alert on its standard input

# What a decision may name; it waits for your word (p) unless approve is never. No shell, no word of a model.
#actions: {}
##  restart_ollama: {run: [systemctl, --user, restart, ollama], approve: always, timeout_s: 30}

#session_export:
#  enabled: true
#  every_hours: 4           # user and assistant pairs of all Hermes sessions

#review:
#  operator: ""             # whose word a label is; empty: the login name; --operator stands above it
#  sources: []              # Hermes session sources to review besides those that begin with [a_caller]
#  second_look: 0.1         # the share of what was labelled that is asked again, blind
#  alternative_model: ""    # who is asked for another answer; empty: the same model, another seed

# What local calls save: held against a cloud's prices per million tokens. "*" is the price for every other model;
# without a price a call is "unpriced". With the power that the machine draws more while a model answers, and a
# price of it, local calls have a cost as well.
#usage:
#  prices:
#    date: null             # of the list, e.g. 2026-11-01: savings are told with it
#    models: {}             # e.g. {"*": {input: 3.0, output: 15.0}, "llama3.2:3b": {input: 0.1, output: 0.4}}
#  power_watts: null
#  price_per_kwh: null
#  currency: "$"

#delegation:
#  tasks: {}                # {coding: [qwen2.5-coder:7b, llama3.2:3b]}; chains beside and above the built-in ones
#  prefer_loaded: false     # a model of the chain that is in memory comes first
#  timeout_s: 120           # one call, its whole chain included
#  heavy: {url: "", model: ""}   # an OpenAI-compatible server that is asked first for heavy tasks

# Huey's queue: sqlite (TIMMY_HOME/queue.db), sqlite:///absolute/path, or redis://host:port/db.
#queue:
#  url: sqlite
#  name: timmy

#worker:
#  autostart: true          # the console starts a worker of its own when none is alive
#  stop_timeout_s: 20       # how long a running tick may go on when the worker is told to end

# --- Providers: here, or in TIMMY_HOME/providers.yaml ---------------------------------------------------

#cascade:
#  timeout_seconds: 30
#  max_retries_per_provider: 2
#  retry_delay_seconds: 1
#  circuit_breaker:
#    failure_threshold: 5
#    recovery_timeout: 60
#    half_open_max_calls: 2

# type: hermes, ollama, openai (any compatible server) or anthropic; the lowest priority is tried first.
#providers: null
##  - name: llama.cpp
##    type: openai
##    enabled: true
##    priority: 3
##    base_url: http://127.0.0.1:8080/v1     # or url
##    api_key: ${LLAMA_KEY}
##    models:
##      - {name: qwen2.5-coder, default: true, context_window: 65536, capabilities: [text]}

# --- How often, and how patiently -----------------------------------------------------------------------

#intervals:                 # seconds between two polls; a source is never asked while an answer is awaited
#  ollama_s: 5
#  ollama_tags_s: 15
#  hermes_s: 2
#  ticks_s: 2
#  providers_s: 30
#  worker_s: 5
#  gpu_s: 10

#timeouts:                  # seconds after which a source counts as not answering
#  ollama_s: 10
#  providers_s: 5

# --- The console ----------------------------------------------------------------------------------------

#theme: timmy-dark
#ascii: false               # plain ASCII signs
#mouse: true
#keys: {}                   # by the ids of the help screen, e.g. {tick: "T,f5"}
"""
