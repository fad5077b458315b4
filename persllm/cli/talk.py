"""Verbs to talk to a trained person."""

from typing import Annotated

import typer

from persllm.cli.options import RunArgument
from persllm.errors import PersllmError


def chat(
    run: RunArgument,
    persona: Annotated[str, typer.Option(help="Which person; needed if the run has several.")] = "",
    stage: Annotated[str, typer.Option(help="Which stage; the last one if not given.")] = "",
    analysis: Annotated[bool, typer.Option(help="Let the person think before the answer, and show it.")] = False,
    taker: Annotated[str, typer.Option(help="sft or dpo.")] = "",
) -> None:
    """Talk to a trained person. Answers are made by a model, not by a human being."""
    from persllm.agent import open_agent

    agent = open_agent(run, persona, stage, taker)
    print(f"You talk to a language model trained as {agent.title}. /stage {'|'.join(agent.stages)}, /again, /quit.")
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            return
        if line in ("/quit", "/exit"):
            return
        if line.startswith("/stage"):
            try:
                agent = agent.at(line.removeprefix("/stage").strip())
                print(f"[{agent.title}]")
            except PersllmError as error:
                print(error)
            continue
        if not line:
            continue
        reply = agent.again(analysis) if line == "/again" else agent.say(line, analysis)
        if reply.thought and analysis:
            print(f"[analysis] {reply.thought}")
        print(reply.text or f"[no answer: {reply.error or 'nothing but an end of turn'}]")
