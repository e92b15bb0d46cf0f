// SPDX-License-Identifier: GPL-2.0-only
#include "core/syslog_line.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <kaloss/base.h>

#include "util/cleanup.h"

#define NS_PER_S (1000 * KL_NS_PER_MS)

/* What is left of a line. */
struct rest {
	const char *p, *end;
};

struct stamp {
	int year; /* 0: not said */
	int month, day, hour, minute, second;
	uint32_t nanosecond;
	bool has_zone;
	bool untrusted; /* the clock was never set */
	bool closed;	/* by a colon: no host follows */
	int zone_s;	/* east of UTC */
};

/* ---- Characters ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_letter(char c)
{
	return is_upper(c) || (c >= 'a' && c <= 'z');
}

static char peek(const struct rest *r)
{
	return r->p < r->end ? *r->p : '\0';
}

static bool take(struct rest *r, char c)
{
	if (peek(r) != c)
		return false;
	r->p++;
	return true;
}

static bool take_blanks(struct rest *r)
{
	const char *from = r->p;

	while (peek(r) == ' ' || peek(r) == '\t')
		r->p++;
	return r->p > from;
}

/* A number of min to max digits, and no digit behind it. */
static bool take_number(struct rest *r, int min, int max, int *ret)
{
	struct rest at = *r;
	int n = 0, digits = 0;

	while (is_digit(peek(&at)) && digits < max) {
		n = 10 * n + (*at.p++ - '0');
		digits++;
	}
	if (digits < min || is_digit(peek(&at)))
		return false;
	*ret = n;
	*r = at;
	return true;
}

static bool take_month(struct rest *r, int *ret)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	if (r->end - r->p < 3)
		return false;
	for (int m = 0; m < 12; m++) {
		if (memcmp(r->p, names + 3 * (size_t)m, 3) == 0) {
			r->p += 3;
			*ret = m + 1;
			return true;
		}
	}
	return false;
}

/* ---- Stamps ---- */

/* Days since 1970 of a day of the Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = y / 400, of_era = y - era * 400;
	int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool is_day(int year, int month, int day)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

/* Seconds since 1970, as if it were UTC. 0: there is no such day. */
static int64_t seconds_in_year(const struct stamp *s, int year)
{
	if (year < 1971 || year > 2200 || !is_day(year, s->month, s->day))
		return 0;
	return days_of(year, s->month, s->day) * 86400 + s->hour * 3600 + s->minute * 60 +
	       s->second;
}

static int year_of(uint64_t now_ns)
{
	int64_t days = (int64_t)(now_ns / NS_PER_S / 86400);
	int year = 1970 + (int)(days / 366);

	while (days_of(year + 1, 1, 1) <= days)
		year++;
	return year;
}

static uint64_t time_of(const struct stamp *s, const struct kl_syslog_clock *clock)
{
	int64_t now_s = (int64_t)(clock->now_ns / NS_PER_S), t = 0;

	if (s->untrusted)
		return 0;
	if (s->year) {
		t = seconds_in_year(s, s->year);
	} else if (clock->now_ns) {
		int year = year_of(clock->now_ns);

		/* (The zone makes no difference to that.) */
		for (int y = year - 1; y <= year + 1; y++) {
			int64_t in_y = seconds_in_year(s, y);

			if (in_y && (!t || llabs(in_y - now_s) < llabs(t - now_s)))
				t = in_y;
		}
	}
	if (!t)
		return 0;
	if (s->has_zone)
		t -= s->zone_s;
	else if (clock->local)
		t = clock->local(t);
	return t > 0 ? (uint64_t)t * NS_PER_S + s->nanosecond : 0;
}

/* hh:mm:ss, and a fraction. */
static bool take_time(struct rest *r, struct stamp *ret)
{
	uint32_t unit = 100000000;

	if (!take_number(r, 1, 2, &ret->hour) || !take(r, ':') ||
	    !take_number(r, 2, 2, &ret->minute) || !take(r, ':') ||
	    !take_number(r, 2, 2, &ret->second))
		return false;
	if (ret->hour > 23 || ret->minute > 59 || ret->second > 60)
		return false;
	if ((peek(r) == '.' || peek(r) == ',') && r->end - r->p > 1 && is_digit(r->p[1])) {
		r->p++;
		for (; is_digit(peek(r)); r->p++, unit /= 10)
			ret->nanosecond += (uint32_t)(*r->p - '0') * unit;
	}
	return true;
}

