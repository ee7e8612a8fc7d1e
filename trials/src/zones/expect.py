"""What civil time is, said by Python's zoneinfo: expected instants around every change of the clocks.

usage: expect.py FIRST_YEAR LAST_YEAR EVERY    every EVERYth zone only

The first line is JSON: the version of the table and the questions. Each other line is a zone, an
instant in milliseconds, and one answer for each question: milliseconds, "-" for none.
Nothing here knows how the engine computes: a civil time in a gap is the instant of the change, found
by bisection; in an overlap it is the first of the two.
"""

import datetime as dt
import json
import sys
import zoneinfo

import tzdata

UTC = dt.timezone.utc
EPOCH = dt.datetime(1970, 1, 1)
MS = dt.timedelta(milliseconds=1)
DAY = dt.timedelta(days=1)
HOUR = 3_600_000

SHIFTS = [(1, "days"), (-1, "days"), (30, "days"), (-7, "days"), (1, "weeks"), (-2, "weeks"),
          (1, "months"), (-1, "months"), (-6, "months"), (1, "years"), (-1, "years"),
          (25, "hours"), (-90, "minutes")]
AROUND = ["days", "weeks", "months", "years", "hours", "minutes"]
DAYS = [-1, 0, 1, 2]
# From and to, in minutes of the day: over midnight, over the usual hours of change, short ones.
QUIET = [(1320, 420), (0, 360), (120, 180), (150, 160), (1410, 30), (60, 1439), (180, 120)]
# Days from Monday on, from, to; 1440 is the end of the day.
WINDOWS = [([1, 1, 1, 1, 1, 0, 0], 540, 1020), ([0, 0, 0, 0, 0, 0, 1], 120, 180),
           ([0, 0, 0, 0, 0, 1, 1], 0, 1440), ([1, 0, 0, 0, 0, 0, 0], 0, 30),
           ([1, 1, 1, 1, 1, 1, 1], 1380, 1440), ([0, 0, 1, 0, 0, 0, 1], 150, 155)]
# Around a change of the clocks, in milliseconds.
NEAR = [-24 * HOUR - 1, -3 * HOUR, -HOUR, -1, 0, 1, 30 * 60_000 + 7, HOUR, 2 * HOUR, 24 * HOUR]


def stamp(naive):
    return (naive - EPOCH) // MS


def utc(ms):
    return EPOCH + ms * MS


class Zone:
    def __init__(self, name):
        self.info = zoneinfo.ZoneInfo(name)
        self.known = {}

    def offset(self, ms):
        return utc(ms).replace(tzinfo=UTC).astimezone(self.info).utcoffset()

    def civil(self, ms):
        return utc(ms).replace(tzinfo=UTC).astimezone(self.info).replace(tzinfo=None, fold=0)

    def moment(self, civil):
        """A civil time as an instant."""
        found = self.known.get(civil)
        if found is None:
            found = self.known[civil] = self.look(civil)
        return found

    def look(self, civil):
        first = stamp(civil - civil.replace(tzinfo=self.info, fold=0).utcoffset())
        if self.civil(first) == civil:
            return first
        # In a gap: the change lies between what the two offsets around it make of it.
        second = stamp(civil - civil.replace(tzinfo=self.info, fold=1).utcoffset())
        return self.change(min(first, second), max(first, second))

    def change(self, low, high):
        """The first instant of another offset in (low, high]."""
        before = self.offset(low)
        assert before != self.offset(high)
        while high - low > 1:
            middle = (low + high) // 2
            if self.offset(middle) == before:
                low = middle
            else:
                high = middle
        return high

    def changes(self, first, last):
        """Every change of the offset; steps of six hours, since some are a month apart."""
        low, end = stamp(dt.datetime(first, 1, 1)), stamp(dt.datetime(last + 1, 1, 1))
        step, before = 6 * HOUR, self.offset(low)
        while low < end:
            after = self.offset(low + step)
            if after != before:
                yield self.change(low, low + step)
            low, before = low + step, after

    def day(self, date, minute=0):
        """A minute of a day; the last one is the beginning of the next."""
        days, minute = divmod(minute, 1440)
        midnight = dt.datetime.combine(date, dt.time()) + days * DAY
        return self.moment(midnight + dt.timedelta(minutes=minute))


