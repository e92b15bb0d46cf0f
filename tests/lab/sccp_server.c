// SPDX-License-Identifier: GPL-2.0-only
// sccp-server: a call server for SCCP phones, as far as keepalives go. It answers Register with
// RegisterAck and each KeepAlive of a registered connection with one KeepAliveAck. A connection
// that never registered is one to a backup server: its keepalives are counted, and acknowledged
// by TCP alone. At SIGTERM it prints its counts as one JSON line.
#include "lab.h"

#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>

#define MAX_PORTS 16
#define MAX_PDU 4096
#define MAX_EVENTS 256

struct conn {
	struct conn *prev, *next; // in the order of the last keepalive, oldest first
	int64_t last;
	int fd;
	bool registered;
	size_t used;
	uint8_t buf[2 * MAX_PDU];
};

struct server {
	int epoll_fd;
	int64_t unregister_after; // ns, 0 = never
	struct conn list;	  // head of the ring
	struct conn listeners[MAX_PORTS];
	int n_listeners;
	unsigned long accepted, keepalives, acks_sent, unregistered, send_errors;
};

struct register_ack {
	struct sccp_hdr hdr;
	uint32_t keepalive_interval;
	char date_template[6];
	uint16_t reserved;
	uint32_t secondary_keepalive_interval;
	uint32_t max_protocol;
} __attribute__((packed));

_Static_assert(offsetof(struct register_ack, secondary_keepalive_interval) == 24, "RegisterAck");

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void unlink_conn(struct conn *c)
{
	c->prev->next = c->next;
	c->next->prev = c->prev;
}

static void link_last(struct server *s, struct conn *c)
{
	c->prev = s->list.prev;
	c->next = &s->list;
	c->prev->next = c;
	s->list.prev = c;
}

static void drop_conn(struct conn *c)
{
	unlink_conn(c);
	close(c->fd);
	free(c);
}

// MSG_EOR keeps every answer in a segment of its own, as a real server's are.
static bool send_pdu(struct server *s, struct conn *c, const void *pdu, size_t len)
{
	if (send(c->fd, pdu, len, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_EOR) == (ssize_t)len)
		return true;
	s->send_errors++;
	return false;
}

static bool handle_pdu(struct server *s, struct conn *c, const struct sccp_hdr *hdr)
{
	static const struct register_ack reg_ack = {
		.hdr = { sizeof(reg_ack) - 8, 0, SCCP_REGISTER_ACK },
		.keepalive_interval = 30,
		.date_template = "D/M/YA",
		.secondary_keepalive_interval = 60,
		.max_protocol = 0x14,
	};
	static const struct sccp_hdr ka_ack = { 4, 0, SCCP_KEEPALIVE_ACK };

	switch (hdr->id) {
	case SCCP_REGISTER:
		c->registered = true;
		return send_pdu(s, c, &reg_ack, sizeof(reg_ack));
	case SCCP_KEEPALIVE:
		s->keepalives++;
		c->last = now_ns();
		unlink_conn(c);
		link_last(s, c);
		if (!c->registered)
			return true;
		if (!send_pdu(s, c, &ka_ack, sizeof(ka_ack)))
			return false;
		s->acks_sent++;
		return true;
	default:
		return true;
	}
}

// Takes every complete PDU out of the buffer; false when the connection has to go.
static bool take_pdus(struct server *s, struct conn *c)
{
	size_t at = 0;

	while (c->used - at >= sizeof(struct sccp_hdr)) {
		struct sccp_hdr hdr;

		memcpy(&hdr, c->buf + at, sizeof(hdr));
		if (hdr.length < 4 || hdr.length > MAX_PDU - 8) {
			complain("a PDU says it is %u bytes long, connection closed", hdr.length);
			return false;
		}
		if (c->used - at < hdr.length + 8)
			break;
		if (!handle_pdu(s, c, &hdr))
			return false;
		at += hdr.length + 8;
	}
	c->used -= at;
	memmove(c->buf, c->buf + at, c->used);
	return true;
}

