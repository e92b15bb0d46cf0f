// SPDX-License-Identifier: GPL-2.0-only
#include "source/syslog_lines.h"

#include <arpa/inet.h>
#include <linux/sock_diag.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"

enum {
	CONNECTIONS_MAX = 64,
	RECEIVE_BUFFER_BYTES = 8 << 20,
	/* At a time: a drain ends soon, and nobody has it for himself. */
	DATAGRAMS_MAX = 2048,
	DATAGRAM_BATCH = 32,
	CONNECTION_BYTES = 128 << 10,
	LINES_MAX = 4096,
	ACCEPTS_MAX = 16,
	BACKLOG = 128,
};

/* A sender by TCP. */
struct connection {
	int fd;	       /* < 0: free */
	uint64_t used; /* the drain that last heard of it */
	char from[KL_SYSLOG_FROM];
	char host[INET6_ADDRSTRLEN];
	struct kl_syslog_splitter split;
};

struct kl_syslog_sockets {
	int epoll_fd; /* of the caller */
	int udp, tcp;
	uint64_t drains;
	size_t turn; /* the connection that is served first */
	struct connection *connection[CONNECTIONS_MAX];
	char bytes[CONNECTION_BYTES];
	char datagram[DATAGRAM_BATCH][KL_SYSLOG_LINE_MAX + 1];
};

/* ---- Addresses ---- */

/* A kernel without IPv6 has no address for all. */
static const char *any_address(void)
{
	_cleanup_close_ int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 ? "::" : "0.0.0.0";
}

/* "127.0.0.1:514", "[::1]:514", "514": all addresses. */
static int read_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len,
			struct kl_error *err)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC,
					.ai_socktype = SOCK_DGRAM,
					.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE };
	const char *colon = strrchr(text, ':'), *from = text, *port = colon ? colon + 1 : text;
	struct addrinfo *found;
	char host[INET6_ADDRSTRLEN + 20] = "";
	char *end;
	unsigned long number = strtoul(port, &end, 10);

	if (*port < '0' || *port > '9' || *end || !number || number > 65535)
		return kl_fail(err, -EINVAL, "%s: not a port: ADDRESS:PORT is expected", text);
	if (colon) {
		size_t len = (size_t)(colon - text);
		bool brackets = len > 1 && text[0] == '[' && colon[-1] == ']';

		if (brackets) {
			from++;
			len -= 2;
		}
		if (len >= sizeof(host) || (!brackets && memchr(from, ':', len)))
			return kl_fail(err, -EINVAL,
				       "%s: an IPv6 address goes in brackets: [::1]:514", text);
		memcpy(host, from, len);
	}
	if (getaddrinfo(host[0] ? host : any_address(), port, &hints, &found))
		return kl_fail(err, -EINVAL, "%s: not an address: %s", text, host);
	memcpy(ret, found->ai_addr, found->ai_addrlen);
	*ret_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

int kl_syslog_check_address(const char *text, struct kl_error *err)
{
	struct sockaddr_storage address;
	socklen_t len;

	return read_address(text, &address, &len, err);
}

/* The peer as we name it; an IPv4 address as such, also where a socket for both heard it. */
static void name_peer(const struct sockaddr_storage *peer, char ret_host[INET6_ADDRSTRLEN],
		      char ret_from[KL_SYSLOG_FROM], const char *how)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	ret_host[0] = '\0';
	memcpy(&v4, peer, sizeof(v4));
	memcpy(&v6, peer, sizeof(v6));
	if (peer->ss_family == AF_INET)
		inet_ntop(AF_INET, &v4.sin_addr, ret_host, INET6_ADDRSTRLEN);
	else if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
		inet_ntop(AF_INET, v6.sin6_addr.s6_addr + 12, ret_host, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, &v6.sin6_addr, ret_host, INET6_ADDRSTRLEN);
	snprintf(ret_from, KL_SYSLOG_FROM, "%s (%s)", ret_host, how);
}

/* ---- UDP ---- */

static void take_datagram(struct kl_syslog_lines *l, const struct mmsghdr *m)
{
	const struct msghdr *h = &m->msg_hdr;
	const char *p = h->msg_iov->iov_base, *end;
	char from[KL_SYSLOG_FROM], host[INET6_ADDRSTRLEN];
	size_t len = m->msg_len;

	name_peer(h->msg_name, host, from, "UDP");
	if (len > KL_SYSLOG_LINE_MAX) {
		kl_syslog_complain(l, from, "a line of more than 8192 bytes, cut");
		len = KL_SYSLOG_LINE_MAX;
	}
	/* One message each, but some senders put several lines into one. */
	for (end = p + len; p < end;) {
		const char *newline = memchr(p, '\n', (size_t)(end - p)) ?: end;

		kl_syslog_take_line(l, p, (size_t)(newline - p), from, host);
		p = newline + 1;
	}
}

static int drain_udp(struct kl_syslog_sockets *s, struct kl_syslog_lines *l)
{
	struct sockaddr_storage peer[DATAGRAM_BATCH] = {};
	struct mmsghdr message[DATAGRAM_BATCH];
	struct iovec iov[DATAGRAM_BATCH];

	for (unsigned taken = 0; taken < DATAGRAMS_MAX;) {
		int n;

		for (size_t i = 0; i < DATAGRAM_BATCH; i++) {
			iov[i] = (struct iovec){ s->datagram[i], sizeof(s->datagram[i]) };
			message[i].msg_hdr = (struct msghdr){ .msg_name = &peer[i],
							      .msg_namelen = sizeof(peer[i]),
							      .msg_iov = &iov[i],
							      .msg_iovlen = 1 };
		}
		n = recvmmsg(s->udp, message, DATAGRAM_BATCH, MSG_DONTWAIT, NULL);
		if (n <= 0)
			return 0;
		for (int i = 0; i < n; i++)
			take_datagram(l, &message[i]);
		taken += (unsigned)n;
		if (n < DATAGRAM_BATCH)
			return 0;
	}
	return 1;
}

