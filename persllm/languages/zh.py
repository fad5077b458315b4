"""Chinese: words, sentences, persons, and what can be asked of a sentence.

A Chinese character counts as one word. Third person is turned to the first by the person's names and by 他 or 她.
Chinese marks neither names nor the ends of words, so the rules are strict: a sentence is turned only if the
pronoun can mean nobody else. Speech in quotation marks, titles of works, 他们, 其 and forms of address behind the
name are not touched, and where they leave a doubt the result is None. With the pronoun `they` no 他 or 她 is
turned. Names and places are found by sure signs only: a form of address, a middle dot, a word such as 镇 or 岛.
"""

import itertools
import logging
import re
from collections.abc import Callable, Iterable
from functools import cache

from persllm.languages import Span, Who

HAN = "\u3400-\u9fff〇"
WORD = re.compile(rf"[{HAN}]|[A-Za-z]+(?:'[A-Za-z]+)?|\d+(?:[.,]\d+)*")
OPENING, CLOSING = "“「『‘（《", "”」』’）》"
SENTENCE_END = re.compile(rf"[。！？!?]+…*[{CLOSING}\"')]*|…+[{CLOSING}]+")
LONGEST = 300
"""Characters after which a quotation that is not closed no longer keeps a sentence open."""
QUOTED = re.compile('“[^”]*”|「[^」]*」|『[^』]*』|‘[^’]*’|《[^》]*》|"[^"]*"')
DIGITS = "一二三四五六七八九〇零"
NUMERALS = "一二两三四五六七八九十百千万"
CHAPTER = re.compile(rf"^\s*第[\d{NUMERALS}{DIGITS}]{{1,6}}[回章节卷篇]\s*[:：、.．]?\s*")
"""The number of a chapter, as it stands before a heading: 第三回."""
YEAR = re.compile(
    rf"(?:公元前?|西元)?(?:\d{{3,4}}|[{DIGITS}]{{4}})年(?:(?:\d{{1,2}}|[{NUMERALS}]{{1,3}})月(?:(?:\d{{1,2}}|[{NUMERALS}]{{1,3}})[日号])?)?(?:[春夏秋冬]天?|初|底|末)?"
)
MEASURE = "个只条艘年天岁里名位本张把座口间次块斤元文匹头件杯桶丈尺人家封首顶双扇盏倍步遍句段根棵朵层场排辆架点锭瓶担枚卷篇副幅洞趟杵户夜"
NUMBER = re.compile(rf"(?<![第{NUMERALS}\d.])(?:\d+(?:\.\d+)?|[{NUMERALS}]+)(?=[{MEASURE}])")
ONE = {"一", "1"}
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
ADDRESS = "老师|师傅|师父|先生|女士|大夫|医生|掌柜|船长|将军|大人|姑娘|小姐|夫人|太太|奶奶|爷爷|阿姨|叔叔|婶婶|大婶|大叔|大伯|大嫂|大妈|大爷|校长|院长|队长|婶|叔|伯|嫂"
JOINTS = "和与给对向跟把被"
FOREIGN = (
    rf"(?:(?<![{HAN}·])|(?<=[{JOINTS}]))(?:(?![{JOINTS}我你他她是在的了过有])[{HAN}]){{1,6}}(?:·[{HAN}]{{1,6}})*·[{HAN}]{{1,4}}?"
    r"(?=[的说问答是在和与，。、；：！？]|$)"
)
"""A foreign name is one with a middle dot, between punctuation or words that no name contains."""
NAME = re.compile(
    rf"{FOREIGN}|[{SURNAMES}][{HAN}]?(?:{ADDRESS})|(?<![{HAN}])阿(?![姨富拉联尔根])[{HAN}](?=[说问答是在的和与把对到从有教给，、。])"
    r"|[A-Z][a-z]+(?: [A-Z][a-z]+)*"
)
CALLED = re.compile(rf"(?:名叫|叫做|叫作|名为|叫)((?:阿[{HAN}]|[{SURNAMES}][{HAN}]{{1,2}}))(?=[的，。、；])")
NAMING = re.compile("(?:名叫|叫做|叫作|名为|改名|取名|人称|称为|自称|名字是|姓名是|叫|[叫称喊唤][他她])$")
"""Before a name that is told as a name; a bare 叫 may also mean to call somebody."""
CITIES = "北京|上海|南京|西安|长安|洛阳|天津|重庆|成都|武汉|台北|澳门|巴黎|伦敦|柏林|维也纳|波恩|纽约|东京|京都|罗马|莫斯科"
PLACE_END = "省市县镇村岛港山河湖江城州街路桥寺庙庄谷湾"
NOT_IN_PLACES = "的了着过这那一几两某每各本此他她它我你您们大小老高新上下里外前后左右中之和与是有不都也就把被对很满整全同路山"
PLACE = re.compile(rf"(?<=[在到从])(?:{CITIES}|[^\W\d_{NOT_IN_PLACES}a-zA-Z]{{1,3}}[{PLACE_END}](?![{PLACE_END}长民]))")
BOUND_VERBS = "来回走搬去送寄跑逃赶飞游住坐站放埋生死葬落留看听想说做找等带遇直"
"""A verb that 在 or 到 belongs to: without the place the sentence would stop in its middle."""
OTHERS = re.compile(
    "母亲|妈妈|父亲|爸爸|爹|娘亲|哥哥|姐姐|弟弟|妹妹|师傅|师父|徒弟|老师|学生|妻子|丈夫|儿子|女儿|孩子|奶奶|爷爷|祖母|祖父|外婆|外公|叔叔|阿姨|舅舅|姑姑|朋友|邻居|同事|"
    "女人|男人|老人|姑娘|医生|船长|老板|掌柜|客人|女孩|男孩|妇人|皇帝|皇后|国王|女王|将军"
)
DOUBTFUL = re.compile("他们|她们|(?<!其)他人|他日(?!夜|日)|他乡|他国|(?<![与尤极])其(?![他中实次余它间])|前者|后者|此人|该人")
PRONOUN = {"she": re.compile("她"), "he": re.compile("(?<![其吉维利排无])他"), "they": re.compile("TA")}
FIXED = re.compile("自我|忘我|无我|我行我素|我国|敌我|你我|小我|大我")


