"""Where a text says how to reach, identify or pay somebody: by pattern, and by check digit where there is one.

Limits: rules, not understanding. Names of persons are not looked for (they are what a persona is about); name them
in `privacy.words` if they must not leave. A postal address in another form than those below is missed.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, get_args

from persllm.privacy.checksums import digits_of, is_card, is_chinese_identity, is_iban, is_public_address
from persllm.records import Record

PersonalKind = Literal["account", "mail", "id", "bank", "ip", "phone", "address", "word"]
KINDS: tuple[PersonalKind, ...] = get_args(PersonalKind)
"""What is looked for; where two overlap, the one that stands first here counts. An own word within another piece goes with it."""
REGIONS = ("US", "GB", "CN")
"""Countries whose national form of phone numbers is known by default; numbers with +49 and the like are found anyway."""


class Personal(Record):
    """A piece of text that is personal."""

    start: int
    """First character."""
    end: int
    """One past the last."""
    kind: PersonalKind
    text: str


HINT = re.compile(
    r"[\d@＠]|://|\.(?:com|cn|me|org)|[(\[]at[)\]]|[一二三四五六七八九十百零〇](?:号|弄)|box|微信|qq|wechat|weixin|whatsapp|telegram|skype",
    re.I,
)
"""Without any of these there is nothing in a text but own words, which is said much faster."""
HAN = "\u4e00-\u9fff"
NUMBER = "[\\d一二三四五六七八九十百零〇]+"
MAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}(?:@|＠|\s?[(\[]at[)\]]\s?)(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}(?![A-Za-z0-9])", re.ASCII
)
ACCOUNTS = (
    re.compile(r"\b[a-z][a-z0-9+.-]{0,15}://[^\s/@:]{1,80}(?::[^\s/@]{0,80})?@[^\s，。；、）)\]>\"”]+", re.I),
    re.compile(
        r"(?<![\w.-])(?:https?://)?(?:[a-z0-9-]{1,40}\.)?(?:facebook|instagram|twitter|x|tiktok|github|gitlab|linkedin|weibo|zhihu|douyin|reddit|t|telegram)"
        r"\.(?:com|cn|me|org)/(?:in/|u/|user/|people/|users?/)?@?[\w.-]{2,}",
        re.I | re.ASCII,
    ),
    re.compile(r"https?://[^\s/]+/(?:~|@|users?/|u/|home/|profile/)[\w.-]{2,}(?:/[\w./-]*)?", re.I | re.ASCII),
    re.compile(r"(?<![\w@/.])@[A-Za-z]\w{3,29}(?![\w@])", re.ASCII),
)
NAMED_ACCOUNT = re.compile(
    r"(?:(?:微信号?|QQ号?)\s?(?:[:：]|是|为)?|(?:wechat(?:\s?id)?|weixin|whatsapp|telegram|skype)\s?(?:[:：]|是|为|is\b))\s?([A-Za-z0-9][\w.-]{3,28}\w)",
    re.I | re.ASCII,
)
IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{2,4}){2,9}(?:[ -]?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
CARD = re.compile(r"(?<![\d.,-])\d(?:[ -]?\d){12,18}(?![\d-])")
NAMED_BANK = re.compile(
    r"(?:bank account|account (?:no|number)|sort code|routing (?:no|number)|银行卡|银行账[号户]|卡号|账号|帐号|开户行账号)\D{0,12}?(\d(?:[ -]?\d){5,18})(?!\d)",
    re.I,
)
IDENTITIES = (
    re.compile(r"(?<!\d)(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])"),
    re.compile(r"(?<![A-Za-z0-9])(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D](?![A-Za-z0-9])"),
)
CHINESE_IDENTITY = re.compile(r"(?<![A-Za-z0-9])[1-8]\d{16}[\dXx](?![A-Za-z0-9])")
NAMED_IDENTITY = re.compile(
    r"(?i:passport|identity card|id card|national id|driv(?:er's|er’s|ing) licen[cs]e|护照|身份证|驾驶证|通行证|军官证)"
    r"(?:[\s:：,，.#]|(?i:number|no|nr|is|was)\b|号码?|为|是){0,8}?((?=(?:[A-Z]*\d){5})[A-Z0-9]{6,18}[Xx]?)(?![A-Za-z0-9])"
)
MOBILE = re.compile(r"(?<![\dA-Za-z.])(?:(?:\+|00)?86[- ]?)?1[3-9]\d([- ]?)\d{4}\1\d{4}(?![\dA-Za-z])")
LANDLINE = re.compile(r"(?<![\d.-])(?:\+?86[- ]?)?[(（]?0(?:10|2\d|[3-9]\d{2})[)）]?[- ]?[2-8]\d{6,7}(?![\d-])")
MAYBE_PHONE = re.compile(r"(?<![\dA-Za-z])[+(（]?\d(?:[ \t()（）./-]{0,3}\d){6,15}(?![\dA-Za-z])")
NAMED_PHONE = re.compile(
    r"(?:\b(?:tele?phone|phone|tel|mobile|cell|fax)\b|电话|手机|传真|座机)[^\d\n+(]{0,14}([+(]?\d(?:[ ()./-]{0,2}\d){6,14})(?!\d)", re.I
)
YEARS = re.compile(r"(?:1[0-9]|20)\d{2}\s*[-/–.]\s*(?:1[0-9]|20)\d{2}|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[ T]\d{1,2})?")
IPS = (
    re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)"),
    re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])"),
)
PLACE = r"[A-ZÄÖÜ][a-zäöüßà-ÿ'’-]+"
CAPITAL = r"[A-ZÄÖÜ][\w'’.-]*"
ROAD = r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Place|Pl|Square|Sq|Terrace|Way|Close|Crescent|Gardens|Row|Mews|Hill|Parkway|Pkwy)"
CODE = r"(?:[A-Z]{2}\s+\d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}|\d{5}(?:\s+[A-ZÄÖÜ]\w+)?)"
TOWN = rf"(?:,\s*{PLACE}(?:\s{PLACE}){{0,2}}){{0,3}}(?:,?\s+{CODE}\b)?"
ADDRESSES = (
    re.compile(
        rf"(?<![\w-])(?<![Ii]n )(?<![Ss]ince )(?<![Uu]ntil )(?:(?:Flat|Apt\.?|Apartment|Unit|Suite)\s+\w+,\s*)?\d{{1,5}}[A-Za-z]?,?\s+(?:[NSEW]\.?\s+)?(?:{CAPITAL}\s+){{1,3}}{ROAD}\b\.?(?:,?\s*(?:Apt\.?|Flat|Suite|Unit|#)\s*\w+)?{TOWN}"
    ),
    re.compile(
        rf"(?<!\w)(?:{CAPITAL}\s)?[A-ZÄÖÜ][\wäöüß-]*(?:stra(?:ß|ss)e|str\.|gasse|weg|platz|allee|ufer|damm)\s+\d{{1,4}}(?:\s?[a-z])?\b(?:,?\s*\d{{5}}\s+[A-ZÄÖÜ]\w+)?"
    ),
    re.compile(
        rf"\b(?:rue|avenue|boulevard|via|calle|plaza)\s+(?:de\s+(?:la\s+)?)?{CAPITAL}(?:\s{CAPITAL})*,?\s+\d{{1,4}}\b|\b\d{{1,4}},?\s+(?:rue|boulevard)\s+(?:de\s+(?:la\s+)?)?{CAPITAL}"
    ),
    re.compile(r"\bP\.?\s?O\.?\s?Box\s+\d+", re.I),
    re.compile(r"(?<![A-Z0-9])(?!(?:[A-Z]{1,2}\d)\s?\d(?:AM|PM)\b)[A-PR-UWYZ][A-HK-Y]?\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}(?![A-Za-z0-9])"),
)
WHERE = r"(?:住在|家住|住|搬到|搬去|寄到|送到|寄往|地址[是为]?[:：]?|位于|来自|在|到|往|去|是|从)"
CHINESE_ADDRESS = re.compile(
    rf"(?:[{HAN}]{{2,7}}(?:省|自治区))?(?:[{HAN}]{{1,6}}?(?:市|自治州|地区))?(?:[{HAN}]{{1,6}}?(?:区|县|旗))?(?:[{HAN}]{{1,6}}?(?:镇|乡|街道))?"
    rf"[{HAN}]{{1,8}}?(?:路|街|巷|弄|胡同|大道|小区|花园|新村|公寓|苑|村)(?:[{HAN}]{{1,6}}(?:小区|花园|苑|公寓|大厦))?[东西南北中]?段?"
    rf"(?:[\da-zA-Z-]+(?:号[院楼]?|弄|幢|栋|座|单元|楼|层|室|户|组)|{NUMBER}(?:号[院楼]?|弄))(?:[\da-zA-Z-]+(?:号[院楼]?|弄|幢|栋|座|单元|楼|层|室|户)?)*(?:[{HAN}]{{1,6}}(?:大厦|公寓|广场|大楼)[\da-zA-Z-]+(?:室|号|楼|层))?"
)  # fmt: skip


def find_personal(
    text: str, regions: Sequence[str] = REGIONS, words: Iterable[str] = (), kinds: Iterable[PersonalKind] = KINDS
) -> list[Personal]:
    """The personal pieces of a text in order, none within another.

    `regions` are countries (ISO 3166) whose national phone numbers are recognised; `words` are the user's own.
    """
    wanted = frozenset(kinds)
    taken: list[Personal] = []
    for kind in KINDS[:-1] if HINT.search(text) else ():
        if kind not in wanted:
            continue
        for start, found_end in sorted(found(kind, text, regions), key=lambda place: (place[0], -place[1])):
            end = start + len(text[start:found_end].rstrip(".,;:!?")) if kind == "account" else found_end
            if not overlapping(taken, start, end):
                taken.append(Personal(start=start, end=end, kind=kind, text=text[start:end]))
    if "word" in wanted:
        add_words(taken, text, words)
    return sorted(taken, key=lambda piece: piece.start)


def overlapping(taken: Iterable[Personal], start: int, end: int) -> list[Personal]:
    """The pieces that share a character with a place."""
    return [piece for piece in taken if start < piece.end and piece.start < end]


def add_words(taken: list[Personal], text: str, words: Iterable[str]) -> None:
    """Add the user's own words to the pieces; one that reaches over the edge of another piece takes it in."""
    for start, end in sorted(own_words(text, words), key=lambda place: (place[0], -place[1])):
        others = overlapping(taken, start, end)
        if any(piece.start <= start and end <= piece.end for piece in others):
            continue
        for piece in others:
            taken.remove(piece)
        start, end = min([start, *(piece.start for piece in others)]), max([end, *(piece.end for piece in others)])
        taken.append(Personal(start=start, end=end, kind="word", text=text[start:end]))


