"""Verbs that let trained persons be asked over HTTP: an interface for programs, and a page."""

import sys
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from persllm.cli.options import RunArgument
from persllm.errors import ConfigError

HostOption = Annotated[str, typer.Option(help="Address to listen at. Anything but the loopback needs a key.")]
PortOption = Annotated[int, typer.Option(help="Port to listen at; 0 takes a free one.", min=0, max=65535)]


def serve(
    runs: Annotated[list[Path], typer.Argument(help="One or more run folders.")],
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    taker: Annotated[
        Optional[list[str]],
        typer.Option(help="base, prompted, sft, dpo, a version such as v1, or a tag; the one in use if not given. May be repeated."),
    ] = None,
    retrieval: Annotated[bool, typer.Option("--retrieval", help="Put materials that the question calls for before it.")] = False,
    rows: Annotated[int, typer.Option(help="Answers written at the same time.", min=1)] = 64,
    queue: Annotated[int, typer.Option(help="Requests that may wait beyond these; further ones get 429.", min=0)] = 256,
    threads: Annotated[int, typer.Option(help="CPU threads of the models; 0: as in the recipe.", min=0)] = 0,
    rate: Annotated[int, typer.Option(help="Requests per minute from one address; 0: no limit on the loopback, else 1200.", min=0)] = 0,
    longest: Annotated[int, typer.Option("--max-tokens", help="Longest answer in tokens.", min=1)] = 1024,
    seconds: Annotated[float, typer.Option(help="Longest time for an answer.", min=0.1)] = 300.0,
    upstream: Annotated[str, typer.Option(help="Let the OpenAI-compatible server at this address answer, such as vLLM.")] = "",
    upstream_model: Annotated[str, typer.Option(help="The name by which that server knows the model.")] = "",
    upstream_key: Annotated[str, typer.Option(help="Environment variable with the key for it.")] = "OPENAI_API_KEY",
    upstream_stage: Annotated[
        Literal["template", "words"], typer.Option(help="How it learns who answers: variables of the chat template, or words.")
    ] = "template",
) -> None:
    """Serve trained persons as an OpenAI-compatible API: model `person@stage` at /v1/chat/completions."""
    from persllm.agent import Company
    from persllm.constructor_settings import ApiSettings
    from persllm.listening import Limits, is_loopback, key_for, open_socket, run_server
    from persllm.serve.app import Front, serve_app
    from persllm.serve.names import Directory, Folder
    from persllm.serve.process import Worker
    from persllm.serve.upstream import Upstream

    if bool(upstream) != bool(upstream_model):
        raise ConfigError("--upstream URL and --upstream-model NAME belong together; give both, or none.")
    address = (
        ApiSettings(url=upstream, model=upstream_model, key_variable=upstream_key, concurrency=rows, timeout=seconds) if upstream else None
    )
    companies = [Company(run, address, Folder) for run in runs]
    directory = Directory(companies, ["prompted"] if address and upstream_stage == "words" else taker or [], retrieval)
    key, fresh = key_for(host)
    app_limits = Limits(per_minute=rate or (0 if is_loopback(host) else 1200), at_once=2 * (rows + queue))
    threads = threads or max(company.recipe.threads for company in companies)
    backend = Upstream(address, queue) if address else Worker(directory.sources(), threads, rows, queue)
    front = Front(directory, backend, longest, seconds)
    app = serve_app(front, key, app_limits)

    def ready(url: str) -> None:
        print(f"{url}/v1 answers as {', '.join(directory.names)}.", flush=True)
        print(f"key, shown this once: {key}" if fresh else f"key needed: {'yes' if key else 'no'}", flush=True)
        print("Answers are made by a model. Ctrl-C stops.", file=sys.stderr, flush=True)

    with open_socket(host, port) as listener:
        run_server(app, listener, ready, backend)


def web(
    run: RunArgument,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8020,
    address: Annotated[str, typer.Option(help="Let the model at this OpenAI-compatible address answer.")] = "",
    model: Annotated[str, typer.Option(help="The model's name at --address.")] = "",
) -> None:
    """A page with a time dial: one question to a person at every stage, to several persons, to trained and prompted models."""
    from persllm.agent import Company
    from persllm.constructor_settings import ApiSettings
    from persllm.listening import key_for, open_socket, run_server
    from persllm.web.app import web_app

    if bool(address) != bool(model):
        raise ConfigError("--address URL and --model NAME belong together; give both, or none.")
    company = Company(run, ApiSettings(url=address, model=model) if address else None)
    key, fresh = key_for(host)

    def ready(url: str) -> None:
        print(f"{url}/?token={key}" if fresh else url, flush=True)
        print("Answers are made by a model. Ctrl-C stops; corrections are kept in the run.", file=sys.stderr, flush=True)

    with open_socket(host, port) as listener:
        run_server(web_app(company, key), listener, ready)