/* Z, +hh:mm, -hhmm */
static bool take_numeric_zone(struct rest *r, struct stamp *ret)
{
	struct rest at = *r;
	int hours, minutes, sign;

	if (take(&at, 'Z') && !is_letter(peek(&at))) {
		ret->has_zone = true;
		*r = at;
		return true;
	}
	at = *r;
	sign = peek(&at) == '+' ? 1 : -1;
	if (!take(&at, '+') && !take(&at, '-'))
		return false;
	if (at.end - at.p >= 4 && is_digit(at.p[2])) {
		struct rest two = { at.p, at.p + 2 };

		if (!take_number(&two, 2, 2, &hours))
			return false;
		at.p += 2;
	} else if (!take_number(&at, 2, 2, &hours) || !take(&at, ':')) {
		return false;
	}
	if (!take_number(&at, 2, 2, &minutes) || hours > 14 || minutes > 59)
		return false;
	ret->has_zone = true;
	ret->zone_s = sign * (hours * 3600 + minutes * 60);
	*r = at;
	return true;
}

/* A name that is known for one zone; another one counts as this host's, if a colon ends it. */
static void take_zone_name(struct rest *r, struct stamp *ret)
{
	static const struct {
		const char *name;
		int minutes;
	} zones[] = {
		{ "UTC", 0 },	 { "GMT", 0 },	  { "WET", 0 },	   { "WEST", 60 },  { "BST", 60 },
		{ "CET", 60 },	 { "CEST", 120 }, { "EET", 120 },  { "EEST", 180 }, { "MSK", 180 },
		{ "JST", 540 },	 { "AEST", 600 }, { "AEDT", 660 }, { "EST", -300 }, { "EDT", -240 },
		{ "CST", -360 }, { "CDT", -300 }, { "MST", -420 }, { "MDT", -360 }, { "PST", -480 },
		{ "PDT", -420 },
	};
	struct rest at = *r, after;
	size_t len;

	take_blanks(&at);
	for (after = at; is_letter(peek(&after));)
		after.p++;
	len = (size_t)(after.p - at.p);
	if (len < 2 || len > 5)
		return;
	for (size_t i = 0; i < KL_COUNT(zones); i++) {
		if (strlen(zones[i].name) == len && memcmp(at.p, zones[i].name, len) == 0 &&
		    (peek(&after) == ' ' || peek(&after) == ':' || !peek(&after))) {
			ret->has_zone = true;
			ret->zone_s = zones[i].minutes * 60;
			*r = after;
			return;
		}
	}
	for (size_t i = 0; i < len; i++)
		if (!is_upper(at.p[i]))
			return;
	if (peek(&after) == ':')
		*r = after;
}

/* 2026-11-22T10:11:12.123456+01:00, and with a blank for the T */
static bool take_iso(struct rest *r, struct stamp *ret)
{
	if (!take_number(r, 4, 4, &ret->year) || !take(r, '-') ||
	    !take_number(r, 2, 2, &ret->month) || !take(r, '-') ||
	    !take_number(r, 2, 2, &ret->day) || (!take(r, 'T') && !take(r, ' ')) ||
	    !take_time(r, ret))
		return false;
	if (!take_numeric_zone(r, ret))
		take_zone_name(r, ret);
	return ret->month >= 1 && ret->month <= 12;
}

/* Nov 22 10:11:12, Nov 22 2026 10:11:12.123 UTC, 2026 Nov 22 10:11:12 UTC */
static bool take_named(struct rest *r, struct stamp *ret)
{
	struct rest at;

	if (take(r, '*'))
		ret->untrusted = true;
	else
		take(r, '.');
	if (is_digit(peek(r)) && (!take_number(r, 4, 4, &ret->year) || !take_blanks(r)))
		return false;
	if (!take_month(r, &ret->month) || !take_blanks(r) || !take_number(r, 1, 2, &ret->day) ||
	    !take_blanks(r))
		return false;
	at = *r;
	if (!ret->year && take_number(&at, 4, 4, &ret->year) && take_blanks(&at))
		*r = at;
	if (!take_time(r, ret))
		return false;
	if (!take_numeric_zone(r, ret))
		take_zone_name(r, ret);
	return true;
}

static bool take_stamp(struct rest *r, struct stamp *ret)
{
	struct rest at = *r;
	struct stamp s = {};

	if (!take_iso(&at, &s)) {
		at = *r;
		s = (struct stamp){};
		if (!take_named(&at, &s))
			return false;
	}
	/* CUCM has a blank before its colon. */
	*r = at;
	take_blanks(&at);
	s.closed = take(&at, ':');
	if (s.closed)
		*r = at;
	*ret = s;
	return true;
}

/* ---- Mnemonics ---- */

static bool is_facility(char c)
{
	return is_upper(c) || is_digit(c) || c == '_' || c == '-';
}

static bool is_name(char c)
{
	return is_letter(c) || is_digit(c) || c == '_';
}

const char *kl_syslog_mnemonic(const char *text, size_t len, size_t *ret_name_len)
{
	const char *end = text + len, *p = text, *name;

	if (!len || !is_upper(*p))
		return NULL;
	while (p < end && is_facility(*p))
		p++;
	/* A name in capitals was taken along; one in small letters only in part: back to "-n-". */
	while (p > text + 3 && !(p[-1] == '-' && is_digit(p[-2]) && p[-3] == '-'))
		p--;
	if (p <= text + 3)
		return NULL;
	for (name = p; p < end && is_name(*p);)
		p++;
	if (p == name || p == end || *p != ':')
		return NULL;
	*ret_name_len = (size_t)(p - name);
	return name;
}