uint64_t kl_syslog_sockets_lost(const struct kl_syslog_sockets *s)
{
	uint32_t info[SK_MEMINFO_VARS] = {};
	socklen_t len = sizeof(info);

	if (getsockopt(s->udp, SOL_SOCKET, SO_MEMINFO, info, &len))
		return 0;
	return info[SK_MEMINFO_DROPS];
}

/* ---- TCP ---- */

static void hang_up(struct connection *c)
{
	close(c->fd);
	c->fd = -1;
}

/* A free one, or that of the longest silent: idle ones do not keep others out. */
static struct connection *free_connection(struct kl_syslog_sockets *s, struct kl_syslog_lines *l)
{
	struct connection *oldest = NULL;

	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (!s->connection[i]) {
			s->connection[i] = malloc(sizeof(*oldest));
			if (s->connection[i])
				s->connection[i]->fd = -1;
			return s->connection[i];
		}
		if (s->connection[i]->fd < 0)
			return s->connection[i];
		if (!oldest || s->connection[i]->used < oldest->used)
			oldest = s->connection[i];
	}
	kl_syslog_split_end(l, &oldest->split);
	hang_up(oldest);
	return oldest;
}

static void accept_all(struct kl_syslog_sockets *s, struct kl_syslog_lines *l)
{
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = s };
		struct sockaddr_storage peer = {};
		socklen_t len = sizeof(peer);
		struct connection *c;
		int fd = accept4(s->tcp, (struct sockaddr *)&peer, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		int yes = 1;

		if (fd < 0)
			return;
		c = free_connection(s, l);
		if (!c || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event)) {
			close(fd);
			return;
		}
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
		c->fd = fd;
		c->used = s->drains;
		name_peer(&peer, c->host, c->from, "TCP");
		c->split.from = c->from;
		c->split.host = c->host;
		c->split.counted = true;
		c->split.skipping = false;
		c->split.skip = c->split.begin = c->split.len = 0;
	}
}

/* 1: there may be more. */
static int drain_connection(struct kl_syslog_sockets *s, struct connection *c,
			    struct kl_syslog_lines *l)
{
	ssize_t n = recv(c->fd, s->bytes, sizeof(s->bytes), MSG_DONTWAIT);

	if (n > 0) {
		c->used = s->drains;
		kl_syslog_split(l, &c->split, s->bytes, (size_t)n);
		return n == sizeof(s->bytes);
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	kl_syslog_split_end(l, &c->split);
	hang_up(c);
	return 0;
}

int kl_syslog_sockets_drain(struct kl_syslog_sockets *s, struct kl_syslog_lines *l)
{
	int more = 0;

	s->drains++;
	accept_all(s, l);
	for (size_t i = 0; i < CONNECTIONS_MAX && l->taken < LINES_MAX; i++) {
		struct connection *c = s->connection[s->turn++ % CONNECTIONS_MAX];

		if (c && c->fd >= 0)
			more |= drain_connection(s, c, l);
	}
	more |= l->taken >= LINES_MAX;
	return drain_udp(s, l) | more;
}

/* ---- Open and close ---- */

static int open_socket(const char *text, int type, const struct sockaddr_storage *address,
		       socklen_t len, int *ret, struct kl_error *err)
{
	const char *what = type == SOCK_DGRAM ? "UDP" : "TCP";
	int yes = 1, no = 0, size = RECEIVE_BUFFER_BYTES;
	int fd = socket(address->ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*ret = fd;
	if (fd < 0)
		return kl_fail(err, -errno, "--syslog %s: %s: %m", text, what);
	if (address->ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	else if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (const struct sockaddr *)address, len) ||
	    (type == SOCK_STREAM && listen(fd, BACKLOG)))
		return kl_fail(err, -errno, "--syslog %s: %s: %m", text, what);
	return 0;
}

int kl_syslog_sockets_open(const char *address, int epoll_fd, struct kl_syslog_sockets **ret,
			   struct kl_error *err)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct sockaddr_storage local = {};
	struct kl_syslog_sockets *s;
	struct kl_error why = {};
	socklen_t len = 0;
	int r = read_address(address, &local, &len, &why);

	if (r)
		return kl_fail(err, r, "--syslog %.400s", why.text);
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->epoll_fd = epoll_fd;
	s->udp = s->tcp = -1;
	event.data.ptr = s;
	r = open_socket(address, SOCK_DGRAM, &local, len, &s->udp, err);
	if (!r)
		r = open_socket(address, SOCK_STREAM, &local, len, &s->tcp, err);
	if (!r && (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->udp, &event) ||
		   epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->tcp, &event)))
		r = kl_fail(err, -errno, "--syslog %s: epoll: %m", address);
	if (r) {
		kl_syslog_sockets_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

void kl_syslog_sockets_close(struct kl_syslog_sockets *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (s->connection[i] && s->connection[i]->fd >= 0)
			close(s->connection[i]->fd);
		free(s->connection[i]);
	}
	kl_closep(&s->udp);
	kl_closep(&s->tcp);
	free(s);
}