def found(kind: PersonalKind, text: str, regions: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The places of one kind, as (start, end)."""
    if kind == "mail":
        yield from (match.span() for match in MAIL.finditer(text))
    elif kind == "account":
        yield from (match.span() for pattern in ACCOUNTS for match in pattern.finditer(text))
        yield from (match.span(1) for match in NAMED_ACCOUNT.finditer(text))
    elif kind == "bank":
        yield from bank_numbers(text)
    elif kind == "id":
        yield from identities(text)
    elif kind == "phone":
        yield from phones(text, regions)
    elif kind == "ip":
        yield from (match.span() for pattern in IPS for match in pattern.finditer(text) if is_public_address(match[0]))
    else:
        yield from addresses(text)


def own_words(text: str, words: Iterable[str]) -> Iterator[tuple[int, int]]:
    """The user's own words, whatever their case; a word of letters is found as a whole word only."""
    for word in words:
        edges = [r"\b" if re.match(r"[^\W\u3000-\u9fff]", letter) else "" for letter in (word[0], word[-1])]
        yield from (match.span() for match in re.finditer(f"{edges[0]}{re.escape(word)}{edges[1]}", text, re.IGNORECASE))


def bank_numbers(text: str) -> Iterator[tuple[int, int]]:
    """IBANs and cards with the right check digits, and what is called an account's number."""
    for match in IBAN.finditer(text):
        yield from longest(match, is_iban)
    yield from (match.span() for match in CARD.finditer(text) if is_card(match[0]) and not is_chinese_identity(match[0]))
    yield from (match.span(1) for match in NAMED_BANK.finditer(text))


def longest(match: re.Match[str], fits: object) -> Iterator[tuple[int, int]]:
    """The longest beginning of a match that fits: a word in capitals may follow an IBAN."""
    for end in range(match.end(), match.start() + 14, -1):
        if fits(match.string[match.start() : end]) and match.string[end - 1].isalnum():  # type: ignore[operator]
            yield match.start(), end
            return


def identities(text: str) -> Iterator[tuple[int, int]]:
    """Numbers of identity cards and passports: by check digit, by form, or because the text says so."""
    yield from (match.span() for match in CHINESE_IDENTITY.finditer(text) if is_chinese_identity(match[0]))
    yield from (match.span() for pattern in IDENTITIES for match in pattern.finditer(text))
    yield from (match.span(1) for match in NAMED_IDENTITY.finditer(text))


def phones(text: str, regions: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Phone numbers: Chinese ones by their form, all others as libphonenumber judges them valid."""
    if "CN" in regions:
        yield from (match.span() for pattern in (MOBILE, LANDLINE) for match in pattern.finditer(text))
    yield from (match.span(1) for match in NAMED_PHONE.finditer(text) if not YEARS.fullmatch(match[1]))
    for candidate in MAYBE_PHONE.finditer(text):
        if not YEARS.fullmatch(candidate[0].strip("( ")) and valid_phone(candidate[0], regions):
            yield candidate.span()


def valid_phone(text: str, regions: Sequence[str]) -> bool:
    """Whether a number is one that can be dialled: with its country's code, or in the national form of a region, written as such.

    Seven digits in one run may be anything; without a country's code a number must begin with 0, be parted, or have a bracket.
    """
    import phonenumbers

    inner = text.strip()
    bare = inner.isdigit()
    for region in [None] if inner.startswith("+") else regions:
        if bare and not inner.startswith("0") and region != "CN":
            continue
        try:
            number = phonenumbers.parse(inner, region)
        except phonenumbers.NumberParseException:
            continue
        parted = inner.startswith("0") and not bare and 10 <= len(digits_of(inner)) <= 11  # also where the prefix is not known
        if (phonenumbers.is_valid_number(number) or parted) and len(digits_of(inner)) >= 7:
            return True
    return False


def addresses(text: str) -> Iterator[tuple[int, int]]:
    """Postal addresses with a number of the house, post boxes, and British postcodes."""
    yield from (match.span() for pattern in ADDRESSES for match in pattern.finditer(text))
    for match in CHINESE_ADDRESS.finditer(text):
        before = list(re.finditer(WHERE, match[0]))
        skipped = [lead.end() for lead in before if lead.end() <= len(match[0]) - 4]
        yield match.start() + (skipped[-1] if skipped else 0), match.end()
