// SPDX-License-Identifier: GPL-2.0-only
/* syslog_line.h: who says it, when, and where the message begins; what is odd is not known. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/syslog_line.h"
#include "guard.h"

#define NS 1000000000ULL

static __u64 utc(const char *text)
{
	struct tm tm = {};
	unsigned ms = 0;
	const char *rest = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);

	cr_assert_not_null(rest, "%s", text);
	sscanf(rest, ".%3u", &ms);
	return (__u64)timegm(&tm) * NS + ms * 1000000ULL;
}

/* Local time is two hours ahead. */
static int64_t local(int64_t as_utc_s)
{
	return as_utc_s - 7200;
}

static int read_at(const char *now, const char *line, size_t len, struct kl_syslog_line *ret)
{
	struct kl_syslog_clock clock = { utc(now), local };

	return kl_syslog_line_read((const char *)guard_copy(0, line, (__u32)len), len, &clock, ret);
}

static const struct {
	const char *line;
	const char *said; /* UTC; NULL: not known */
	const char *host;
} lines[] = {
	/* CUCM, as field-facts has it; its own stamp wins */
	{ "<187>31: : 41679: uc-ucm-01.pcce.local Jul 02 2015 06:22:31 UTC :  %X-3-Y: z",
	  "2015-07-02 06:22:31", "uc-ucm-01.pcce.local" },
	{ "<187>41679: cucm1 Jul 02 2015 06:22:31.123 UTC :  %X-3-Y: z", "2015-07-02 06:22:31.123",
	  "cucm1" },
	{ "Jul  2 08:30:00 uc-ucm-01 local7 3 : 41679: uc-ucm-01.pcce.local Jul 02 2015 "
	  "06:22:31.5 UTC :  %X-3-Y: z",
	  "2015-07-02 06:22:31.500", "uc-ucm-01" },
	/* IOS */
	{ "<189>123: Dec 16 00:36:36.024: %X-4-Y: z", "2026-12-15 22:36:36.024", "" },
	{ "<189>123: .Dec 16 00:36:36.024: %X-4-Y: z", "2026-12-15 22:36:36.024", "" },
	{ "<189>123: Dec 16 2026 00:36:36.024 UTC: %X-4-Y: z", "2026-12-16 00:36:36.024", "" },
	{ "<189>4521: sw-acc-2: Sep 20 09:41:09.123 CEST: %X-5-Y: z", "2026-09-20 07:41:09.123",
	  "sw-acc-2" },
	{ "<189>4521: sw-acc-2: 000123: Sep 20 09:41:09.123 EST: %X-5-Y: z",
	  "2026-09-20 14:41:09.123", "" },
	{ "Sep 20 09:41:09 XYZ: %X-5-Y: z", "2026-09-20 07:41:09", "" },
	{ "11w0d: %X-5-Y: z", NULL, "" },
	{ "<189>77: 1d03h: %X-5-Y: z", NULL, "" },
	{ "00:54:45: %X-5-Y: z", NULL, "" },
	{ "<189>sw1: 11w0d: %X-5-Y: z", NULL, "" },
	/* A clock that was never set says nothing; one on the way may. */
	{ "<189>123: *Dec 16 00:36:36.024: %X-4-Y: z", NULL, "" },
	{ "Nov 22 10:11:12 10.0.42.103 123: *Mar  1 00:36:36.024: %X-4-Y: z", "2026-11-22 08:11:12",
	  "10.0.42.103" },
	{ "Nov 22 10:11:12 10.0.42.103 1038: Nov 22 09:11:11.468 CET: %X-5-Y: z",
	  "2026-11-22 08:11:11.468", "10.0.42.103" },
	/* NX-OS */
	{ "<189>: 2026 Nov 22 10:11:12 UTC: %X-4-Y: z", "2026-11-22 10:11:12", "" },
	{ "2023 Nov 29 21:42:04 N-3164Q-40G %X-4-Y: z", "2023-11-29 19:42:04", "N-3164Q-40G" },
	/* RFC 3164, and what rsyslog writes */
	{ "<13>Nov 22 10:11:12 host1 root: %X-4-Y: z", "2026-11-22 08:11:12", "host1" },
	{ "Nov  2 10:11:12 fd00::7 %X-4-Y: z", "2026-11-02 08:11:12", "fd00::7" },
	{ "2026-11-22T10:11:12.123456+01:00 sw1 123: %X-4-Y: z", "2026-11-22 09:11:12.123", "sw1" },
	{ "2026-11-22T10:11:12Z sw1 %X-4-Y: z", "2026-11-22 10:11:12", "sw1" },
	{ "2026-11-22 10:11:12 sw1 %X-4-Y: z", "2026-11-22 08:11:12", "sw1" },
	/* RFC 5424 */
	{ "<189>1 2026-11-22T10:11:12.5Z core-1 app - ID [x y=\"z\"] %X-4-Y: z",
	  "2026-11-22 10:11:12.500", "core-1" },
	{ "<189>1 2026-11-22T10:11:12-05:30 core-1 - - - - \xef\xbb\xbfX-4-Y: z",
	  "2026-11-22 15:41:12", "core-1" },
	{ "<189>1 - - - - - - %X-4-Y: z", NULL, "" },
	/* No stamps, or none of any calendar */
	{ "%X-4-Y: z", NULL, "" },
	{ "X-4-Y: z", NULL, "" },
	{ "Feb 30 10:11:12 sw1 %X-4-Y: z", NULL, "sw1" },
	{ "Nov 22 24:11:12 sw1 %X-4-Y: z", NULL, "" },
	{ "2026-13-22T10:11:12Z sw1 %X-4-Y: z", NULL, "" },
	{ "9999-11-22T10:11:12Z sw1 %X-4-Y: z", NULL, "sw1" },
	{ "2026-11-22T10:11:12+99:00 sw1 %X-4-Y: z", "2026-11-22 08:11:12", "" },
	{ "Feb 29 2024 10:11:12 UTC: %X-4-Y: z", "2024-02-29 10:11:12", "" },
	{ "Feb 29 2025 10:11:12 UTC: %X-4-Y: z", NULL, "" },
	{ "Feb 29 10:11:12 UTC: %X-4-Y: z", NULL, "" },
};

