// SPDX-License-Identifier: GPL-2.0-only
// sccp-phones: many SCCP phones in one process. Each has a TCP connection to the call server,
// registers, then sends a 12-byte KeepAlive every period and counts the KeepAliveAcks. Keepalive
// slots of the phones are spread evenly over the period. At the end it waits until everything
// sent was acknowledged by TCP and answered, closes with FIN and prints one JSON line.
#include "phone.h"

#include <getopt.h>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#define MAX_EVENTS 256
#define CONNECT_GAP (NSEC_PER_SEC / 500) // at most so many new connections a second
#define RETRY_DELAY (500 * NSEC_PER_MSEC)
#define CLOSE_LIMIT (1 * NSEC_PER_SEC)

enum state {
	PHONE_DOWN,
	PHONE_CONNECTING,
	PHONE_REGISTERING,
	PHONE_READY
};

struct phone {
	enum state state;
	int fd;
	bool ever_connected;
	int64_t due; // of the next attempt to connect
	int64_t registered_at;
	unsigned int unanswered;
	size_t used;
	uint8_t buf[256];
};

// Phones that wait for a connection, in the order of their due times.
struct queue {
	int *index;
	size_t head, count, size;
};

struct lab {
	struct phone *phones;
	int n_phones, first_device;
	struct queue starts, retries;
	struct ends ends;
	int epoll_fd;
	int64_t start, period, duration, linger, settle, next_connect;
	uint64_t next_slot;
	bool backup, merge, quiet, sending;
	unsigned long sent, acks, connects, registered, closed_by_server, failures;
};

struct register_msg {
	struct sccp_hdr hdr;
	char name[16];
	uint32_t user_id;
	uint32_t instance;
	uint32_t ip;
	uint32_t device_type;
	uint32_t max_streams;
	uint32_t active_streams;
	uint32_t protocol;
	uint32_t max_conferences;
	uint32_t active_conferences;
} __attribute__((packed));

_Static_assert(sizeof(struct register_msg) == 64, "Register");
_Static_assert(offsetof(struct register_msg, name) == 12, "Register name");
_Static_assert(offsetof(struct register_msg, ip) == 36, "Register IPv4 address");

static void enqueue(struct queue *q, int index)
{
	q->index[(q->head + q->count++) % q->size] = index;
}

static void close_phone(struct phone *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	p->state = PHONE_DOWN;
	p->used = 0;
	p->unanswered = 0;
}

// The connection is gone: say why and try again a little later.
static void phone_lost(struct lab *l, struct phone *p, const char *why)
{
	if (!l->quiet)
		complain("phone %ld: %s", (long)(p - l->phones), why);
	close_phone(p);
	p->due = now_ns() + RETRY_DELAY;
	if (l->sending)
		enqueue(&l->retries, p - l->phones);
}

static void connect_failed(struct lab *l, struct phone *p, int err)
{
	l->failures++;
	phone_lost(l, p, strerror(err));
}

static void start_connect(struct lab *l, struct phone *p)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT, .data.ptr = p };

	p->fd = open_connection(&l->ends, p - l->phones);
	if (p->fd < 0 || (errno && errno != EINPROGRESS) ||
	    epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, p->fd, &ev)) {
		connect_failed(l, p, errno);
		return;
	}
	p->state = PHONE_CONNECTING;
}

// MSG_EOR keeps every message in a segment of its own, also when TCP retransmits: so it is on
// the wire of real phones.
static bool send_pdu(struct lab *l, struct phone *p, const void *pdu, size_t len)
{
	int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (l->merge ? 0 : MSG_EOR);

	if (send(p->fd, pdu, len, flags) == (ssize_t)len)
		return true;
	l->failures++;
	phone_lost(l, p, "cannot send, the socket is full or broken");
	return false;
}

static void send_register(struct lab *l, struct phone *p)
{
	struct register_msg m = {
		.hdr = { sizeof(m) - 8, 0, SCCP_REGISTER },
		.device_type = 436,
		.max_streams = 5,
		.protocol = 0x14,
	};
	struct sockaddr_in own = { 0 };
	socklen_t len = sizeof(own);

	device_name(l->first_device + (p - l->phones), m.name);
	if (!getsockname(p->fd, (struct sockaddr *)&own, &len) && own.sin_family == AF_INET)
		m.ip = own.sin_addr.s_addr;
	if (send_pdu(l, p, &m, sizeof(m))) {
		p->state = PHONE_REGISTERING;
		p->registered_at = now_ns();
	}
}

