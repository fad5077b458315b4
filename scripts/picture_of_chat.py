"""A chat in a terminal as a picture for the documentation: what really came, nothing else.

python scripts/picture_of_chat.py runs/demo docs/pictures/chat.svg --persona tolk -- "Who was Hode to you?" /why
"""

import argparse
import io
import os
import pty
import re
import select
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text


def main() -> None:
    """Hold the talk and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--persona", default="")
    parser.add_argument("--stage", default="")
    parser.add_argument("lines", nargs="+")
    given = parser.parse_args()
    options = [f"--{name}={value}" for name in ("persona", "stage") if (value := getattr(given, name))]
    shown = held([sys.executable, "-m", "persllm.cli", "chat", given.run, *options], given.lines)
    given.picture.write_text(drawn(f"$ persllm chat {given.run} {' '.join(options)}\n{shown}"), encoding="utf-8")


def held(command: list[str], lines: list[str]) -> str:
    """What a terminal shows while each line is typed at its prompt."""
    child, screen = pty.fork()
    if child == 0:
        os.environ["COLUMNS"] = "96"
        os.execv(command[0], command)
    shown = until_prompt(screen)
    for line in lines:
        os.write(screen, f"{line}\r".encode())
        shown += until_prompt(screen)
    os.write(screen, b"/quit\r")
    os.waitpid(child, 0)
    return re.sub(r"\x1b\[\?2004[hl]\r?", "", shown.replace("\r\n", "\n")).removesuffix("> ")


def until_prompt(screen: int) -> str:
    """What comes until the next prompt."""
    shown = ""
    while not shown.replace("\x1b[?2004h", "").endswith("> ") and select.select([screen], [], [], 60)[0]:
        shown += os.read(screen, 4096).decode(errors="replace")
    return shown


def drawn(text: str) -> str:
    """A text as SVG, without fonts from elsewhere."""
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True)
    console.print(Text(text))
    picture = console.export_svg(title="persllm chat")
    return re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL).replace("Fira Code, monospace", "monospace")


if __name__ == "__main__":
    main()