/* Where the message begins: behind "%", or else where a token is a mnemonic. NULL: nowhere. */
static const char *find_text(const char *line, const char *end)
{
	size_t len;

	for (const char *p = line; p < end; p++) {
		p = memchr(p, '%', (size_t)(end - p));
		if (!p)
			break;
		if (kl_syslog_mnemonic(p + 1, (size_t)(end - p - 1), &len))
			return p + 1;
	}
	for (const char *p = line; p < end; p++) {
		/* (0xbf ends the mark of UTF-8.) */
		bool begins = p == line || p[-1] == ' ' || (unsigned char)p[-1] == 0xbf;

		if (begins && kl_syslog_mnemonic(p, (size_t)(end - p), &len))
			return p;
	}
	return NULL;
}

/* ---- What comes before it ---- */

static struct rest take_token(struct rest *r)
{
	struct rest token = *r;

	while (r->p < r->end && *r->p != ' ' && *r->p != '\t')
		r->p++;
	token.end = r->p;
	return token;
}

/* A name or an address: "sw1", "sw1:", "10.1.1.1"; not "123:", "11w0d:", "-". */
static bool is_host(struct rest *token)
{
	bool letters = false, dots = false;

	while (token->end > token->p && token->end[-1] == ':')
		token->end--;
	if (token->end - token->p >= KL_SYSLOG_HOST)
		return false;
	for (const char *p = token->p; p < token->end; p++) {
		if (!is_name(*p) && *p != '-' && *p != '.' && *p != ':')
			return false;
		letters |= is_letter(*p);
		dots |= *p == '.' || *p == ':';
	}
	/* Uptimes: 11w0d, 1d03h, 1y2w. */
	if (letters && is_digit(*token->p)) {
		const char *p = token->p;

		while (p < token->end && (is_digit(*p) || strchr("ywdh", *p)))
			p++;
		if (p == token->end)
			return false;
	}
	return letters || dots;
}

static void set_host(struct kl_syslog_line *ret, const struct rest *token)
{
	size_t len = (size_t)(token->end - token->p);

	memcpy(ret->host, token->p, len);
	ret->host[len] = '\0';
}

/*
 * Stamps and names, in whatever order. The last stamp is the sender's own; what comes before it
 * was put there on the way. A host stands behind the first one, or else before the last one.
 */
static void read_header(struct rest r, const struct kl_syslog_clock *clock,
			struct kl_syslog_line *ret)
{
	struct rest before = {}, last = {};
	bool expected = false;

	while (r.p < r.end) {
		struct stamp stamp;
		struct rest token;
		uint64_t said;

		take_blanks(&r);
		if (take_stamp(&r, &stamp)) {
			said = time_of(&stamp, clock);
			if (said)
				ret->said_ns = said;
			expected = !stamp.closed && !ret->host[0];
			before = last;
			continue;
		}
		token = take_token(&r);
		if (token.p == token.end)
			break;
		if (expected && is_host(&token))
			set_host(ret, &token);
		expected = false;
		last = token;
	}
	if (!ret->host[0] && before.p && is_host(&before))
		set_host(ret, &before);
}

/* <0> to <191>; without one is fine. */
static bool take_priority(struct rest *r)
{
	struct rest at = *r;
	int priority;

	if (!take(&at, '<') || !is_digit(peek(&at)))
		return true;
	while (at.p < at.end && is_digit(*at.p))
		at.p++;
	if (peek(&at) != '>')
		return true;
	at.p = r->p + 1;
	if (!take_number(&at, 1, 3, &priority) || priority > 191)
		return false;
	r->p = at.p + 1;
	return true;
}

int kl_syslog_line_read(const char *line, size_t len, const struct kl_syslog_clock *clock,
			struct kl_syslog_line *ret)
{
	struct rest r = { line, line + len };

	*ret = (struct kl_syslog_line){};
	while (r.end > r.p && memchr(" \t\r\n", r.end[-1], 5))
		r.end--; /* (the end of that string, too: some send it) */
	for (const char *p = r.p; p < r.end; p++)
		if ((unsigned char)*p < ' ' && *p != '\t')
			return -EBADMSG;
	if (!take_priority(&r))
		return -EBADMSG;
	ret->text = find_text(r.p, r.end);
	if (!ret->text)
		return 0;
	ret->len = (size_t)(r.end - ret->text);
	/* RFC 5424: its version. */
	if (r.end - r.p > 2 && r.p > line && memcmp(r.p, "1 ", 2) == 0)
		r.p += 2;
	read_header((struct rest){ r.p, ret->text }, clock, ret);
	return 0;
}