def words(text: str) -> list[str]:
    """Characters, Latin words in lower case and whole numbers: the unit of budgets, retrieval and overlap."""
    return [word.lower() for word in WORD.findall(text)]


def terms(text: str) -> list[str]:
    """What retrieval counts: words by jieba where it is installed, else pairs of neighbouring characters."""
    segment = segmenter()
    if segment is not None:
        return [term.lower() for term in segment(text) if WORD.search(term)]
    flat = words(text)
    return [a + b for a, b in itertools.pairwise(flat)] or flat


@cache
def segmenter() -> Callable[[str], Iterable[str]] | None:
    """Cuts a text into words; None if jieba is not there (`pip install persllm[chinese]`)."""
    try:
        import jieba
    except ImportError:
        return None
    jieba.setLogLevel(logging.WARNING)
    return jieba.Tokenizer().cut_for_search


def sentences(text: str) -> list[str]:
    """A text cut at 。！？ with the quotation marks that close behind them; a quotation stays in one piece."""
    found: list[str] = []
    start = 0
    flat = tight(text)
    for mark in SENTENCE_END.finditer(flat):
        piece = flat[start : mark.end()].strip()
        open_marks = sum(piece.count(sign) for sign in OPENING) - sum(piece.count(sign) for sign in CLOSING)
        if not piece or (open_marks > 0 and len(piece) < LONGEST) or flat[mark.end() : mark.end() + 1] in tuple("，、；,;"):
            continue
        found.append(piece)
        start = mark.end()
    rest = flat[start:].strip()
    return [*found, rest] if rest else found


