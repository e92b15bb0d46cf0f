/* SPDX-License-Identifier: GPL-2.0-only */
/* Numeric addresses with ports, as a person writes them, and back. Nothing is looked up. */
#pragma once

#include <stddef.h>
#include <sys/socket.h>

/*
 * ADDRESS:PORT, [ADDRESS6]:PORT, PORT (of any address); with a default port that is not 0 also
 * ADDRESS and [ADDRESS6], and then not a bare PORT. -EINVAL.
 */
int kl_socket_address_parse(const char *text, unsigned default_port, struct sockaddr_storage *ret,
			    socklen_t *ret_len);

/* The address without its port; IPv4 in IPv6 as IPv4. */
void kl_socket_address_text(const struct sockaddr_storage *address, char *to, size_t size);
