"""The occurrences of a schedule tile time, in every zone, whatever its clocks do."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.leaderboard.rules.calendar import (
    DAY,
    LAST_YEAR,
    MONTH,
    UNITS,
    WEEK,
    InvalidSchedule,
    Occurrence,
    Schedule,
    Unit,
)

MICROSECOND = timedelta(microseconds=1)
# Clocks that go by half an hour, skipped a whole day, go back for Ramadan, change at midnight, or never change.
ZONES = ("Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "America/Havana", "UTC")
LONGEST: dict[Unit, int] = {"seconds": 3_155_760_000, "days": 36_525, "weeks": 5_217, "months": 1_200}


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def starts(schedule: Schedule, first: int, last: int) -> list[str]:
    """In UTC, to the minute."""
    return [f"{schedule.occurrence(number):%Y-%m-%d %H:%M}" for number in range(first, last + 1)]


@st.composite
def schedules(draw: st.DrawFn, *, years: tuple[int, int] = (1970, 2999), most: dict[Unit, int] = LONGEST) -> Schedule:
    unit = draw(st.sampled_from(UNITS))
    first = draw(st.datetimes(datetime(years[0], 1, 1), datetime(years[1], 12, 31))).replace(microsecond=0)  # noqa: DTZ001
    every = draw(st.integers(60 if unit == "seconds" else 1, most[unit]))
    zone = "UTC" if unit == "seconds" else draw(st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"})))
    return Schedule(first, every, unit, zone)


moments = st.datetimes(timezones=st.sampled_from([timezone(timedelta(hours=hours)) for hours in range(-14, 15)]))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("every", ["1 day", "10 days", "1 week", "1 month", "5 months"])
@pytest.mark.parametrize("first", ["2010-01-31T00:00:00", "2009-12-31T02:15:00", "2010-01-01T23:45:00"])
def test_occurrences_tile_twenty_years(zone: str, every: str, first: str) -> None:
    schedule = Schedule.parse(first, every, zone)
    last = schedule.number_at(utc("2030-01-01"))
    assert last is not None
    begins = [schedule.occurrence(number) for number in range(last + 2)]
    for number, (start, end) in enumerate(pairwise(begins)):
        assert start <= end
        if start < end:
            for time in (start, start + (end - start) / 2, end - MICROSECOND):
                assert schedule.at(time) == Occurrence(number, start, end)


@given(schedules(years=(1970, 2040), most={"seconds": 10_000_000, "days": 40, "weeks": 6, "months": 14}), st.data())
def test_every_time_is_in_the_one_occurrence_that_is_found_for_it(schedule: Schedule, data: st.DataObject) -> None:
    first = schedule.occurrence(0)
    time = data.draw(st.datetimes(first.replace(tzinfo=None), local("2060-01-01"), timezones=st.just(UTC)))
    found = schedule.at(time)
    assert found is not None
    assert found.starts_at <= time < found.ends_at
    assert schedule.at(found.starts_at) == schedule.at(found.ends_at - MICROSECOND) == found
    after = schedule.at(found.ends_at)
    assert after is not None
    assert after.starts_at == found.ends_at
    assert after.number > found.number
    # Only those of no length are passed over.
    assert {schedule.occurrence(number) for number in range(found.number + 1, after.number + 1)} == {found.ends_at}


@given(schedules(years=(1970, 2040), most={"seconds": 10_000_000, "days": 40, "weeks": 6, "months": 14}), st.integers(0, 600))
def test_an_occurrence_that_has_a_length_is_found_by_its_start(schedule: Schedule, number: int) -> None:
    start, end = schedule.occurrence(number), schedule.occurrence(number + 1)
    assert start <= end
    if start < end:
        assert schedule.number_at(start) == number


@given(schedules(), moments)
@example(Schedule(datetime(2999, 12, 31), 1_200, "months", "Pacific/Kiritimati"), datetime(9998, 12, 31, 23, tzinfo=UTC))  # noqa: DTZ001
@example(Schedule(datetime(1970, 1, 1), 1, "days", "Etc/GMT+12"), datetime(9998, 12, 31, 23, tzinfo=UTC))  # noqa: DTZ001
@example(Schedule(datetime(1970, 1, 1), 1, "days", "Pacific/Kiritimati"), datetime.min.replace(tzinfo=UTC))  # noqa: DTZ001
def test_a_time_that_has_no_occurrence_is_said_to_have_none_and_never_overflows(schedule: Schedule, time: datetime) -> None:
    if time < schedule.occurrence(0):
        assert schedule.number_at(time) is None
        assert schedule.at(time) is None
    elif time.astimezone(timezone(timedelta(hours=-14))).year > LAST_YEAR:
        with pytest.raises(ValueError, match="after the year 9998"):
            schedule.number_at(time)
    else:
        try:
            found = schedule.at(time)
        except ValueError as error:
            assert "after the year 9998" in str(error)  # noqa: PT017 - whether it is raised depends on the schedule
        else:
            assert found is not None
            assert found.starts_at <= time < found.ends_at


@given(schedules(), st.one_of(st.integers(), st.integers(0, 10**7), st.just(10**400)))
def test_a_number_that_has_no_occurrence_is_refused_and_never_overflows(schedule: Schedule, number: int) -> None:
    try:
        begin = schedule.occurrence(number)
    except ValueError as error:
        assert str(error).endswith("before the first one." if number < 0 else "is after the year 9998.")  # noqa: PT017
    else:
        assert begin.tzinfo is UTC
        assert number >= 0


def test_a_local_time_that_is_not_there_counts_with_the_offset_before_the_change() -> None:
    schedule = Schedule.parse("2026-03-27T02:30:00", "1 day", "Europe/Berlin")
    assert starts(schedule, 0, 3) == ["2026-03-27 01:30", "2026-03-28 01:30", "2026-03-29 01:30", "2026-03-30 00:30"]
    first_itself = Schedule.parse("2026-03-29T02:30:00", "1 day", "Europe/Berlin")
    assert starts(first_itself, 0, 1) == ["2026-03-29 01:30", "2026-03-30 00:30"]


def test_of_a_local_time_that_is_there_twice_the_first_counts() -> None:
    schedule = Schedule.parse("2026-10-23T02:45:00", "1 day", "Europe/Berlin")
    assert starts(schedule, 0, 3) == ["2026-10-23 00:45", "2026-10-24 00:45", "2026-10-25 00:45", "2026-10-26 01:45"]
    # Half past two for the second time: the occurrence of a quarter to three has begun three quarters of an hour ago.
    assert schedule.number_at(utc("2026-10-25T01:30")) == 2
    assert schedule.number_at(utc("2026-10-25T00:30")) == 1


def test_a_week_in_which_clocks_change_is_an_hour_longer_or_shorter() -> None:
    weeks = Schedule.parse("2026-03-23T00:00:00", "1 week", "Europe/Berlin")
    assert weeks.occurrence(1) - weeks.occurrence(0) == timedelta(hours=167)
    found = weeks.at(utc("2026-10-20"))
    assert found is not None
    assert found.ends_at - found.starts_at == timedelta(hours=169)


def test_a_day_that_was_skipped_has_no_length_and_no_time_is_in_it() -> None:
    for first in ("2011-12-28T00:00:00", "2011-12-28T06:00:00"):
        days = Schedule.parse(first, "1 day", "Pacific/Apia")
        assert days.occurrence(2) == days.occurrence(3), "30 and 31 December begin at once"
        assert days.number_at(days.occurrence(2)) == 3
        assert days.number_at(days.occurrence(2) - MICROSECOND) == 1


def test_a_skipped_last_day_of_a_month_does_not_hide_the_month_that_still_goes_on() -> None:
    """Kiritimati skipped 31 December 1994: at midnight of 1 January the December that begins there at six has not begun."""
    months = Schedule.parse("1994-01-31T06:00:00", "1 month", "Pacific/Kiritimati")
    assert months.occurrence(11) == utc("1994-12-31T16:00")
    assert months.number_at(utc("1994-12-31T15:59")) == 10
    assert months.number_at(utc("1994-12-31T16:00")) == 11


def test_clocks_put_back_over_midnight_do_not_hide_the_month_that_has_begun() -> None:
    """St. John's put its clocks back at a minute past the midnight of 1 November 2009: then it was October once more."""
    months = Schedule.parse("2009-10-01T00:00:00", "1 month", "America/St_Johns")
    assert months.occurrence(1) == utc("2009-11-01T02:30")
    assert months.number_at(utc("2009-11-01T02:29")) == 0
    assert months.number_at(utc("2009-11-01T02:45")) == 1, "a quarter past eleven on 31 October, for the second time"


