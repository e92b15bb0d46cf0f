// SPDX-License-Identifier: GPL-2.0-only
// What phones of every kind need: own addresses, taken in turn, and a connection from one of them.
#ifndef KALOSS_LAB_PHONE_H
#define KALOSS_LAB_PHONE_H

#include "lab.h"

#include <netinet/tcp.h>

#define MAX_BINDS 1024

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

struct ends {
	struct sockaddr_storage server, binds[MAX_BINDS];
	socklen_t server_len, bind_len[MAX_BINDS];
	int n_binds;
};

static inline void parse_binds(struct ends *e, char *list)
{
	for (char *a = strtok(list, ","); a; a = strtok(NULL, ",")) {
		if (e->n_binds == MAX_BINDS)
			usage_error("--bind: more than %d addresses", MAX_BINDS);
		e->bind_len[e->n_binds] = parse_address("bind", a, 0, &e->binds[e->n_binds]);
		e->n_binds++;
	}
}

static inline void parse_server(struct ends *e, const char *server, int port)
{
	if (!server)
		usage_error("--server is missing");
	e->server_len = parse_address("server", server, port, &e->server);
	for (int i = 0; i < e->n_binds; i++) {
		if (e->binds[i].ss_family != e->server.ss_family)
			usage_error("--bind and --server are of different address families");
	}
}

// Starts to connect phone `index`: the socket, -1 if there is none. errno is 0 or EINPROGRESS
// where nothing is wrong yet.
static inline int open_connection(const struct ends *e, int index)
{
	int fd = socket(e->server.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	if (e->n_binds) {
		int b = index % e->n_binds;

		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){ 1 }, sizeof(int));
		if (bind(fd, (const struct sockaddr *)&e->binds[b], e->bind_len[b]))
			return fd;
	}
	errno = 0;
	connect(fd, (const struct sockaddr *)&e->server, e->server_len);
	return fd;
}

// The name of a made-up phone.
static inline void device_name(int index, char name[16])
{
	snprintf(name, 16, "SEP002414%06X", (unsigned int)index & 0xffffff);
}

#endif
