// SPDX-License-Identifier: GPL-2.0-only
#include "util/socket_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_port(const char *text, in_port_t *ret)
{
	unsigned long port;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	port = strtoul(text, &end, 10);
	if (*end || !port || port > 65535)
		return -EINVAL;
	*ret = htons((in_port_t)port);
	return 0;
}

static int parse_host(char *host, in_port_t port, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	struct sockaddr_in *four = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
	char *scope;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = port;
		*ret_len = sizeof(*four);
		return 0;
	}
	scope = strchr(host, '%');
	if (scope) {
		*scope++ = '\0';
		six->sin6_scope_id = if_nametoindex(scope);
		if (!six->sin6_scope_id)
			return -EINVAL;
	}
	if (inet_pton(AF_INET6, host, &six->sin6_addr) != 1)
		return -EINVAL;
	six->sin6_family = AF_INET6;
	six->sin6_port = port;
	*ret_len = sizeof(*six);
	return 0;
}

int kl_socket_address_parse(const char *text, unsigned default_port, struct sockaddr_storage *ret,
			    socklen_t *ret_len)
{
	in_port_t port = htons((in_port_t)default_port);
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
	const char *colon = strrchr(text, ':'), *close = strchr(text, ']');
	size_t length = strlen(text);

	if (!default_port && !colon) {
		snprintf(host, sizeof(host), "::");
		return parse_port(text, &port) ?: parse_host(host, port, ret, ret_len);
	}
	if (*text == '[') {
		if (!close || (close[1] && close[1] != ':') || (!close[1] && !default_port))
			return -EINVAL;
		if (close[1] && parse_port(close + 2, &port))
			return -EINVAL;
		text++;
		length = (size_t)(close - text);
	} else if (colon && strchr(text, ':') == colon) {
		if (parse_port(colon + 1, &port))
			return -EINVAL;
		length = (size_t)(colon - text);
	} else if (colon && !default_port) {
		/* Where the port begins in 2001:db8::1:162 nobody can tell. */
		return -EINVAL;
	}
	if (length >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	return parse_host(host, port, ret, ret_len);
}

void kl_socket_address_text(const struct sockaddr_storage *address, char *to, size_t size)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
	const struct sockaddr_in *four = (const struct sockaddr_in *)address;
	char text[INET6_ADDRSTRLEN] = "?";

	if (address->ss_family == AF_INET)
		inet_ntop(AF_INET, &four->sin_addr, text, sizeof(text));
	else if (address->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], text, sizeof(text));
	else if (address->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof(text));
	snprintf(to, size, "%s", text);
}
