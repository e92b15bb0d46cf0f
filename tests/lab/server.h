// SPDX-License-Identifier: GPL-2.0-only
// What call servers of every kind need: listen, accept, cut what comes into messages, and
// unregister whoever is silent for too long, which closes the connection.
#ifndef KALOSS_LAB_SERVER_H
#define KALOSS_LAB_SERVER_H

#include "lab.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>

#define MAX_PORTS 16
#define MAX_MESSAGE 4096
#define MAX_EVENTS 256

struct conn {
	struct conn *prev, *next; // in the order of the last keepalive, oldest first
	int64_t last, made;
	int fd;
	bool registered;
	char device[17];
	size_t used;
	uint8_t buf[2 * MAX_MESSAGE];
};

struct server {
	// Handles the first message of what a connection sent: its length, 0 if it is not complete
	// yet, -1 when the connection has to go.
	ssize_t (*take)(struct server *s, struct conn *c, const uint8_t *data, size_t len);
	// Does what is due and returns when it wants to be called again, INT64_MAX for never.
	int64_t (*timer)(struct server *s, int64_t now);
	// A connection is about to go.
	void (*forget)(struct server *s, struct conn *c);
	size_t conn_size;	  // of a struct that begins with a struct conn
	int64_t unregister_after; // ns, 0 = never
	int64_t close_after;	  // ns, 0 = never
	bool reset;		  // closing is by RST instead of FIN
	int epoll_fd;
	struct conn list; // head of the ring
	struct conn listeners[MAX_PORTS];
	int n_listeners;
	unsigned long accepted, unregistered, closed, send_errors;
};

static inline void server_unlink(struct conn *c)
{
	c->prev->next = c->next;
	c->next->prev = c->prev;
}

static inline void server_link_last(struct server *s, struct conn *c)
{
	c->prev = s->list.prev;
	c->next = &s->list;
	c->prev->next = c;
	s->list.prev = c;
}

// The connection gave a sign of life.
static inline void server_refresh(struct server *s, struct conn *c)
{
	c->last = now_ns();
	server_unlink(c);
	server_link_last(s, c);
}

static inline void server_drop(struct server *s, struct conn *c)
{
	if (s->forget)
		s->forget(s, c);
	server_unlink(c);
	close(c->fd);
	free(c);
}

// MSG_EOR keeps every message in a segment of its own, as a real server's are.
static inline bool server_send(struct server *s, struct conn *c, const void *message, size_t len)
{
	if (send(c->fd, message, len, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_EOR) == (ssize_t)len)
		return true;
	s->send_errors++;
	return false;
}

static inline bool server_take_all(struct server *s, struct conn *c)
{
	size_t at = 0;

	while (at < c->used) {
		ssize_t n = s->take(s, c, c->buf + at, c->used - at);

		if (n < 0)
			return false;
		if (!n)
			break;
		at += n;
	}
	c->used -= at;
	memmove(c->buf, c->buf + at, c->used);
	return c->used < sizeof(c->buf);
}

static inline void server_read(struct server *s, struct conn *c)
{
	for (;;) {
		ssize_t n = recv(c->fd, c->buf + c->used, sizeof(c->buf) - c->used, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n > 0)
			c->used += n;
		if (n <= 0 || !server_take_all(s, c)) {
			server_drop(s, c);
			return;
		}
	}
}

static inline void server_accept(struct server *s, int listen_fd)
{
	for (;;) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct epoll_event ev = { .events = EPOLLIN };
		struct conn *c;

		if (fd < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
				complain("accept: %s", strerror(errno));
			return;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		c = calloc(1, s->conn_size);
		ev.data.ptr = c;
		if (!c || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev)) {
			complain("new connection refused: %s", strerror(errno));
			free(c);
			close(fd);
			continue;
		}
		c->fd = fd;
		c->last = c->made = now_ns();
		server_link_last(s, c);
		s->accepted++;
	}
}

// Ends a connection that is in order, as far as the network knows.
static inline void server_close(struct server *s, struct conn *c)
{
	if (s->reset)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 },
			   sizeof(struct linger));
	server_drop(s, c);
}

