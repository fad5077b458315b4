"""A server on this machine that speaks `/v1/chat/completions`, and `/v1/embeddings`, deterministically from the prompt, with faults on request.

    with FakeServer(faults=lambda asked: ["429"] if asked.turn == 0 else []) as server:
        ApiSettings(url=server.url, model="fake")

A fault is chosen per request by a function of `Asked`: the prompt and how often the same prompt came before. It is a
status such as `500`, `429 SECONDS`, `refuse MESSAGE`, `hang`, `cut`, or what `spoilt` knows; `short` leaves a vector out.
Texts to embed are seen as messages of a user, and `vector` gives the numbers of each.
"""

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PROSE = {
    "en": ["The bell was cast in spring.", "I carried the sand myself.", "Nobody thanked us for it.", "That year the lake was high."],
    "zh": ["那口钟是春天铸的。", "沙子是我自己搬的。", "没有人谢过我们。", "那一年湖水很高。"],
}
FOREIGN = {"en": "那口钟是春天铸的，沙子是我自己搬的。", "zh": "The bell was cast in spring, and I carried the sand myself."}


@dataclass(frozen=True)
class Asked:
    """One request as the server sees it."""

    messages: tuple[tuple[str, str], ...]
    turn: int
    """How often the same messages came before."""
    body: dict

    @property
    def last(self) -> str:
        """What was said last."""
        return self.messages[-1][1]

    @property
    def number(self) -> int:
        """A number that depends on the messages alone."""
        return int(hashlib.sha256(json.dumps(self.messages).encode()).hexdigest()[:12], 16)

    @property
    def code(self) -> str:
        """The language asked in."""
        return "zh" if re.search("[\u4e00-\u9fff]", self.last) else "en"


class Server(ThreadingHTTPServer):
    """With room for every client that comes at once: a full queue would cut connections that no test asked for."""

    request_queue_size = 256
    daemon_threads = True


class FakeServer:
    """The server, from `with` to the end of it."""

    def __init__(
        self, faults: Callable[[Asked], str] = lambda asked: "", answer: Callable[[Asked], str] | None = None,
        vector: Callable[[str], list] = lambda text: [float(len(text)), 1.0],
    ):  # fmt: skip
        self.faults, self.answer, self.vector = faults, answer or write, vector
        self.counts: Counter[tuple[tuple[str, str], ...]] = Counter()
        """How often each conversation was sent."""
        self.bodies: list[dict] = []
        self.keys: set[str] = set()
        self.busy = self.most_busy = 0
        self.lock, self.over = threading.Lock(), threading.Event()
        self.server = Server(("127.0.0.1", 0), handler(self))
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """The address for ApiSettings."""
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    @property
    def requests(self) -> int:
        """How many requests came."""
        return sum(self.counts.values())

    def __enter__(self) -> "FakeServer":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()

    def note(self, body: dict) -> Asked:
        """Count a request."""
        said = body["messages"] if "messages" in body else [{"role": "user", "content": text} for text in body["input"]]
        messages = tuple((message["role"], message["content"]) for message in said)
        with self.lock:
            asked = Asked(messages=messages, turn=self.counts[messages], body=body)
            self.counts[messages] += 1
            self.bodies.append(body)
        return asked


