// SPDX-License-Identifier: GPL-2.0-only
#include "source/syslog_lines.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/cucm_alarm.h"
#include "core/switch_message.h"

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

/* This host's local time, read as if it were UTC. */
static int64_t local_time(int64_t as_utc_s)
{
	time_t t = as_utc_s;
	struct tm tm;

	if (!gmtime_r(&t, &tm))
		return as_utc_s;
	tm.tm_isdst = -1;
	t = mktime(&tm);
	return t == -1 ? as_utc_s : t;
}

void kl_syslog_lines_begin(struct kl_syslog_lines *l, const struct kl_syslog_handlers *handlers,
			   bool whole)
{
	l->handlers = handlers;
	l->heard_ns = whole ? 0 : now_ns(CLOCK_MONOTONIC);
	l->clock.now_ns = l->near_ns ?: now_ns(CLOCK_REALTIME);
	l->clock.local = local_time;
	l->taken = 0;
}

void kl_syslog_complain(struct kl_syslog_lines *l, const char *from, const char *what)
{
	l->stats.malformed++;
	if (!l->stats.complaint[0])
		snprintf(l->stats.complaint, sizeof(l->stats.complaint), "syslog from %s: %s", from,
			 what);
}

static void set_teller(char *ret, size_t room, const struct kl_syslog_line *line, const char *host)
{
	snprintf(ret, room, "%s", line->host[0] ? line->host : host);
}

void kl_syslog_take_line(struct kl_syslog_lines *l, const char *line, size_t len, const char *from,
			 const char *host)
{
	struct kl_syslog_line read;
	struct kl_mac_evidence mac;
	struct kl_alarm alarm;

	if (!len)
		return;
	l->taken++;
	l->stats.received++;
	if (kl_syslog_line_read(line, len, &l->clock, &read)) {
		kl_syslog_complain(l, from, "not a line of text");
		return;
	}
	if (!read.text)
		return;
	if (kl_cucm_alarm_read(read.text, read.len, &alarm)) {
		l->stats.understood++;
		alarm.time_ns = l->heard_ns;
		if (!alarm.node[0])
			set_teller(alarm.node, sizeof(alarm.node), &read, host);
		l->handlers->alarm(&alarm, read.said_ns, l->handlers->arg);
	} else if (kl_switch_message_read(read.text, read.len, &mac)) {
		l->stats.understood++;
		mac.time_ns = l->heard_ns;
		mac.earliest_ns = l->heard_ns;
		set_teller(mac.told_by, sizeof(mac.told_by), &read, host);
		l->handlers->mac(&mac, read.said_ns, l->handlers->arg);
	}
}

/* ---- Bytes ---- */

/* What is there begins at s->part + s->begin. */
static void drop(struct kl_syslog_splitter *s, size_t len)
{
	s->begin += len;
	s->len -= len;
}

static void take_part(struct kl_syslog_lines *l, struct kl_syslog_splitter *s, size_t len)
{
	const char *line = s->part + s->begin;
	size_t n = len;

	while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		n--;
	kl_syslog_take_line(l, line, n, s->from, s->host);
	drop(s, len);
}

/*
 * "123 <13>…": the count and how many bytes it takes itself. 0: there is none; -1: it may be one,
 * when more has come.
 */
static int count_before(const char *p, size_t len, size_t *ret)
{
	size_t i = 0, n = 0;

	while (i < len && i < 7 && p[i] >= '0' && p[i] <= '9')
		n = 10 * n + (size_t)(p[i++] - '0');
	if (!i || p[0] == '0' || i == 7)
		return 0;
	if (i + 1 >= len)
		return i < len && p[i] != ' ' ? 0 : -1;
	if (p[i] != ' ' || p[i + 1] != '<')
		return 0;
	*ret = n;
	return (int)i + 1;
}

static void cut(struct kl_syslog_lines *l, struct kl_syslog_splitter *s)
{
	kl_syslog_complain(l, s->from, "a line of more than 8192 bytes, cut");
	take_part(l, s, s->len);
}

static bool is_full(const struct kl_syslog_splitter *s)
{
	return !s->begin && s->len == sizeof(s->part);
}

/* The next line of what is there. False: it is not complete. */
static bool take_next(struct kl_syslog_lines *l, struct kl_syslog_splitter *s)
{
	const char *p = s->part + s->begin, *newline;
	size_t count = 0, all;
	int n = s->counted ? count_before(p, s->len, &count) : 0;

	if (n < 0)
		return false;
	if (n > 0) {
		all = (size_t)n + count;
		if (s->len < all && !(is_full(s) && all > sizeof(s->part)))
			return false;
		drop(s, (size_t)n);
		if (s->len >= count) {
			take_part(l, s, count);
			return true;
		}
		s->skip = count - s->len;
		cut(l, s);
		return false;
	}
	newline = memchr(p, '\n', s->len);
	if (newline) {
		take_part(l, s, (size_t)(newline - p) + 1);
		return true;
	}
	if (is_full(s)) {
		cut(l, s);
		s->skipping = true;
	}
	return false;
}

/* How many bytes of the rest of a line that was cut. */
static size_t skip(struct kl_syslog_splitter *s, const char *bytes, size_t len)
{
	if (s->skip) {
		size_t n = s->skip < len ? s->skip : len;

		s->skip -= n;
		return n;
	}
	if (s->skipping) {
		const char *newline = memchr(bytes, '\n', len);

		s->skipping = !newline;
		return newline ? (size_t)(newline - bytes) + 1 : len;
	}
	return 0;
}

void kl_syslog_split(struct kl_syslog_lines *l, struct kl_syslog_splitter *s, const char *bytes,
		     size_t len)
{
	while (len) {
		size_t n = skip(s, bytes, len);

		if (!n) {
			memmove(s->part, s->part + s->begin, s->len);
			s->begin = 0;
			n = sizeof(s->part) - s->len;
			if (n > len)
				n = len;
			memcpy(s->part + s->len, bytes, n);
			s->len += n;
			while (take_next(l, s)) {
			}
		}
		bytes += n;
		len -= n;
	}
}

void kl_syslog_split_end(struct kl_syslog_lines *l, struct kl_syslog_splitter *s)
{
	if (s->len)
		take_part(l, s, s->len);
	s->skipping = false;
	s->skip = 0;
}
