// SPDX-License-Identifier: GPL-2.0-only
#include "util/duration.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/cleanup.h"

int kl_parse_duration(const char *text, uint64_t *ret_ns)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {
		{ "us", 1e3 }, { "ms", 1e6 },	{ "s", 1e9 },
		{ "m", 60e9 }, { "h", 3600e9 }, { "d", 86400e9 },
	};
	char *end;
	double value;

	/* strtod() takes more than people mean: signs, hex, "inf", leading blanks. */
	if (!isdigit((unsigned char)text[0]) || text[strspn(text, "0123456789.")] == 'x')
		return -EINVAL;
	errno = 0;
	value = strtod(text, &end);
	if (errno || end != text + strspn(text, "0123456789."))
		return -EINVAL;
	for (size_t i = 0; i < KL_COUNT(units); i++) {
		if (strcmp(end, units[i].name))
			continue;
		if (value * units[i].ns > 100 * 365 * 86400e9)
			return -ERANGE;
		*ret_ns = (uint64_t)llround(value * units[i].ns);
		return 0;
	}
	return -EINVAL;
}

int kl_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	unsigned long long value;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (*end)
		return -EINVAL;
	if (errno || value < min || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

void kl_format_time(uint64_t realtime_ns, char *buffer, size_t size)
{
	time_t seconds = (time_t)(realtime_ns / KL_NS_PER_S);
	char whole[24] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buffer, size, "%s.%06uZ", whole, (unsigned)(realtime_ns % KL_NS_PER_S / 1000));
}

int kl_parse_time(const char *text, uint64_t *ret_ns)
{
	struct tm tm = {};
	unsigned us = 0;
	int length = 0;
	time_t seconds;

	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%6uZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &us, &length) != 7 ||
	    !length || text[length])
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	seconds = timegm(&tm);
	if (seconds < 0)
		return -EINVAL;
	*ret_ns = (uint64_t)seconds * KL_NS_PER_S + us * 1000ULL;
	return 0;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * KL_NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t kl_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t kl_realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

uint64_t kl_boottime_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}