def test_months_from_the_31st_begin_on_the_last_day_of_shorter_ones() -> None:
    months = Schedule.parse("2027-10-31T12:00:00", "1 month")
    assert [text[5:10] for text in starts(months, 0, 7)] == [
        "10-31",
        "11-30",
        "12-31",
        "01-31",
        "02-29",
        "03-31",
        "04-30",
        "05-31",
    ]
    quarters = Schedule.parse("2026-11-30T00:00:00", "3 months")
    assert [text[:10] for text in starts(quarters, 0, 5)] == [
        "2026-11-30",
        "2027-02-28",
        "2027-05-30",
        "2027-08-30",
        "2027-11-30",
        "2028-02-29",
    ]


def test_periods_of_seconds_are_as_long_as_they_say_whatever_clocks_do() -> None:
    minutes = Schedule.parse("2026-01-01T00:00:00Z", "60 seconds")
    assert minutes.at(utc("2026-03-29T01:00:30.5")) == Occurrence(
        (31 + 28 + 28) * 1440 + 60, utc("2026-03-29T01:00"), utc("2026-03-29T01:01")
    )
    odd = Schedule.parse("2026-01-01T00:00:30Z", "7000 seconds")
    assert odd.occurrence(1_000_000) == utc("2026-01-01T00:00:30") + timedelta(seconds=7_000_000_000)


