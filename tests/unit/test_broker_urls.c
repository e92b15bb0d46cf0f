// SPDX-License-Identifier: GPL-2.0-only
/* broker.h: lists of URLs */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "source/broker.h"

static const struct {
	const char *urls;
	const char *why; /* NULL: it is one */
} cases[] = {
	{ "nats://192.0.2.1:4222", NULL },
	{ "tls://nats.example", NULL },
	{ "NATS://nats.example:1,tls://nats.example:65535", NULL },
	{ "nats.example:4222", NULL },
	{ "nats://user:pass://@word@nats.example:4222/", NULL },
	{ "tls://[2001:db8::1]:4222", NULL },
	{ "nats://:4222", NULL },
	{ "", "empty" },
	{ "nats://a,", "empty" },
	{ ",nats://a", "empty" },
	{ "nats://", "no host" },
	{ "nats://user@", "no host" },
	{ "http://nats.example:4222", "scheme" },
	{ "natss://nats.example:4222", "scheme" },
	{ "nats://a:", "port" },
	{ "nats://a:0", "port" },
	{ "nats://a:65536", "port" },
	{ "nats://a:99999999999999999999", "port" },
	{ "nats://a:-1", "port" },
	{ "nats://a:4222x", "port" },
	{ "nats://[2001:db8::1", "bracket" },
	{ "nats://[2001:db8::1]x", "host" },
	{ "nats://a, nats://b", "scheme" },
	{ "nats://a b:4222", "blank" },
	{ "nats://a\n", "blank" },
};

Test(broker_urls, is_one_or_is_refused_for_a_reason)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kl_error err = {};
		int r = kl_broker_check_urls(cases[i].urls, &err);

		cr_expect_eq(r, cases[i].why ? -EINVAL : 0, "%s: %d, %s", cases[i].urls, r,
			     err.text);
		if (cases[i].why)
			cr_expect_not_null(strstr(err.text, cases[i].why), "%s: %s", cases[i].urls,
					   err.text);
	}
}

/* Neither what is wrong with it nor whom is waited for tells who logs in, or with what. */
Test(broker_urls, tells_no_password)
{
	struct kl_error err = {};
	char servers[64], few[8];

	cr_assert_eq(kl_broker_check_urls("nats://me:secret@a:0", &err), -EINVAL);
	cr_expect_null(strstr(err.text, "secret"), "%s", err.text);
	cr_expect_null(strstr(err.text, "me:"), "%s", err.text);
	cr_assert_eq(kl_broker_check_urls("nats://me:sec,ret@a:4222", &err), -EINVAL);
	cr_expect_null(strstr(err.text, "sec"), "%s", err.text);
	kl_broker_servers("nats://me:secret@a:4222,tls://me:sec@ret@b,me:secret@c:1", servers,
			  sizeof(servers));
	cr_expect_str_eq(servers, "a:4222,b,c:1");
	kl_broker_servers("nats://me:secret@nats.example:4222,nats://b", few, sizeof(few));
	cr_expect_str_eq(few, "nats.ex");
}
