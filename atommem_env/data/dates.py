"""Dates as data writes them, read into ISO 8601."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

_MONTHS: Final = {
    name: number
    for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)
}
_TIME = r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?(?::\d{2}(?:\.\d+)?)?\s*(?P<half>[ap]\.?m\.?)?"
_ZONE = r"(?:\s*(?:Z|UTC|GMT|[+-]\d{2}:?\d{2}))?"
_MONTH = r"(?P<name>[a-z]{3,9})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_FORMS: Final = [
    re.compile(form, re.IGNORECASE)
    for form in (
        # 2023-05-30, 2023-05-30T23:40:00Z, 2023/05/30 (Tue) 23:40
        rf"(?P<year>\d{{4}})[-/](?P<month>\d{{1,2}})[-/](?P<day>\d{{1,2}})(?:\s*\([a-z]+\))?(?:[T\s,]\s*{_TIME}{_ZONE})?",
        # 1:56 pm on 8 May, 2023; 8 May 2023
        rf"(?:{_TIME}\s+on\s+)?(?:[a-z]+day,?\s+)?{_DAY}(?:\s+of)?[\s-]+{_MONTH},?[\s-]+(?P<year>\d{{4}})",
        # 8 May 2023, 13:56
        rf"(?:[a-z]+day,?\s+)?{_DAY}[\s-]+{_MONTH},?[\s-]+(?P<year>\d{{4}})(?:,?\s+(?:at\s+)?{_TIME}{_ZONE})?",
        # May 8, 2023 1:56 pm; March-15-2024
        rf"(?:[a-z]+day,?\s+)?{_MONTH}[\s-]+{_DAY}[,\s-]+(?P<year>\d{{4}})(?:,?\s+(?:at\s+)?{_TIME}{_ZONE})?",
    )
]


def iso_date(text: str) -> str | None:
    """Return a date as ISO 8601, to the minute or the day (``2023-05-08T13:56``, ``2024-03-15``).

    Args:
        text: a date in one of the forms ``2023-05-30``, ``2023-05-30T23:40``, ``2023/05/30 (Tue) 23:40``,
            ``1:56 pm on 8 May, 2023``, ``8 May 2023``, ``May 8, 2023``, ``March-15-2024``; a zone is left out.

    Returns:
        ``None`` when it has none of these forms, or there is no such day.
    """
    for form in _FORMS:
        match = form.fullmatch(text.strip())
        if match is not None:
            found = _read(match.groupdict())
            if found is not None:
                return found
    return None


def _read(parts: dict[str, str | None]) -> str | None:
    figures = parts.get("month")
    month = int(figures) if figures else _MONTHS.get(str(parts.get("name"))[:3].lower(), 0)
    hour, half = parts["hour"], parts["half"]
    try:
        day = datetime(int(str(parts["year"])), month, int(str(parts["day"])))
        if hour is None:
            return day.date().isoformat()
        number = int(hour)
        if half:
            if not 1 <= number <= 12:
                return None
            number = number % 12 + (12 if half.lower().startswith("p") else 0)
        time = day.replace(hour=number, minute=int(parts["minute"] or 0))
    except ValueError:
        return None
    return time.isoformat(timespec="minutes")