def test_the_usual_day_week_and_month_are_those_of_utc() -> None:
    time = utc("2026-11-25T09:30:00")  # a Wednesday
    assert [(found.starts_at, found.ends_at) for found in (usual.at(time) for usual in (DAY, WEEK, MONTH)) if found] == [
        (utc("2026-11-25"), utc("2026-11-26")),
        (utc("2026-11-23"), utc("2026-11-30")),
        (utc("2026-11-01"), utc("2026-12-01")),
    ]


def test_a_time_may_be_of_any_zone_but_of_one() -> None:
    assert DAY.number_at(datetime(1970, 1, 2, 1, tzinfo=timezone(timedelta(hours=2)))) == 0
    with pytest.raises(ValueError, match="without a zone"):
        DAY.number_at(local("2026-11-25"))


def test_a_schedule_is_written_as_people_write_it() -> None:
    assert Schedule.parse("2026-12-01T18:00:00", "3 weeks", "Europe/Berlin") == Schedule(
        local("2026-12-01T18:00:00"), 3, "weeks", "Europe/Berlin"
    )
    assert Schedule.parse("2026-01-01T00:00:00Z", "60 seconds") == Schedule(local("2026-01-01T00:00:00"), 60, "seconds")
    assert Schedule.parse("2026-01-01T00:00", "1 day") == Schedule.parse("2026-01-01T00:00:00Z", "1 days", "UTC")


@pytest.mark.parametrize(
    ("first", "every", "zone", "field", "why"),
    [
        ("2026-01-01T00:00:00", "0 days", None, "every", "1 to 36525 days, not 0"),
        ("2026-01-01T00:00:00", "59 seconds", None, "every", "60 to 3155760000 seconds, not 59"),
        ("2026-01-01T00:00:00", "1201 months", None, "every", "1 to 1200 months"),
        ("2026-01-01T00:00:00", "1 hour", None, "every", "is written"),
        ("2026-01-01T00:00:00", "-1 day", None, "every", "is written"),
        ("2026-01-01T00:00:00", "1.5 days", None, "every", "is written"),
        ("2026-01-01T00:00:00", "１ day", None, "every", "is written"),
        ("2026-01-01T00:00:00", "1" * 5000 + " days", None, "every", "is written"),
        ("2026-01-01T00:00:00", "daily", None, "every", "is written"),
        ("2026-01-01", "1 day", None, "first", "is written"),
        ("2026-W01-1T00:00", "1 day", None, "first", "is written"),
        ("2026-01-01T00:00:00+02:00", "1 day", None, "first", "is written"),
        ("2026-01-01T00:00:00.5", "1 day", None, "first", "is written"),
        ("2026-01-01T00:00:00\n", "1 day", None, "first", "is written"),
        ("2026-02-29T00:00:00", "1 day", None, "first", "no such time"),
        ("2026-01-01T24:00:00", "1 day", None, "first", "no such time"),
        ("1969-12-31T00:00:00", "1 day", None, "first", "1970 to 2999, not in 1969"),
        ("9999-12-31T00:00:00", "1 day", None, "first", "1970 to 2999, not in 9999"),
        ("2026-01-01T00:00:00Z", "1 day", "Europe/Berlin", "first", "ends with Z"),
        ("2026-01-01T00:00:00", "60 seconds", "Europe/Berlin", "zone", "have no other zone"),
        *(
            ("2026-01-01T00:00:00", "1 day", zone, "zone", "no such time zone")
            for zone in ("Mars/Olympus", "", "europe/berlin", "../UTC", "/etc/localtime", "localtime", "Europe", "right/UTC")
        ),
        ("2026-01-01T00:00:00", "1 day", "UTC\0", "zone", "no such time zone"),
        ("2026-01-01T00:00:00", "1 day", "\ud800", "zone", "no such time zone"),
        ("2026-01-01T00:00:00", "1 day", "A" * 5000, "zone", "no such time zone"),
    ],
)
def test_what_is_no_schedule_is_refused_with_where_it_is_wrong(
    first: str, every: str, zone: str | None, field: str, why: str
) -> None:
    with pytest.raises(InvalidSchedule, match=why) as refused:
        Schedule.parse(first, every, zone)
    assert refused.value.field == field


def test_a_first_time_has_no_zone_of_its_own_and_whole_seconds() -> None:
    for first in (utc("2026-01-01"), local("2026-01-01T00:00:00.000001")):
        with pytest.raises(InvalidSchedule) as refused:
            Schedule(first, 1, "days")
        assert refused.value.field == "first"
    with pytest.raises(InvalidSchedule, match="none of seconds, days, weeks, months"):
        Schedule(local("2026-01-01"), 1, "years")  # type: ignore[arg-type]
