"""Headings of chapters in plain text, English and Chinese."""

import re

NUMERAL = r"(?:\d{1,3}|[IVXLCDM]{1,8}|[ivxlcdm]{1,8}|(?:the )?[A-Za-z]+(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?)"
ENGLISH = re.compile(
    rf"(?P<level>CHAPTER|Chapter|PART|Part|BOOK|Book|VOLUME|Volume|ACT|Act|SCENE|Scene|CANTO|Canto|STAVE|Stave|LETTER|Letter)\s+{NUMERAL}"
    r"(?:\s*[.:—–-]+\s*.{0,90}|\s*|\s+[A-Z].{0,80})"
)
ALONE = re.compile(
    r"(?P<level>PROLOGUE|EPILOGUE|PREFACE|INTRODUCTION|FOREWORD|AFTERWORD|CONCLUSION|Prologue|Epilogue|Preface|Introduction|Foreword|Afterword)[.:]?"
)
ROMAN = re.compile(r"(?P<level>)(?:[IVXLC]{1,7}|\d{1,3})[.)]?")
"""A number alone on its line between empty ones."""
CHINESE = re.compile(
    r"第[〇零一二两三四五六七八九十百千0-9０-９]{1,7}(?P<level>[卷部集篇编回章节幕场折])(?:[\s　:：、.·—-]+.{0,60}|[^\s，。！？；：]{0,20})?"
)
CHINESE_ALONE = re.compile(r"(?P<level>楔子|引子|序章|序言|自序|前言|尾声|后记|終章|终章|番外)(?:[\s　:：].{0,40})?")
OUTER = {"part", "book", "volume", "act", "卷", "部", "集", "篇", "编", "幕", "折"}
LONGEST = 100


def level_of(line: str) -> int | None:
    """1 for a part or volume, 2 for a chapter or the like, None for what is no heading."""
    text = line.strip()
    if not text or len(text) > LONGEST or text[-1] in ",;，；。":
        return None
    found = next((match for form in (ENGLISH, ALONE, CHINESE, CHINESE_ALONE) if (match := form.fullmatch(text))), None)
    if found is None:
        return None
    return 1 if found["level"].lower() in OUTER else 2


def is_number_alone(line: str) -> bool:
    """Whether a line holds only a number such as begins a chapter."""
    return bool(ROMAN.fullmatch(line.strip()))