static void connected(struct lab *l, struct phone *p)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = p };
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	if (!err && epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, p->fd, &ev))
		err = errno;
	if (err) {
		connect_failed(l, p, err);
		return;
	}
	l->connects++;
	p->ever_connected = true;
	if (l->backup)
		p->state = PHONE_READY;
	else
		send_register(l, p);
}

static void take_pdus(struct lab *l, struct phone *p)
{
	size_t at = 0;

	while (p->used - at >= sizeof(struct sccp_hdr)) {
		struct sccp_hdr hdr;

		memcpy(&hdr, p->buf + at, sizeof(hdr));
		if (hdr.length < 4 || hdr.length > sizeof(p->buf) - 8) {
			l->failures++;
			phone_lost(l, p, "the server sent a PDU of impossible length");
			return;
		}
		if (p->used - at < hdr.length + 8)
			break;
		if (hdr.id == SCCP_REGISTER_ACK && p->state == PHONE_REGISTERING) {
			p->state = PHONE_READY;
			l->registered++;
		} else if (hdr.id == SCCP_KEEPALIVE_ACK) {
			l->acks++;
			if (p->unanswered)
				p->unanswered--;
		}
		at += hdr.length + 8;
	}
	p->used -= at;
	memmove(p->buf, p->buf + at, p->used);
}

static void read_phone(struct lab *l, struct phone *p)
{
	while (p->fd >= 0) {
		ssize_t n = recv(p->fd, p->buf + p->used, sizeof(p->buf) - p->used, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			if (l->sending)
				l->closed_by_server++;
			phone_lost(l, p, n ? strerror(errno) : "closed by the server");
			return;
		}
		p->used += n;
		take_pdus(l, p);
	}
}

static void send_keepalive(struct lab *l, struct phone *p, int64_t now)
{
	static const struct sccp_hdr keepalive = { 4, 0, SCCP_KEEPALIVE };

	// A RegisterAck that does not come must not keep the phone silent for ever.
	if (p->state == PHONE_REGISTERING && now - p->registered_at >= l->period)
		p->state = PHONE_READY;
	if (p->state != PHONE_READY || !send_pdu(l, p, &keepalive, sizeof(keepalive)))
		return;
	l->sent++;
	if (!l->backup)
		p->unanswered++;
}

static int64_t slot_time(const struct lab *l, uint64_t slot)
{
	return l->start + (int64_t)((__int128)slot * l->period / l->n_phones);
}

static void connect_due(struct lab *l, struct queue *q, int64_t now)
{
	while (q->count && now >= l->next_connect) {
		struct phone *p = &l->phones[q->index[q->head]];

		if (p->due > now)
			return;
		q->head = (q->head + 1) % q->size;
		q->count--;
		start_connect(l, p);
		l->next_connect = (now > l->next_connect + 50 * CONNECT_GAP ? now
									    : l->next_connect) +
				  CONNECT_GAP;
	}
}

static int64_t min_due(const struct lab *l, const struct queue *q, int64_t until)
{
	int64_t due;

	if (!q->count)
		return until;
	due = l->phones[q->index[q->head]].due;
	if (due < l->next_connect)
		due = l->next_connect;
	return due < until ? due : until;
}

static bool wait_events(struct lab *l, int64_t until, const sigset_t *unblocked)
{
	struct timespec ts = ns_to_timespec(until - now_ns());
	struct epoll_event ev[MAX_EVENTS];
	int n = epoll_pwait2(l->epoll_fd, ev, MAX_EVENTS, &ts, unblocked);

	if (n < 0 && errno != EINTR) {
		complain("epoll_pwait2: %s", strerror(errno));
		return false;
	}
	for (int i = 0; i < n; i++) {
		struct phone *p = ev[i].data.ptr;

		if (p->state == PHONE_CONNECTING)
			connected(l, p);
		else if (p->fd >= 0)
			read_phone(l, p);
	}
	return true;
}

