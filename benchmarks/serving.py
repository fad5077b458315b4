"""Load test of `persllm serve` on the loopback, against one request after the other in the same run.

    python benchmarks/serving.py runs/demo --clients 64 --requests 2000

All sides answer the same questions of the run's test set, at the same length and temperature. The baselines are
`LocalModel` with one request at a time, and transformers' own `generate`. Every reply is counted; one that is
lost or wrong ends the test with exit code 1.
"""

import argparse
import asyncio
import json
import re
import signal
import statistics
import subprocess
import sys
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from persllm.agent import Company
from persllm.records import Message, Request, Sampling, TestItem


def main() -> None:
    """Measure, print a table, and with --json a line for machines."""
    settings = arguments()
    company = Company(settings.run)
    asked = questions(company, settings.tokens)
    model = opened(company, settings.threads)
    alone = one_at_a_time(model, asked[: settings.alone])
    library = with_transformers(model, asked[: settings.alone])
    served = load(settings, asked)
    served["speedup"] = round(served["tokens_per_second"] / max(alone, library), 2)
    rows = [
        ("one at a time, transformers generate", f"{library:8.0f} tokens/s"),
        ("one at a time, LocalModel", f"{alone:8.0f} tokens/s"),
        (f"served, {settings.clients} clients", f"{served['tokens_per_second']:8.0f} tokens/s, {served['requests_per_second']} requests/s"),
        ("against the faster of the two", f"{served['speedup']:8.1f} times"),
        ("latency", f"p50 {served['p50']} s, p95 {served['p95']} s"),
        ("requests", f"{served['answered']} answered, {served['lost']} lost of {settings.requests}"),
    ]
    print("\n".join(f"{name:38}{value}" for name, value in rows))
    if settings.json:
        print(json.dumps({"local": round(alone), "transformers": round(library), **served}))
    if served["lost"]:
        raise SystemExit(1)


def arguments() -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--alone", type=int, default=60, help="requests of each baseline")
    parser.add_argument("--tokens", type=int, default=48, help="longest answer")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--threads", type=int, default=0, help="of the worker and of the baselines; 0 as in the recipe")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def questions(company: Company, tokens: int) -> list[Request]:
    """The questions of the test set, each to its person at its stage."""
    items = company.run.step("4-dataset").records(TestItem, "test.jsonl")
    sampling = Sampling(temperature=0.3, max_tokens=tokens)
    return [
        Request(messages=item.messages[-1:], persona=item.persona, stage=item.stage, sampling=sampling) for item in items if item.persona
    ]


def opened(company: Company, threads: int) -> Any:
    """The run's model in memory, with as many threads as the server's."""
    import torch

    model = company.agent(next(iter(company.personas))).model
    torch.set_num_threads(threads or company.recipe.threads)
    return model


def one_at_a_time(model: Any, asked: list[Request]) -> float:
    """Tokens per second of a model in memory that gets one request after the other."""
    list(model.replies(asked[:2]))
    started = time.perf_counter()
    tokens = sum(reply.usage.completion_tokens for request in asked for _, reply in model.replies([request]))
    return tokens / (time.perf_counter() - started)


def with_transformers(model: Any, asked: list[Request]) -> float:
    """The same with transformers' `generate`."""
    import torch

    from persllm.rendering import prompts_to_ids

    prompts = prompts_to_ids(model.tokenizer, asked)
    how = {"do_sample": True, "temperature": 0.3, "top_p": 1.0, "top_k": 0, "eos_token_id": sorted(model.stops)}
    started, tokens = time.perf_counter(), 0
    for prompt, request in zip(prompts, asked, strict=True):
        ids = torch.tensor([prompt])
        written = model.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=request.sampling.max_tokens, **how)
        tokens += written.shape[1] - len(prompt)
    return tokens / (time.perf_counter() - started)


def load(settings: argparse.Namespace, asked: list[Request]) -> dict[str, float]:
    """What the clients see."""
    threads = ["--threads", str(settings.threads)] if settings.threads else []
    command = [sys.executable, "-m", "persllm.cli", "serve", str(settings.run), "--port", "0", "--rows", str(settings.rows), *threads]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        url = re.search(r"http://\S+/v1", server.stdout.readline())[0]
        asyncio.run(clients(url, asked, settings.clients, settings.clients))
        started = time.perf_counter()
        found = asyncio.run(clients(url, asked, settings.requests, settings.clients))
        seconds = time.perf_counter() - started
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(20)
    latencies = sorted(latency for latency, _ in found)
    return {
        "answered": len(found), "lost": settings.requests - len(found), "seconds": round(seconds, 2),
        "tokens_per_second": round(sum(tokens for _, tokens in found) / seconds), "requests_per_second": round(len(found) / seconds, 1),
        "p50": round(statistics.median(latencies), 3), "p95": round(latencies[int(0.95 * len(latencies))], 3),
    }  # fmt: skip


async def clients(url: str, asked: list[Request], requests: int, count: int) -> list[tuple[float, int]]:
    """(latency in seconds, tokens) of every request that was answered, asked by so many clients at once."""
    import aiohttp

    waiting, found = iter(enumerate(islice(cycle(asked), requests))), []

    async def client(session: aiohttp.ClientSession) -> None:
        for place, request in waiting:
            body = {
                "model": f"{request.persona}@{request.stage}", "messages": [as_sent(message) for message in request.messages],
                "temperature": request.sampling.temperature, "max_tokens": request.sampling.max_tokens, "seed": place,
            }  # fmt: skip
            begun = time.perf_counter()
            async with session.post(f"{url}/chat/completions", json=body) as answer:
                said = await answer.json()
                if answer.status == 200 and said["choices"][0]["finish_reason"] in ("stop", "length"):
                    found.append((time.perf_counter() - begun, said["usage"]["completion_tokens"]))
                else:
                    print(answer.status, said, file=sys.stderr)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=count)) as session:
        await asyncio.gather(*(client(session) for _ in range(count)))
    return found


def as_sent(message: Message) -> dict[str, str]:
    """A message as it goes over the wire."""
    return {"role": message.role, "content": message.content}


if __name__ == "__main__":
    main()