def handler(fake: FakeServer) -> type[BaseHTTPRequestHandler]:
    """The request handler of one server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            fake.keys.add(self.headers.get("Authorization", ""))
            asked = fake.note(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            with fake.lock:
                fake.busy += 1
                fake.most_busy = max(fake.most_busy, fake.busy)
            try:
                self.respond(asked, fake.faults(asked))
            finally:
                with fake.lock:
                    fake.busy -= 1

        def respond(self, asked: Asked, fault: str) -> None:
            if fault == "hang":
                fake.over.wait(30)
            if fault in ("hang", "cut"):
                self.close_connection = True
                return
            if fault.startswith("refuse "):
                self.send(400, {"error": {"message": fault.removeprefix("refuse ")}}, {})
                return
            if fault.startswith("429 "):
                self.send(429, {"error": {"message": "come back later"}}, {"Retry-After": fault.removeprefix("429 ")})
                return
            if fault.isdigit():
                headers = {"Retry-After": "0.05"} if fault == "429" else {"retry-after-ms": "20"}
                key = self.headers.get("Authorization", "").removeprefix("Bearer ")
                self.send(int(fault), {"error": {"message": f"no: {fault} for {key}"}}, headers)
                return
            if fault == "html":
                self.send(200, "<html>please log in</html>", {"Content-Type": "text/html"})
                return
            if self.path.endswith("/embeddings"):
                self.send(200, embeddings(asked, fake.vector, fault), {})
                return
            self.send(200, completion(asked, fake.answer(asked), fault), {}, half=fault == "cut body")

        def send(self, status: int, body: dict | str, headers: dict[str, str], half: bool = False) -> None:
            data = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            for name, value in ({"Content-Type": "application/json"} | headers | {"Content-Length": str(len(data))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if half else data)
            self.close_connection = self.close_connection or half

    return Handler


def completion(asked: Asked, text: str, fault: str) -> dict:
    """The body of a good response, or of a subtly bad one."""
    finish = {"length": "length", "filter": "content_filter"}.get(fault, "stop")
    message = {"role": "assistant", "content": spoilt(asked, text, fault)}
    if fault == "thought":
        message["reasoning_content"] = "Let me see."
    return {
        "id": "x", "object": "chat.completion", "created": 0, "model": asked.body["model"],
        "choices": [{"index": 0, "finish_reason": finish, "message": message}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }  # fmt: skip


def embeddings(asked: Asked, vector: Callable[[str], list], fault: str) -> dict:
    """The vectors of the texts, the last first, as a server may send them."""
    data = [{"object": "embedding", "index": place, "embedding": vector(text)} for place, (_, text) in enumerate(asked.messages)]
    return {"object": "list", "model": asked.body["model"], "data": data[::-1][fault == "short" :], "usage": {"prompt_tokens": 7}}


def spoilt(asked: Asked, text: str, fault: str) -> str:
    """The text with a fault in it."""
    if fault == "empty":
        return " \n"
    if fault in ("half json", "length"):
        return text[: len(text) // 2]
    if fault == "inline thought":
        return f"<think>Let me see.</think>\n{text}"
    if fault == "wrong language":
        marks = re.findall(r"\[[^\]]+\]", text)
        return "\n".join(f"{mark} {FOREIGN[asked.code]}" for mark in marks) or FOREIGN[asked.code]
    if fault == "assistant":
        return re.sub(r"(\[Response\]) .*", r"\1 As an AI, I have no lake.", text)
    if fault == "circles":
        return re.sub(r"(\[Response\]) .*", r"\1 I sang. I sang. I sang.", text)
    if fault == "copy":
        return re.sub(r"(\[Response\]) .*", lambda match: f"{match[1]} {said(asked)} Yes.", text)
    return text


def said(asked: Asked) -> str:
    """What was said to the person, in a request for an answer: the second paragraph."""
    paragraphs = asked.messages[1][1].split("\n\n")
    return paragraphs[1] if len(paragraphs) > 1 else ""


def write(asked: Asked) -> str:
    """A reply in the form that the prompt asks for."""
    asking = [text for role, text in asked.messages if role == "user" and ('{"' in text or re.search(r"^\[", text, re.MULTILINE))]
    prompt = asking[0] if asking else asked.last
    prose = PROSE[asked.code]
    if '{"inputs"' in prompt:
        return json.dumps({"inputs": entries(asked, prompt)}, ensure_ascii=False)
    words = [f"{prose[(asked.number + i) % len(prose)][:-1]} {asked.number % 9973}." for i in range(3)]
    marks = re.findall(r"^\[[^\]]+\]", prompt, re.MULTILINE)
    return "\n".join(f"{mark} {word}" for mark, word in zip(marks, words, strict=False)) if marks else words[0]


def entries(asked: Asked, prompt: str) -> list[dict]:
    """As many inputs as asked for, all different."""
    wanted = re.findall(r"^\d+\. (\w+)[:：]", prompt, re.MULTILINE)
    found = re.search(r"Write (\d+)|请写(\d+)", prompt)
    count = int(next(filter(None, found.groups()))) if found else 1
    mark = f"{asked.number % 10**6}"
    text = (
        (lambda i, kind: f"{kind}{mark}之{i}，你怎么看？")
        if asked.code == "zh"
        else (lambda i, kind: f"What about {kind} {mark} number {i}?")
    )
    if '"family"' in prompt:
        fields = ("text", "claim", "truth", "control")
        lines = ("pressing", "control_pressing")
        more = [
            {field: [text(i, f"{field}{n}") for n in range(2)] if wanted[i] == "pressure" else [] for field in lines} for i in range(count)
        ]
        return [{"family": wanted[i], **{field: text(i, field) for field in fields}, **more[i]} for i in range(count)]
    if '"stance"' in prompt:
        return [{"stance": wanted[i], "text": text(i, wanted[i])} for i in range(count)]
    if '"angle"' in prompt:
        return [{"angle": wanted[i], "text": text(i, "matter")} for i in range(count)]
    if '"leak"' in prompt:
        return [{"text": text(i, "later"), "topic": text(i, "topic"), "leak": text(i, "leak")} for i in range(count)]
    return [{"text": text(i, "matter")} for i in range(count)]


OPENINGS = {
    "en": ["Well now.", "I will tell you.", "As I see it,", "You ask me that.", "Hm.", "Listen.", "Let me think.", "Good."],
    "zh": ["说来话长。", "我告诉你。", "依我看，", "你问起这个。", "嗯。", "你听着。", "让我想想。", "好。"],
}
CLOSINGS = {
    "en": [
        "So I hold it.",
        "That is what I say.",
        "I keep to that.",
        "You may ask again.",
        "Such is my mind.",
        "I say no more of it.",
        "That is my way.",
    ],
    "zh": ["我就是这样看的。", "话就说到这里。", "我一向如此。", "你再来问吧。", "这是我的心里话。", "别的我不多说。", "这是我的脾气。"],
}
MANNERS = {
    "en": {"This rests on an error": "No, that is wrong.", "rests on is true": "Yes, so it is.", "nothing of that has come about": "I know nothing of that."},
    "zh": {"这话有错": "不，这话不对。", "依据的是实情": "对，是这样。", "还没有这样的事": "这个我不知道。"},
}  # fmt: skip
"""How an answer to each kind begins, found by the words of the prompt."""


def plausible(asked: Asked) -> str:
    """A reply in the form asked for that a careful model might give: what it says stands in what it was told."""
    code, prompt, number = asked.code, asked.messages[-1][1], asked.number
    if '"known"' in prompt:
        return json.dumps(
            {"known": number % 3 > 0, "text": f"{OPENINGS[code][number % 8]} {CLOSINGS[code][number % 7]}"}, ensure_ascii=False
        )
    if '{"inputs"' in prompt:
        made = entries(Asked(messages=asked.messages, turn=0, body={}), prompt)
        return json.dumps({"inputs": [sensible(entry, prompt, code) for entry in made]}, ensure_ascii=False)
    manner = next((begins for words, begins in MANNERS[code].items() if words in prompt), "")
    opening, closing = OPENINGS[code][len(asked.messages) // 2 % 8], CLOSINGS[code][number // 8 % 7]  # no turn like another
    truth = re.search(r"^(?:The truth is: |实情是：|What this rests on is true: |这话所依据的是实情：)(.+)$", prompt, re.MULTILINE)
    said = truth[1] if truth else sentence_shown(asked.messages[0][1], number // 56)
    answer = f"{manner} {closing}" if manner and not truth else f"{manner} {opening} {said} {closing}"
    wrong = f"{MANNERS[code]['rests on is true' if code == 'en' else '依据的是实情'] if manner else ''} {closing}"
    thought = f"{opening} {closing}"
    return "\n".join(
        f"{mark} {text.strip()}" for mark, text in zip(re.findall(r"^\[[^\]]+\]", prompt, re.MULTILINE), (thought, answer, wrong))
    )


def sentence_shown(system: str, number: int) -> str:
    """A sentence that is told in the system message, without the names of speakers; turned to the first person by hand."""
    shown = [s for block in re.findall(r"^## .*\n(.+)", system, re.MULTILINE) for s in re.findall(r"[^.。!?？！:：]{8,}[.。]", block)]
    name = re.search(r"^You are ([^,]+),|^你就是(.+?)，", system)
    said = shown[number % len(shown)].strip() if shown else ""
    return said.replace(next(filter(None, name.groups())), "I" if name[1] else "我") if name else said


def sensible(entry: dict, prompt: str, code: str) -> dict:
    """An entry whose truth stands in the material; its claim says the opposite of it."""
    if "truth" not in entry:
        return entry
    block = re.search(r"^## .*\n(.+)", prompt, re.MULTILINE)
    truth = re.findall(r"[^.。!?？！]{4,}[.。]", block[1] if block else "")
    said = truth[len(entry["text"]) % len(truth)].strip() if truth else entry["truth"]
    denied = f"It never was so that {said}" if code == "en" else f"从来没有这回事：{said}"
    return {**entry, "truth": said, "claim": denied}
