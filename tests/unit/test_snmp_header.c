// SPDX-License-Identifier: GPL-2.0-only
/* snmp_header.h: what an SNMP message says of itself before anybody has a key for it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/snmp_header.h"

static const uint8_t v3[] = {
	0x30, 0x46, 0x02, 0x01, 3,				    /* 0 */
	0x30, 0x0e, 0x02, 0x01, 1,    0x02, 0x03, 0x00, 0xff, 0xe3, /* 5 */
	0x04, 0x01, 5,	  0x02, 0x01, 3,			    /* 15: flags, USM */
	0x04, 0x1f, 0x30, 0x1d,					    /* 21 */
	0x04, 5,    0x80, 1,	2,    3,    4,			    /* 25: engine */
	0x02, 0x01, 7,	  0x02, 0x01, 9,			    /* 32: boots, time */
	0x04, 3,    'b',  'o',	'b',				    /* 38: user */
	0x04, 4,    'h',  'a',	's',  'h',  0x04, 1,	's',	    /* 43: auth, priv */
	0x30, 0x12, 0x04, 0,	0x04, 0,    0xa0, 0x0c, 0x02, 0x02,
	1,    2,    0x02, 1,	0,    0x02, 1,	  0,	0x30, 0,
};

static const uint8_t v2c[] = { 0x30, 0x0a, 2, 1, 1, 4, 3, 'a', 'b', 'c', 0xa7, 0 };

Test(snmp_header, v3)
{
	struct kl_snmp_header h;

	cr_assert_eq(kl_snmp_header_parse(v3, sizeof(v3), &h), 0);
	cr_expect_eq(h.version, KL_SNMP_V3);
	cr_expect_eq(h.flags, KL_SNMP_AUTH | KL_SNMP_REPORTABLE);
	cr_expect_eq(h.engine, 27);
	cr_expect_eq(h.engine_len, 5);
	cr_expect_str_eq(h.user, "bob");
	cr_expect_eq(h.auth_len, 4);
	cr_expect_arr_eq(v3 + h.auth, "hash", 4);
}

Test(snmp_header, v2c)
{
	struct kl_snmp_header h;

	cr_assert_eq(kl_snmp_header_parse(v2c, sizeof(v2c), &h), 0);
	cr_expect_eq(h.version, KL_SNMP_V2C);
	cr_expect_eq(h.engine_len, 0);
}

/* A copy of just that size, so that a sanitizer sees what reads beyond it. */
static int parse_exact(const uint8_t *p, size_t length, struct kl_snmp_header *ret)
{
	uint8_t *copy = malloc(length ?: 1);
	int r;

	cr_assert_not_null(copy);
	memcpy(copy, p, length);
	r = kl_snmp_header_parse(copy, length, ret);
	free(copy);
	return r;
}

Test(snmp_header, cut_short_anywhere)
{
	struct kl_snmp_header h;

	for (size_t length = 0; length < sizeof(v3); length++)
		cr_expect_eq(parse_exact(v3, length, &h), -EBADMSG, "%zu", length);
	for (size_t length = 0; length < sizeof(v2c); length++)
		cr_expect_eq(parse_exact(v2c, length, &h), -EBADMSG, "%zu", length);
}

/* Each byte as everything: it is refused, or what it says lies within. */
Test(snmp_header, each_byte_changed)
{
	uint8_t copy[sizeof(v3)];
	struct kl_snmp_header h;

	for (size_t at = 0; at < sizeof(v3); at++) {
		for (int value = 0; value < 256; value++) {
			memcpy(copy, v3, sizeof(v3));
			copy[at] = (uint8_t)value;
			if (parse_exact(copy, sizeof(copy), &h))
				continue;
			cr_assert_leq(h.engine + h.engine_len, sizeof(v3));
			cr_assert_leq(h.engine_len, (size_t)KL_SNMP_ENGINE_MAX);
			cr_assert_leq(h.auth + h.auth_len, sizeof(v3));
			cr_assert_leq(strlen(h.user), (size_t)KL_SNMP_USER_MAX);
		}
	}
}

Test(snmp_header, other_versions_and_security)
{
	struct kl_snmp_header h;
	uint8_t copy[sizeof(v3)];

	memcpy(copy, v3, sizeof(v3));
	copy[4] = 2;
	cr_expect_eq(kl_snmp_header_parse(copy, sizeof(copy), &h), -EBADMSG);
	memcpy(copy, v3, sizeof(v3));
	copy[20] = 4;
	cr_expect_eq(kl_snmp_header_parse(copy, sizeof(copy), &h), -EBADMSG);
	memcpy(copy, v3, sizeof(v3));
	copy[41] = '\n';
	cr_assert_eq(kl_snmp_header_parse(copy, sizeof(copy), &h), 0);
	cr_expect_str_eq(h.user, "b?b");
}