def months_later(civil, count):
    month = civil.year * 12 + civil.month - 1 + count
    year, month = divmod(month, 12)
    following = dt.date(year + (month == 11), (month + 1) % 12 + 1, 1)
    last = (following - DAY).day
    return civil.replace(year=year, month=month + 1, day=min(civil.day, last))


def shift(zone, at, count, unit):
    if unit in ("hours", "minutes"):
        return at + count * (HOUR if unit == "hours" else 60_000)
    civil = zone.civil(at)
    if unit in ("days", "weeks"):
        return zone.moment(civil + count * DAY * (7 if unit == "weeks" else 1))
    return zone.moment(months_later(civil, count * (12 if unit == "years" else 1)))


def around(zone, at, unit):
    civil = zone.civil(at)
    date = civil.date()
    if unit in ("hours", "minutes"):
        length = HOUR if unit == "hours" else 60_000
        into = stamp(civil) % length
        return [at - into, at - into + length]
    if unit == "weeks":
        date -= date.weekday() * DAY
    elif unit == "months":
        date = date.replace(day=1)
    elif unit == "years":
        date = date.replace(month=1, day=1)
    count = {"days": 1, "weeks": 7}.get(unit)
    if count:
        end = date + count * DAY
    else:
        end = months_later(dt.datetime.combine(date, dt.time()), 1 if unit == "months" else 12).date()
    return [zone.day(date), zone.day(end)]


def quiet(zone, at, start, end):
    """When the quiet hours that hold `at` end."""
    today, over = zone.civil(at).date(), 1440 if start > end else 0
    ends = []
    for day in (-2, -1, 0, 1):
        date = today + day * DAY
        if zone.day(date, start) <= at < zone.day(date, end + over):
            ends.append(zone.day(date, end + over))
    return max(ends, default="-")


def window(zone, at, days, start, end):
    """The first instant from `at` on inside a window."""
    today, found = zone.civil(at).date(), []
    for day in range(-1, 16):
        date = today + day * DAY
        if days[date.weekday()]:
            opens, closes = zone.day(date, start), zone.day(date, end)
            if opens < closes and at < closes:
                found.append(max(at, opens))
    return min(found, default="-")


def answers(zone, at):
    for count, unit in SHIFTS:
        yield shift(zone, at, count, unit)
    for unit in AROUND:
        yield from around(zone, at, unit)
    for day in DAYS:
        yield zone.day(zone.civil(at).date() + day * DAY)
    for start, end in QUIET:
        yield quiet(zone, at, start, end)
    for days, start, end in WINDOWS:
        yield window(zone, at, days, start, end)
    civil = zone.civil(at)
    yield civil.year * 10_000 + civil.month * 100 + civil.day
    yield civil.weekday() * 1_440 + civil.hour * 60 + civil.minute


def main():
    first, last, every = map(int, sys.argv[1:4])
    zoneinfo.reset_tzpath(to=())
    print(json.dumps({"tzdata": tzdata.IANA_VERSION, "shifts": SHIFTS, "around": AROUND,
                      "days": DAYS, "quiet": QUIET, "windows": WINDOWS}))
    names = sorted(zoneinfo.available_timezones() - {"localtime", "Factory"})
    for name in names[::every]:
        zone = Zone(name)
        # Each change, and a plain day of each second year for zones without any.
        instants = [change + near for change in zone.changes(first, last) for near in NEAR]
        instants += [stamp(dt.datetime(year, 2, 29 if year % 4 == 0 else 28, 12, 0, 0, 1000))
                     for year in range(first, last + 1, 2)]
        for at in instants:
            print(name, at, *answers(zone, at))


main()
