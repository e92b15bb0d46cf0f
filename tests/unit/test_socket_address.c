// SPDX-License-Identifier: GPL-2.0-only
/* socket_address.h */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>

#include "util/cleanup.h"
#include "util/socket_address.h"

static const struct {
	const char *text;
	unsigned default_port;
	const char *address; /* NULL: refused */
	unsigned port;
} cases[] = {
	{ "162", 0, "::", 162 },
	{ "192.0.2.1:162", 0, "192.0.2.1", 162 },
	{ "[2001:db8::1]:162", 0, "2001:db8::1", 162 },
	{ "[::ffff:192.0.2.1]:162", 0, "192.0.2.1", 162 },
	{ "192.0.2.1", 161, "192.0.2.1", 161 },
	{ "192.0.2.1:1161", 161, "192.0.2.1", 1161 },
	{ "2001:db8::1", 161, "2001:db8::1", 161 },
	{ "[2001:db8::1]", 161, "2001:db8::1", 161 },
	{ "[2001:db8::1]:1161", 161, "2001:db8::1", 1161 },
	{ "[192.0.2.1]:162", 0, "192.0.2.1", 162 },
	{ "", 0, NULL },
	{ "", 161, NULL },
	{ "0", 0, NULL },
	{ "65536", 0, NULL },
	{ "162x", 0, NULL },
	{ "192.0.2.1", 0, NULL },
	{ "192.0.2.1:", 0, NULL },
	{ "192.0.2.1:0", 161, NULL },
	{ "192.0.2:162", 0, NULL },
	{ ":162", 0, NULL },
	{ "2001:db8::1:162", 0, NULL },
	{ "[2001:db8::1]", 0, NULL },
	{ "[2001:db8::1", 161, NULL },
	{ "[2001:db8::1]162", 161, NULL },
	{ "[fe80::1%nowhere]:162", 0, NULL },
	{ "switch.example:161", 161, NULL },
	{ "11111111111111111111111111111111111111111111111111111111111111111111.1:162", 0, NULL },
};

Test(socket_address, texts)
{
	for (size_t i = 0; i < KL_COUNT(cases); i++) {
		struct sockaddr_storage address;
		socklen_t length;
		char text[64];
		int r = kl_socket_address_parse(cases[i].text, cases[i].default_port, &address,
						&length);

		if (!cases[i].address) {
			cr_expect_eq(r, -EINVAL, "%s", cases[i].text);
			continue;
		}
		cr_assert_eq(r, 0, "%s", cases[i].text);
		kl_socket_address_text(&address, text, sizeof(text));
		cr_expect_str_eq(text, cases[i].address);
		cr_expect_eq(ntohs(address.ss_family == AF_INET
					   ? ((struct sockaddr_in *)&address)->sin_port
					   : ((struct sockaddr_in6 *)&address)->sin6_port),
			     cases[i].port, "%s", cases[i].text);
	}
}