static void read_conn(struct server *s, struct conn *c)
{
	for (;;) {
		ssize_t n = recv(c->fd, c->buf + c->used, sizeof(c->buf) - c->used, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			drop_conn(c);
			return;
		}
		c->used += n;
		if (!take_pdus(s, c)) {
			drop_conn(c);
			return;
		}
	}
}

static void accept_conns(struct server *s, int listen_fd)
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
		c = calloc(1, sizeof(*c));
		ev.data.ptr = c;
		if (!c || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev)) {
			complain("new connection refused: %s", strerror(errno));
			free(c);
			close(fd);
			continue;
		}
		c->fd = fd;
		c->last = now_ns();
		link_last(s, c);
		s->accepted++;
	}
}

static void unregister_silent(struct server *s)
{
	int64_t limit = now_ns() - s->unregister_after;

	while (s->list.next != &s->list && s->list.next->last <= limit) {
		drop_conn(s->list.next);
		s->unregistered++;
	}
}

static bool listen_on(struct server *s, const char *address, uint16_t port)
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

static struct timespec *next_timeout(struct server *s, struct timespec *ts)
{
	if (!s->unregister_after || s->list.next == &s->list)
		return NULL;
	*ts = ns_to_timespec(s->list.next->last + s->unregister_after - now_ns());
	return ts;
}

static bool serve(struct server *s, const sigset_t *unblocked)
{
	struct epoll_event ev[MAX_EVENTS];

	while (!stop) {
		struct timespec ts;
		int n = epoll_pwait2(s->epoll_fd, ev, MAX_EVENTS, next_timeout(s, &ts), unblocked);

		if (n < 0 && errno != EINTR) {
			complain("epoll_pwait2: %s", strerror(errno));
			return false;
		}
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;

			if (c >= s->listeners && c < s->listeners + s->n_listeners)
				accept_conns(s, c->fd);
			else
				read_conn(s, c);
		}
		if (s->unregister_after)
			unregister_silent(s);
	}
	return true;
}

static void usage(void)
{
	printf("usage: sccp-server [--port PORT[,...]] [--listen ADDR] [--unregister-after MS]\n"
	       "Answers Register and KeepAlive until SIGTERM, then prints its counts as JSON.\n"
	       "  --port              ports to listen on (2000)\n"
	       "  --listen            address (::, which takes IPv4 too)\n"
	       "  --unregister-after  close a connection without a keepalive for so long (off)\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "listen", required_argument, NULL, 'l' },
		{ "unregister-after", required_argument, NULL, 'u' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	static struct server s;
	struct sigaction sa = { .sa_handler = on_signal };
	const char *address = "::";
	char default_ports[] = "2000", *ports = default_ports;
	__cleanup_fd int epoll_fd = -1;
	sigset_t block, unblocked;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (opt) {
		case 'p':
			ports = optarg;
			break;
		case 'l':
			address = optarg;
			break;
		case 'u':
			s.unregister_after = NSEC_PER_MSEC *
					     parse_number("unregister-after", optarg, 0, 86400000);
			break;
		case 'h':
			usage();
			return 0;
		default:
			return 2;
		}
	}
	if (optind < argc)
		usage_error("unexpected argument %s", argv[optind]);

	raise_fd_limit();
	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGINT);
	sigprocmask(SIG_BLOCK, &block, &unblocked);
	sigdelset(&unblocked, SIGTERM);
	sigdelset(&unblocked, SIGINT);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);

	s.list.prev = s.list.next = &s.list;
	s.epoll_fd = epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0) {
		complain("epoll_create1: %s", strerror(errno));
		return 1;
	}
	for (char *p = strtok(ports, ","); p; p = strtok(NULL, ",")) {
		if (s.n_listeners == MAX_PORTS)
			usage_error("--port: more than %d ports", MAX_PORTS);
		if (!listen_on(&s, address, parse_number("port", p, 1, 65535)))
			return 1;
	}
	printf("ready\n");
	fflush(stdout);

	if (!serve(&s, &unblocked))
		return 1;
	printf("{\"accepted\":%lu,\"keepalives\":%lu,\"acks_sent\":%lu,\"unregistered\":%lu,"
	       "\"send_errors\":%lu}\n",
	       s.accepted, s.keepalives, s.acks_sent, s.unregistered, s.send_errors);
	return 0;
}