static bool run(struct lab *l, const sigset_t *unblocked)
{
	int64_t end = l->start + l->duration;

	for (int64_t now = now_ns(); !stop && now < end; now = now_ns()) {
		int64_t until = end;

		connect_due(l, &l->retries, now);
		connect_due(l, &l->starts, now);
		while (slot_time(l, l->next_slot) <= now)
			send_keepalive(l, &l->phones[l->next_slot++ % l->n_phones], now);
		if (slot_time(l, l->next_slot) < until)
			until = slot_time(l, l->next_slot);
		until = min_due(l, &l->starts, until);
		until = min_due(l, &l->retries, until);
		if (!wait_events(l, until, unblocked))
			return false;
	}
	return true;
}

static void count_unsettled(struct lab *l, unsigned long *unacked, unsigned long *unanswered)
{
	*unacked = *unanswered = 0;
	for (int i = 0; i < l->n_phones; i++) {
		struct phone *p = &l->phones[i];
		int queued = 0;

		if (p->fd < 0 || p->state == PHONE_CONNECTING)
			continue;
		if (!ioctl(p->fd, SIOCOUTQ, &queued) && queued)
			++*unacked;
		if (p->unanswered)
			++*unanswered;
	}
}

static bool wait_until(struct lab *l, int64_t until, const sigset_t *unblocked)
{
	while (!stop && now_ns() < until) {
		if (!wait_events(l, until, unblocked))
			return false;
	}
	return true;
}

// FIN first, then the server's FIN is awaited: a close with unread data would send a RST.
static bool close_all(struct lab *l, const sigset_t *unblocked)
{
	int64_t limit = now_ns() + CLOSE_LIMIT;
	int open = 0;

	for (int i = 0; i < l->n_phones; i++) {
		struct phone *p = &l->phones[i];

		if (p->state == PHONE_CONNECTING)
			close_phone(p);
		else if (p->fd >= 0)
			shutdown(p->fd, SHUT_WR);
	}
	l->quiet = true;
	do {
		if (!wait_events(l, now_ns() + 10 * NSEC_PER_MSEC, unblocked))
			return false;
		open = 0;
		for (int i = 0; i < l->n_phones; i++)
			open += l->phones[i].fd >= 0;
	} while (open && now_ns() < limit);
	return true;
}

static bool finish(struct lab *l, const sigset_t *unblocked)
{
	int64_t last = now_ns(), limit = last + l->settle;
	unsigned long unacked, unanswered;
	int connected_now = 0, ever = 0;

	l->sending = false;
	stop = 0; // a second SIGTERM cuts the waits short
	for (count_unsettled(l, &unacked, &unanswered);
	     (unacked || unanswered) && !stop && now_ns() < limit;
	     count_unsettled(l, &unacked, &unanswered)) {
		if (!wait_events(l, now_ns() + 5 * NSEC_PER_MSEC, unblocked))
			return false;
	}
	if (!wait_until(l, last + l->linger, unblocked))
		return false;
	count_unsettled(l, &unacked, &unanswered);
	for (int i = 0; i < l->n_phones; i++) {
		connected_now += l->phones[i].state > PHONE_CONNECTING;
		ever += l->phones[i].ever_connected;
	}
	if (!close_all(l, unblocked))
		return false;
	printf("{\"phones\":%d,\"connected\":%d,\"keepalives_sent\":%lu,\"acks_received\":%lu,"
	       "\"closed_by_server\":%lu,\"ever_connected\":%d,\"connects\":%lu,\"registered\":%lu,"
	       "\"failures\":%lu,\"unacked_at_end\":%lu,\"unanswered_at_end\":%lu}\n",
	       l->n_phones, connected_now, l->sent, l->acks, l->closed_by_server, ever, l->connects,
	       l->registered, l->failures, unacked, unanswered);
	return true;
}

