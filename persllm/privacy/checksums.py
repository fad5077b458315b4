"""Check digits, by which a number that identifies somebody is told from any other number."""

import datetime
import ipaddress
import re

ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
ID_CHECKS = "10X98765432"
"""GB 11643-1999: weights of the first 17 digits, and the check character for each remainder of 11."""
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AT": 20, "BA": 20, "BE": 16, "BG": 22, "BR": 29, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20,
    "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GI": 23, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IS": 26, "IT": 27, "LI": 21,
    "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "RS": 22, "SA": 24, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "TR": 26, "UA": 29,
}  # fmt: skip


def digits_of(text: str) -> str:
    """The digits of a text alone."""
    return re.sub(r"\D", "", text)


def is_card(text: str) -> bool:
    """Whether a number of 13 to 19 digits begins as a payment card does and has the right Luhn digit (ISO/IEC 7812)."""
    digits = digits_of(text)
    if not 13 <= len(digits) <= 19 or digits[0] not in "3456" or len(set(digits)) < 2:
        return False
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def is_iban(text: str) -> bool:
    """Whether a text has the length of an IBAN of its country and the right check digits (ISO 13616, ISO 7064 mod 97-10)."""
    plain = re.sub(r"[\s-]", "", text).upper()
    if IBAN_LENGTHS.get(plain[:2]) != len(plain):
        return False
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def is_chinese_identity(text: str) -> bool:
    """Whether 18 characters are a Chinese identity number: a possible day of birth and the right check character."""
    plain = text.upper()
    if not re.fullmatch(r"[1-8]\d{16}[\dX]", plain):
        return False
    try:
        born = datetime.date(int(plain[6:10]), int(plain[10:12]), int(plain[12:14]))
    except ValueError:
        return False
    total = sum(weight * int(digit) for weight, digit in zip(ID_WEIGHTS, plain[:17], strict=True))
    return 1850 <= born.year <= 2100 and ID_CHECKS[total % 11] == plain[17]


def is_public_address(text: str) -> bool:
    """Whether a text is an IP address that says something of somebody: not a loopback, and not a version such as 1.2.3.4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    short = address.version == 4 and all(len(part) == 1 for part in text.split("."))
    return not (address.is_loopback or address.is_unspecified or short)