def tight(text: str) -> str:
    """A text on one line, without blanks but between Latin words and figures."""
    flat = re.sub(r"\s+", " ", text).strip()
    return re.sub(r"(?<![A-Za-z0-9.,!?]) | (?![A-Za-z0-9])", "", flat)


def outside(sentence: str) -> str:
    """A sentence whose quotations and titles are blanked out; its length stays."""
    return QUOTED.sub(lambda match: "\0" * len(match[0]), sentence)


def first_person(text: str, who: Who) -> list[str | None]:
    """The sentences of a third-person text as the person would say them; None where a rule cannot be sure."""
    names = [name for name in who.names if len(name) > 1]
    pieces = sentences(text)
    own = any(name in text for name in names)
    if not own and any("我" in outside(piece) for piece in pieces):
        return list(pieces)
    turned: list[str | None] = []
    named = False
    """Whether a pronoun means the person: named last, or first in the sentence before."""
    for piece in pieces:
        plain = outside(piece)
        here = any(name in plain for name in names)
        turned.append(sentence_to_first(piece, names, who, named or here))
        others = other_persons(plain, names, who)
        own_marks = [plain.index(name) for name in names if name in plain]
        own_marks += [match.start() for match in PRONOUN[who.pronouns].finditer(plain) if named]
        named = min(own_marks) < min(others, default=len(plain)) if own_marks else named and not others
    return turned


def other_persons(plain: str, names: list[str], who: Who) -> list[int]:
    """Where other persons than the one with these names are mentioned in a sentence."""
    rest = plain
    for name in names:
        rest = rest.replace(name, "\0" * len(name))
    found = [match.start() for pattern in (OTHERS, NAME) for match in pattern.finditer(rest)]
    return sorted([*found, *(rest.index(name) for name in who.known if name in rest and name not in names)])


def sentence_to_first(sentence: str, names: list[str], who: Who, named: bool) -> str | None:
    """One sentence with names and pronouns of the person replaced; None if one of them may mean somebody else."""
    plain = outside(sentence)
    pronouns = [match.start() for match in PRONOUN[who.pronouns].finditer(plain)]
    foreign = "他" if who.pronouns == "she" else "她" if who.pronouns == "he" else "[他她]"
    unknown = who.pronouns == "they" and re.search(foreign, re.sub("其他|吉他", "", plain))
    about = pronouns or any(name in plain for name in names)
    if not about:
        return None if unknown else sentence
    others = other_persons(plain, names, who)
    quoted = "".join(QUOTED.findall(sentence))
    doubt = (
        DOUBTFUL.search(plain) or "我" in plain or unknown or re.search("[我你您咱他她]", quoted) or any(name in quoted for name in names)
    )
    if doubt or (pronouns and not named) or any(other < place for other in others for place in pronouns):
        return None
    if any(
        re.search(rf"{re.escape(name)}(?:{ADDRESS}|[{PLACE_END}号])|(?<!名)叫{re.escape(name)}(?![，。、；！？]|$)", plain)
        for name in names
    ):
        return None
    return re.sub("我我+", "我", replaced(sentence, names, PRONOUN[who.pronouns]))


def replaced(sentence: str, names: list[str], pronoun: re.Pattern[str]) -> str:
    """Names and pronouns as 我, but for quotations and for a name that is told as a name (`名叫阿莲`)."""
    pattern = re.compile("|".join([*map(re.escape, sorted(names, key=len, reverse=True)), pronoun.pattern]))
    plain = outside(sentence)
    pieces, place = [], 0
    for match in pattern.finditer(plain):
        keep = match[0] in names and NAMING.search(plain[: match.start()])
        pieces += [sentence[place : match.start()], match[0] if keep else "我"]
        place = match.end()
    return "".join([*pieces, sentence[place:]])


def second_person(sentence: str) -> str:
    """A first-person sentence as a clause said to that person: 我 as 你, no full stop. Quotations stay."""
    protected = re.compile(f"{QUOTED.pattern}|{FIXED.pattern}")
    pieces, place = [], 0
    for match in protected.finditer(sentence):
        pieces += [to_second(sentence[place : match.start()]), match[0]]
        place = match.end()
    return "".join([*pieces, to_second(sentence[place:])]).rstrip("。！？.!? ")


