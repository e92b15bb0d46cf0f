// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "source/broker.h"
#include "util/cleanup.h"

enum {
	PORT_MAX = 65535,
};

/* Behind the scheme, and the user and password that may follow it. */
static const char *host_of(const char *url)
{
	const char *scheme = strstr(url, "://"), *host = scheme ? scheme + 3 : url;
	const char *user = strrchr(host, '@');

	return user ? user + 1 : host;
}

static int refuse(const char *host, const char *why, struct kl_error *err)
{
	return kl_fail(err, -EINVAL, "%s: %s (a URL is nats://HOST:PORT or tls://HOST:PORT)", host,
		       why);
}

static int check_port(const char *host, const char *port, struct kl_error *err)
{
	char *end;
	unsigned long number = strtoul(port, &end, 10);

	if (!isdigit((unsigned char)port[0]) || (*end && *end != '/') || !number ||
	    number > PORT_MAX)
		return refuse(host, "no such port", err);
	return 0;
}

static int check_url(const char *url, struct kl_error *err)
{
	const char *scheme = strstr(url, "://"), *host = host_of(url), *end;

	if (scheme && (scheme - url != 4 || strncasecmp(url, "nats", 4)) &&
	    (scheme - url != 3 || strncasecmp(url, "tls", 3)))
		return refuse(host, "its scheme is neither nats nor tls", err);
	for (end = host; *end; end++) {
		if (isspace((unsigned char)*end))
			return refuse(host, "a blank in it", err);
	}
	if (host[0] == '[' && !(end = strchr(host, ']')))
		return refuse(host, "a bracket that is not closed", err);
	end = host[0] == '[' ? end + 1 : host + strcspn(host, ":/");
	if (end == host && *end != ':')
		return refuse(host, "no host in it", err);
	if (*end == ':')
		return check_port(host, end + 1, err);
	return !*end || *end == '/' ? 0 : refuse(host, "no such host", err);
}

int kl_broker_check_urls(const char *urls, struct kl_error *err)
{
	_cleanup_free_ char *copy = strdup(urls);
	char *rest = copy, *url;
	int r = 0;

	if (!copy)
		return kl_fail(err, -ENOMEM, "out of memory");
	while (!r && (url = strsep(&rest, ",")))
		r = url[0] ? check_url(url, err)
			   : kl_fail(err, -EINVAL, "an empty URL in the list");
	/* A comma may have cut a password in two. */
	if (r && rest && strchr(rest, '@'))
		return kl_fail(err, r,
			       "a URL is nats://HOST:PORT or tls://HOST:PORT, without a comma");
	return r;
}

void kl_broker_servers(const char *urls, char *ret, size_t size)
{
	_cleanup_free_ char *copy = strdup(urls);
	char *rest = copy, *url;
	size_t len = 0;

	ret[0] = '\0';
	while (rest && len < size && (url = strsep(&rest, ",")))
		len += (size_t)snprintf(ret + len, size - len, "%s%s", len ? "," : "",
					host_of(url));
}
