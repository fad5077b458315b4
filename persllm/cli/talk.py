"""Verbs to talk to a trained person."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from persllm.cli.options import RunArgument
from persllm.errors import ConfigError, PersllmError

HELP = """\
/stage NAME     go to another stage, with a fresh talk
/retry          another answer to the last question
/why            where the last answer could come from: the nearest trained passages, and the analysis
/thought        show the analysis before each answer, or no longer
/history        the talk so far
/memory         what is remembered of earlier talks; /memory forget N, /memory forget all
/save FILE      write the talk, as .md or .jsonl
/quit           leave (also Ctrl-D); Ctrl-C ends an answer that is being written"""


def chat(
    run: RunArgument,
    persona: Annotated[str, typer.Option(help="Which person; needed if the run has several.")] = "",
    stage: Annotated[str, typer.Option(help="Which stage; the last one if not given.")] = "",
    taker: Annotated[str, typer.Option(help="base, prompted, sft, dpo, or a version such as v1; the one in use if not given.")] = "",
    prompted: Annotated[bool, typer.Option("--prompted", help="The untrained base, told by words who it is: --taker prompted.")] = False,
    retrieval: Annotated[bool, typer.Option("--retrieval", help="Put materials that the question calls for before it.")] = False,
    memory: Annotated[bool, typer.Option("--memory", help="Remember this talk, and recall earlier ones.")] = False,
    user: Annotated[str, typer.Option(help="Who talks, for --memory: each user's talks are remembered apart.")] = "me",
    thought: Annotated[bool, typer.Option("--show-thought", "--analysis", help="Think before the answer, and show it.")] = False,
    address: Annotated[str, typer.Option(help="Talk to the model at this OpenAI-compatible address instead of the run's own.")] = "",
    model: Annotated[str, typer.Option(help="The model's name at --address.")] = "",
) -> None:
    """Talk to a trained person. Answers are made by a model, not by a human being."""
    from persllm.agent import Company
    from persllm.constructor_settings import ApiSettings

    if address and not model:
        raise ConfigError("--address needs --model, the name that the server knows the model by.")
    company = Company(run, ApiSettings(url=address, model=model) if address else None)
    agent = company.agent(persona, stage, "prompted" if prompted else taker, retrieval, user if memory else "")
    Terminal(company, agent, thought).talk()


class Terminal:
    """A talk at the keyboard, or through a pipe: then no prompt is shown, and every line is answered in turn."""

    def __init__(self, company, agent, thought: bool):
        self.company, self.agent, self.thought = company, agent, thought
        self.interactive = sys.stdin.isatty()
        self.evidence: dict = {}

    def talk(self) -> None:
        """Until the end of the input, or /quit."""
        if self.interactive:
            import readline  # noqa: F401  (gives input() arrow keys and a history)
        stages = "|".join(self.agent.stages)
        print(f"You talk to a language model trained as {self.agent.title}. /stage {stages}, /retry, /why, /help, /quit.")
        for line in self.lines():
            command, _, rest = line.partition(" ")
            if command in ("/quit", "/exit"):
                return
            try:
                self.obey(command, rest.strip()) if line.startswith("/") else self.show(self.agent.stream(line, self.thought))
            except PersllmError as error:
                print(error)

    def lines(self) -> Iterator[str]:
        """What is typed, without empty lines."""
        while True:
            try:
                line = input("> " if self.interactive else "").strip()
            except EOFError:
                return
            if line:
                yield line

    def obey(self, command: str, rest: str) -> None:
        """One command."""
        commands = {
            "/stage": self.go_to, "/retry": self.retry, "/again": self.retry, "/why": self.why, "/thought": self.switch_thought,
            "/history": self.history, "/memory": self.memory, "/save": self.save, "/help": lambda rest: print(HELP),
        }  # fmt: skip
        if command not in commands:
            raise ConfigError(f"{command}: no such command. /help shows all.")
        commands[command](rest)

    def show(self, parts) -> None:
        """An answer as it is written; Ctrl-C ends it, and what was written of it is not remembered."""
        from persllm.records import Reply

        begun = in_thought = False
        try:
            for part in parts:
                if isinstance(part, Reply):
                    missing = "" if part.text else f"[no answer: {part.error or 'nothing but an end of turn'}]"
                    print("\n" * (begun and bool(missing)) + missing, flush=True)
                    return
                if part.thought and self.thought:
                    print(part.thought if in_thought else f"[analysis] {part.thought}", end="", flush=True)
                    begun = in_thought = True
                if part.text:
                    print(("\n" if in_thought else "") + part.text, end="", flush=True)
                    begun, in_thought = True, False
        except KeyboardInterrupt:
            if not self.interactive:
                raise
            print(" [ended]")

    def go_to(self, stage: str) -> None:
        """Another stage."""
        self.agent = self.agent.at(stage)
        print(f"[{self.agent.title}]")

    def retry(self, _: str) -> None:
        """Another answer."""
        self.show(self.agent.stream_again(self.thought))

    def why(self, _: str) -> None:
        """What the last answer could rest on."""
        from persllm.evidence import Evidence

        last = next((message for message in reversed(self.agent.talk) if message.role == "assistant"), None)
        if last is None:
            raise ConfigError("nothing was answered yet; ask something first.")
        persona = self.agent.persona.id
        if persona not in self.evidence:
            self.evidence[persona] = Evidence.of_run(self.company.run, persona)
        print(f"[analysis] {last.thought or self.analysis() or 'none was written'}")
        passages = self.evidence[persona].nearest(last.content)
        for passage in passages:
            print(f"{passage.likeness:.2f}  {passage.source}  ({passage.stage})\n      {passage.answer}")
        if not passages:
            print("no trained passage has anything in common with it.")

    def analysis(self) -> str:
        """The analysis that the model writes now for the last question; the answer after it may be another one."""
        asked = self.agent.talk[:-1] if self.agent.talk[-1].role == "assistant" else self.agent.talk
        [(_, reply)] = list(self.agent.model.replies([self.agent.request(asked, analysis=True)]))
        return f"{reply.thought} (written now, with the answer: {reply.text})" if reply.thought else ""

    def switch_thought(self, _: str) -> None:
        """The analysis on or off."""
        self.thought = not self.thought
        print(f"[analysis {'shown' if self.thought else 'hidden'}]")

    def history(self, _: str) -> None:
        """The talk so far."""
        for message in self.agent.talk:
            print(f"{self.agent.persona.name if message.role == 'assistant' else 'you'}: {message.content}")

    def memory(self, rest: str) -> None:
        """List what is remembered, or forget some of it."""
        memory, words = self.agent.memory, rest.split()
        if memory is None:
            raise ConfigError("nothing is remembered; start the chat with --memory.")
        if words[:1] == ["forget"] and len(words) == 2 and (words[1] == "all" or words[1].isdecimal()):
            print(f"[{memory.forget(() if words[1] == 'all' else (int(words[1]),))} forgotten]")
        elif words:
            raise ConfigError("/memory, /memory forget N or /memory forget all.")
        else:
            kept = memory.listed()
            print("\n".join(f"{one.id}  {one.said_at}  {one.question}  ->  {one.answer}" for one in kept) or "[nothing yet]")

    def save(self, name: str) -> None:
        """Write the talk to a file."""
        from persllm.talks import save_talk

        if not name:
            raise ConfigError("/save needs a file name that ends in .md or .jsonl.")
        persona = self.agent.persona
        save_talk(Path(name), self.agent.talk, self.agent.title, persona.name, persona.language, self.thought)
        print(f"[saved: {name}]")