def to_second(text: str) -> str:
    """我 and 咱们 as 你 and 你们."""
    return text.replace("咱们", "你们").replace("我", "你")


def spans(sentence: str, who: Who) -> list[Span]:
    """What can be asked of a sentence or falsified in it: years, numbers, names, places."""
    found: list[Span] = []
    for kind, start, end in candidates(sentence, who):
        if not any(span.start < end and start < span.end for span in found):
            found.append(Span(start=start, end=end, kind=kind, text=sentence[start:end]))
    return sorted(found, key=lambda span: span.start)


def candidates(sentence: str, who: Who) -> list[tuple[str, int, int]]:
    """(kind, start, end) of everything that may be a span; the earlier in the list wins where two overlap."""
    plain = outside(sentence)
    found = [("year", m.start(), m.end()) for m in YEAR.finditer(plain)]
    found += [("thing", m.start() + 1, m.end() - 1) for m in re.finditer("《[^》]{1,12}》", sentence)]
    known = sorted((name for name in who.known if name not in who.names), key=lambda name: (-len(name), name))
    found += [("name", m.start(), m.end()) for name in known for m in re.finditer(re.escape(name), plain)]
    found += [
        ("place", m.start(), m.end())
        for m in PLACE.finditer(plain)
        if m.start() < 2 or plain[m.start() - 2] not in BOUND_VERBS or plain[m.start() - 1] == "从"
    ]
    found += [("name", m.start(), m.end()) for m in NAME.finditer(plain) if m[0] not in who.names]
    return found + [("number", m.start(), m.end()) for m in NUMBER.finditer(plain) if m[0] not in ONE]


def names_inside(text: str) -> set[str]:
    """The names in a text that are sure: with a form of address, a middle dot, or introduced by 名叫."""
    plain = outside(tight(text))
    return {match[0] for match in NAME.finditer(plain)} | {match[1] for match in CALLED.finditer(plain)}


def lowered(text: str) -> str:
    """A year or number as it stands inside a sentence: Chinese has no capitals."""
    return text


def topic(title: str, who: Who | None = None) -> str:
    """A heading as it stands inside a sentence: no number of a chapter before it, no date in parentheses behind it."""
    return re.sub(r"\s*[(（][^()（）]*[)）]\s*$", "", CHAPTER.sub("", title)).strip()


def question_like(title: str) -> bool:
    """Whether a heading is an indirect question, such as `怎样铸钟`."""
    return bool(re.match("怎么|怎样|如何|为什么|为何|什么|哪|谁|何时|是否", topic(title)))


def nameable(topic: str) -> bool:
    """Whether a heading can stand where a name can: `在渡口` cannot."""
    return not re.match("[在到从]", topic)


def join(*parts: str) -> str:
    """Sentences put one after the other, without a blank."""
    return "".join(part for part in parts if part)


def before_gap(sentence: str, span: Span) -> int:
    """Where a gap begins that takes the 在, 到 or 从 of a place or date with it."""
    match = re.search("(?:自从|直到|在|到|从|于|自)$", sentence[: span.start])
    return match.start() if match else span.start


def tidy(sentence: str) -> str:
    """A sentence without the blanks and stray commas that a gap leaves."""
    text = re.sub("[，、；]+(?=[。！？，；])", "", tight(sentence))
    return text.lstrip("，、；：。 ")


def spoken_date(date: str) -> str:
    """A date as it stands in a sentence: `1800-11-16` is `1800年11月16日`; anything else as it is."""
    match = re.fullmatch(r"(\d{4})-(\d{2})(?:-(\d{2}))?", date)
    if not match:
        return date
    return f"{match[1]}年{int(match[2])}月" + (f"{int(match[3])}日" if match[3] else "")


def with_article(sentence: str, span: Span) -> str:
    """A name as it stands in a sentence, with the article if it has one there."""
    return span.text