// Closes what is old enough: when to look again.
static inline int64_t server_close_old(struct server *s, int64_t now)
{
	int64_t due = INT64_MAX;
	struct conn *next;

	if (!s->close_after)
		return due;
	for (struct conn *c = s->list.next; c != &s->list; c = next) {
		next = c->next;
		if (c->made + s->close_after <= now) {
			s->closed++;
			server_close(s, c);
		} else if (c->made + s->close_after < due) {
			due = c->made + s->close_after;
		}
	}
	return due;
}

// One line of JSON for each phone that is unregistered.
static inline void server_unregister(struct server *s, struct conn *c, int64_t now)
{
	struct sockaddr_storage peer = { 0 };
	socklen_t len = sizeof(peer);
	char when[40], address[ADDRESS_TEXT] = "";
	uint16_t port = 0;

	if (!getpeername(c->fd, (struct sockaddr *)&peer, &len))
		port = address_text(&peer, address);
	time_text(when, sizeof(when));
	printf("{\"event\":\"unregistered\",\"time\":\"%s\",\"ip\":\"%s\",\"port\":%u,"
	       "\"device\":\"%s\",\"silent_ms\":%lld,\"reason\":\"keepAliveTimeout\"}\n",
	       when, address, port, c->device, (long long)(now - c->last) / NSEC_PER_MSEC);
	fflush(stdout);
	s->unregistered++;
	server_close(s, c);
}

// Unregisters who was silent for too long: when to look again.
static inline int64_t server_unregister_silent(struct server *s, int64_t now)
{
	if (!s->unregister_after)
		return INT64_MAX;
	while (s->list.next != &s->list && s->list.next->last + s->unregister_after <= now)
		server_unregister(s, s->list.next, now);
	return s->list.next == &s->list ? INT64_MAX : s->list.next->last + s->unregister_after;
}

static inline bool server_listen_on(struct server *s, const char *address, uint16_t port)
{
	struct conn *l = &s->listeners[s->n_listeners];
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = l };
	struct sockaddr_storage ss;
	socklen_t len = parse_address("listen", address, port, &ss);

	l->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0) {
		complain("socket: %s", strerror(errno));
		return false;
	}
	s->n_listeners++;
	setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (ss.ss_family == AF_INET6)
		setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 0 }, sizeof(int));
	if (bind(l->fd, (struct sockaddr *)&ss, len) || listen(l->fd, 4096) ||
	    epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, l->fd, &ev)) {
		complain("cannot listen on %s port %u: %s", address, port, strerror(errno));
		return false;
	}
	return true;
}

static inline bool server_loop(struct server *s, const sigset_t *unblocked)
{
	struct epoll_event ev[MAX_EVENTS];
	int64_t due = INT64_MAX;

	while (!stop) {
		struct timespec ts = { 0 };
		int64_t now, other;
		int n;

		if (due != INT64_MAX)
			ts = ns_to_timespec(due - now_ns());
		n = epoll_pwait2(s->epoll_fd, ev, MAX_EVENTS, due == INT64_MAX ? NULL : &ts,
				 unblocked);
		if (n < 0 && errno != EINTR) {
			complain("epoll_pwait2: %s", strerror(errno));
			return false;
		}
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;

			if (c >= s->listeners && c < s->listeners + s->n_listeners)
				server_accept(s, c->fd);
			else
				server_read(s, c);
		}
		now = now_ns();
		due = server_unregister_silent(s, now);
		other = server_close_old(s, now);
		due = other < due ? other : due;
		if (s->timer) {
			other = s->timer(s, now);
			due = other < due ? other : due;
		}
	}
	return true;
}

// Listens on a comma list of ports, says so, and serves until SIGTERM.
static inline bool server_run(struct server *s, const char *address, char *ports)
{
	__cleanup_fd int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	sigset_t unblocked;

	raise_fd_limit();
	catch_stop(&unblocked);
	s->list.prev = s->list.next = &s->list;
	s->epoll_fd = epoll_fd;
	if (epoll_fd < 0) {
		complain("epoll_create1: %s", strerror(errno));
		return false;
	}
	for (char *p = strtok(ports, ","); p; p = strtok(NULL, ",")) {
		if (s->n_listeners == MAX_PORTS)
			usage_error("--port: more than %d ports", MAX_PORTS);
		if (!server_listen_on(s, address, parse_number("port", p, 1, 65535)))
			return false;
	}
	printf("ready\n");
	fflush(stdout);
	return server_loop(s, &unblocked);
}

#endif