static bool allocate(struct lab *l)
{
	l->phones = calloc(l->n_phones, sizeof(*l->phones));
	l->starts.index = calloc(l->n_phones, sizeof(int));
	l->retries.index = calloc(l->n_phones, sizeof(int));
	l->starts.size = l->retries.size = l->n_phones;
	if (!l->phones || !l->starts.index || !l->retries.index) {
		complain("no memory for %d phones", l->n_phones);
		return false;
	}
	l->start = l->next_connect = now_ns();
	for (int i = 0; i < l->n_phones; i++) {
		l->phones[i].fd = -1;
		l->phones[i].due = slot_time(l, i);
		enqueue(&l->starts, i);
	}
	return true;
}

static void usage(void)
{
	printf("usage: sccp-phones --server ADDR [options]\n"
	       "  --port PORT        the server's port (2000)\n"
	       "  --phones N         how many phones (1)\n"
	       "  --period MS        keepalive period of each (30000)\n"
	       "  --duration MS      from program start to the last keepalive (60000)\n"
	       "  --bind ADDR[,...]  own addresses, taken in turn\n"
	       "  --backup           connections to a backup server: no Register, no KeepAliveAck\n"
	       "  --merge            let TCP put several keepalives into one segment\n"
	       "  --linger MS        keep the connections open so long after the last keepalive\n"
	       "  --settle MS        then wait so long at most for what is still unanswered "
	       "(3000)\n"
	       "  --device N         the first phone is SEP002414 and N in six hex digits (0)\n"
	       "  --quiet            no word about single connections on stderr\n");
}

static void parse_options(struct lab *l, int argc, char **argv)
{
	static const struct option options[] = {
		{ "server", required_argument, NULL, 's' },
		{ "port", required_argument, NULL, 'p' },
		{ "phones", required_argument, NULL, 'n' },
		{ "period", required_argument, NULL, 'i' },
		{ "duration", required_argument, NULL, 'd' },
		{ "bind", required_argument, NULL, 'b' },
		{ "backup", no_argument, NULL, 'B' },
		{ "merge", no_argument, NULL, 'm' },
		{ "linger", required_argument, NULL, 'l' },
		{ "settle", required_argument, NULL, 'S' },
		{ "device", required_argument, NULL, 'D' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *server = NULL;
	int port = 2000, opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (opt) {
		case 's':
			server = optarg;
			break;
		case 'p':
			port = parse_number("port", optarg, 1, 65535);
			break;
		case 'n':
			l->n_phones = parse_number("phones", optarg, 1, 1000000);
			break;
		case 'i':
			l->period = parse_number("period", optarg, 1, 86400000) * NSEC_PER_MSEC;
			break;
		case 'd':
			l->duration = NSEC_PER_MSEC *
				      parse_number("duration", optarg, 1, 604800000);
			break;
		case 'b':
			parse_binds(&l->ends, optarg);
			break;
		case 'B':
			l->backup = true;
			break;
		case 'm':
			l->merge = true;
			break;
		case 'l':
			l->linger = parse_number("linger", optarg, 0, 86400000) * NSEC_PER_MSEC;
			break;
		case 'S':
			l->settle = parse_number("settle", optarg, 0, 86400000) * NSEC_PER_MSEC;
			break;
		case 'D':
			l->first_device = parse_number("device", optarg, 0, 0xffffff);
			break;
		case 'q':
			l->quiet = true;
			break;
		case 'h':
			usage();
			exit(0);
		default:
			exit(2);
		}
	}
	if (optind < argc)
		usage_error("unexpected argument %s", argv[optind]);
	parse_server(&l->ends, server, port);
}

int main(int argc, char **argv)
{
	static struct lab l = {
		.n_phones = 1,
		.period = 30 * NSEC_PER_SEC,
		.duration = 60 * NSEC_PER_SEC,
		.settle = 3 * NSEC_PER_SEC,
		.sending = true,
	};
	__cleanup_fd int epoll_fd = -1;
	sigset_t unblocked;

	parse_options(&l, argc, argv);
	raise_fd_limit();
	catch_stop(&unblocked);

	l.epoll_fd = epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0) {
		complain("epoll_create1: %s", strerror(errno));
		return 1;
	}
	if (!allocate(&l) || !run(&l, &unblocked) || !finish(&l, &unblocked))
		return 1;
	return 0;
}