Test(syslog_line, who_and_when)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *line = lines[i].line;
		struct kl_syslog_line got;

		cr_assert_eq(read_at("2026-11-22 12:00:00", line, strlen(line), &got), 0, "%s",
			     line);
		cr_expect_eq(got.said_ns / 1000000,
			     (lines[i].said ? utc(lines[i].said) : 0) / 1000000,
			     "%s: %.3f, want %s", line, (double)got.said_ns / 1e9,
			     lines[i].said ?: "nothing");
		cr_expect_str_eq(got.host, lines[i].host, "%s: %s", line, got.host);
		cr_assert_not_null(got.text, "%s", line);
		cr_expect_eq(got.len, 8, "%s: %zu", line, got.len);
		cr_expect_eq(memcmp(got.text, "X-", 2), 0, "%s", line);
	}
}

/* A stamp without a year is of the nearest one. */
Test(syslog_line, the_year_is_the_nearest)
{
	static const char line[] = "Dec 31 23:59:59 UTC: %X-1-Y: z";
	struct kl_syslog_line got;

	cr_assert_eq(read_at("2027-01-01 00:00:10", line, strlen(line), &got), 0);
	cr_expect_eq(got.said_ns, utc("2026-12-31 23:59:59"));
	cr_assert_eq(read_at("2026-12-31 23:59:58", line, strlen(line), &got), 0);
	cr_expect_eq(got.said_ns, utc("2026-12-31 23:59:59"));
	cr_assert_eq(read_at("2027-08-01 00:00:00", line, strlen(line), &got), 0);
	cr_expect_eq(got.said_ns, utc("2027-12-31 23:59:59"));
}

Test(syslog_line, only_mnemonics_are_messages)
{
	static const char *const none[] = {
		"",	      "<13>Nov 22 10:11:12 host1 sshd[1]: Failed password for root",
		"100% of it", "%",
		"%%%%",	      "%X-Y: z",
		"%X-9x-Y: z", "%X-4-: z",
		"%X-4-Y z",   "%X-4-Y",
		"%-4-Y: z",   "%x-4-Y: z",
		"<189",	      "<>",
		"<-1>x",
	};
	struct kl_syslog_line got;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		cr_expect_eq(read_at("2026-11-22 12:00:00", none[i], strlen(none[i]), &got), 0,
			     "%s", none[i]);
		cr_expect_null(got.text, "%s", none[i]);
	}
}

Test(syslog_line, the_outer_mnemonic_counts)
{
	static const char line[] =
		"<187>1: c Jul 02 2015 06:22:31 UTC :  %A_B-C-2-D: x %E-3-F: y\r\n";
	struct kl_syslog_line got;
	const char *name;
	size_t len;

	cr_assert_eq(read_at("2026-11-22 12:00:00", line, strlen(line), &got), 0);
	name = kl_syslog_mnemonic(got.text, got.len, &len);
	cr_assert_not_null(name);
	cr_expect_eq(len, 1);
	cr_expect_eq(*name, 'D');
	cr_expect_eq(got.len, strlen("A_B-C-2-D: x %E-3-F: y"));
}

Test(syslog_line, what_is_no_text_is_refused)
{
	struct kl_syslog_line got;

	cr_expect_eq(read_at("2026-11-22 12:00:00", "\x16\x03\x01\x02", 4, &got), -EBADMSG);
	cr_expect_eq(read_at("2026-11-22 12:00:00", "<13>a\0b", 7, &got), -EBADMSG);
	cr_expect_eq(read_at("2026-11-22 12:00:00", "<13>a\033[0m", 9, &got), -EBADMSG);
	cr_expect_eq(read_at("2026-11-22 12:00:00", "<192>%X-4-Y: z", 14, &got), -EBADMSG);
	cr_expect_eq(read_at("2026-11-22 12:00:00", "<1234>%X-4-Y: z", 15, &got), -EBADMSG);
	/* Ends of lines, and of strings, are none of it; nor are other alphabets. */
	cr_expect_eq(read_at("2026-11-22 12:00:00", "<13>a\tb\r\n\0", 10, &got), 0);
	cr_expect_eq(read_at("2026-11-22 12:00:00", "<13>B\xc3\xbcro \xfc", 10, &got), 0);
}
