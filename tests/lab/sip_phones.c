// SPDX-License-Identifier: GPL-2.0-only
// sip-phones: many SIP phones in one process. Each has a TCP connection to the call server and
// refreshes its registration by a REGISTER like a Cisco phone's, some time before the Expires of
// the last 200 OK is over. That time counts from when the 200 OK came, so delays add up. A phone
// whose connection the server closes connects and registers again. At the end it waits for what
// is unanswered, closes with FIN and prints one JSON line.
#include "phone.h"
#include "sip.h"

#include <getopt.h>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#define MAX_EVENTS 256
#define SPLIT_AT 400
#define MIN_REFRESH (10 * NSEC_PER_MSEC)
#define SETTLE_LIMIT (5 * NSEC_PER_SEC)
#define CLOSE_LIMIT (1 * NSEC_PER_SEC)

enum state {
	PHONE_DOWN,
	PHONE_CONNECTING,
	PHONE_ASKING, // a REGISTER is unanswered
	PHONE_READY,
	PHONE_CLOSING
};

struct phone {
	enum state state;
	int fd;
	int64_t due; // for whatever comes next in this state
	int place;   // in the heap
	unsigned int cseq, calls;
	bool ever_registered;
	size_t used;
	char buf[2048];
};

struct lab {
	struct phone *phones;
	struct phone **heap; // the one that is due first is at 0
	int n_phones, first_device;
	struct ends ends;
	int epoll_fd;
	int64_t duration, delta, refresh, spread, give_up, reconnect, linger;
	bool backup, split, stay_down, quiet, sending;
	char server_text[ADDRESS_TEXT];
	unsigned long sent, answered, connects, closed_by_server, gave_up, failures;
};

static void heap_put(struct lab *l, int place, struct phone *p)
{
	l->heap[place] = p;
	p->place = place;
}

// Moves a phone to where it belongs after its time changed.
static void set_due(struct lab *l, struct phone *p, int64_t due)
{
	int at = p->place;

	p->due = due;
	while (at && l->heap[(at - 1) / 2]->due > due) {
		heap_put(l, at, l->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (int child; (child = 2 * at + 1) < l->n_phones; at = child) {
		if (child + 1 < l->n_phones && l->heap[child + 1]->due < l->heap[child]->due)
			child++;
		if (l->heap[child]->due >= due)
			break;
		heap_put(l, at, l->heap[child]);
	}
	heap_put(l, at, p);
}

static void close_phone(struct lab *l, struct phone *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	p->used = 0;
	p->state = PHONE_DOWN;
	set_due(l, p, INT64_MAX);
}

static void phone_lost(struct lab *l, struct phone *p, const char *why)
{
	if (!l->quiet)
		complain("phone %ld: %s", (long)(p - l->phones), why);
	close_phone(l, p);
	if (l->sending && !l->stay_down)
		set_due(l, p, now_ns() + l->reconnect);
}

static void phone_failed(struct lab *l, struct phone *p, const char *why)
{
	l->failures++;
	phone_lost(l, p, why);
}

static void start_connect(struct lab *l, struct phone *p)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT, .data.ptr = p };

	p->fd = open_connection(&l->ends, p - l->phones);
	if (p->fd < 0 || (errno && errno != EINPROGRESS) ||
	    epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, p->fd, &ev)) {
		phone_failed(l, p, strerror(errno));
		return;
	}
	p->state = PHONE_CONNECTING;
	p->calls++;
	set_due(l, p, now_ns() + l->give_up);
}

static int register_text(const struct lab *l, const struct phone *p, char out[SIP_MAX])
{
	struct sockaddr_storage own = { 0 };
	socklen_t own_len = sizeof(own);
	char address[ADDRESS_TEXT] = "", device[16];
	unsigned int n = p - l->phones, user = 1000 + n;
	uint16_t port = 0;
	int len;

	if (!getsockname(p->fd, (struct sockaddr *)&own, &own_len))
		port = address_text(&own, address);
	device_name(l->first_device + n, device);
	len = sprintf(out,
		      "REGISTER sip:%s SIP/2.0\r\n"
		      "Via: SIP/2.0/TCP %s:%u;branch=z9hG4bK%08x\r\n"
		      "From: <sip:%u@%s>;tag=%.12s%08x\r\nTo: <sip:%u@%s>\r\n"
		      "Call-ID: %.12s-%08x@%s\r\nMax-Forwards: 70\r\nCSeq: %u REGISTER\r\n"
		      "User-Agent: Cisco-CP8961/9.4.2\r\n"
		      "Contact: <sip:%u@%s:%u;transport=tcp>;"
		      "+sip.instance=\"<urn:uuid:00000000-0000-0000-0000-%.12s>\";"
		      "+u.sip!devicename.ccm.cisco.com=\"%.15s\";"
		      "+u.sip!model.ccm.cisco.com=\"493\"%s\r\n"
		      "Expires: %d\r\nContent-Length: 0\r\n",
		      l->server_text, address, port, n << 16 | (p->cseq & 0xffff), user,
		      l->server_text, device + 3, p->calls, user, l->server_text, device + 3,
		      p->calls, address, p->cseq, user, address, port, device + 3, device,
		      l->backup ? ";expires=0;cisco-keep-alive" : "", l->backup ? 0 : 3600);
	return sip_end(out, len, SIP_REGISTER_SIZE);
}

// MSG_EOR keeps every part in a segment of its own, also when TCP retransmits.
static bool send_part(struct lab *l, struct phone *p, const char *text, size_t len)
{
	if (send(p->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_EOR) == (ssize_t)len)
		return true;
	phone_failed(l, p, "cannot send, the socket is full or broken");
	return false;
}

static void send_register(struct lab *l, struct phone *p)
{
	char text[SIP_MAX];
	int len, first = 0;

	p->cseq++;
	len = register_text(l, p, text);
	if (l->split) {
		first = SPLIT_AT;
		if (!send_part(l, p, text, first))
			return;
	}
	if (!send_part(l, p, text + first, len - first))
		return;
	l->sent++;
	p->state = PHONE_ASKING;
	set_due(l, p, now_ns() + l->give_up);
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
		phone_failed(l, p, strerror(err));
		return;
	}
	l->connects++;
	p->cseq = 100;
	send_register(l, p);
}

static void take_answer(struct lab *l, struct phone *p, const char *text, size_t len)
{
	char expires[20], cseq[40];
	int64_t refresh = l->refresh;

	if (len < 12 || memcmp(text, "SIP/2.0 200 ", 12) || p->state != PHONE_ASKING ||
	    !sip_header(text, len, "CSeq", cseq, sizeof(cseq)) ||
	    strtoul(cseq, NULL, 10) != p->cseq)
		return;
	l->answered++;
	p->ever_registered = true;
	p->state = PHONE_READY;
	if (!refresh && sip_header(text, len, "Expires", expires, sizeof(expires)))
		refresh = atol(expires) * NSEC_PER_SEC - l->delta;
	set_due(l, p, now_ns() + (refresh < MIN_REFRESH ? MIN_REFRESH : refresh));
}

// The server asks whether the phone is there.
static void answer_options(struct lab *l, struct phone *p, const char *text, size_t len)
{
	struct sip_request r;
	char answer[SIP_MAX];

	if (!sip_parse_dialog(text, len, &r)) {
		phone_failed(l, p, "the server sent half an OPTIONS");
		return;
	}
	send_part(l, p, answer, sip_answer(answer, &r, "200 OK", -1));
}

static void read_phone(struct lab *l, struct phone *p)
{
	while (p->fd >= 0) {
		ssize_t n = recv(p->fd, p->buf + p->used, sizeof(p->buf) - p->used, MSG_DONTWAIT);
		ssize_t len;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			l->closed_by_server += l->sending;
			phone_lost(l, p, n ? strerror(errno) : "closed by the server");
			return;
		}
		p->used += n;
		while ((len = sip_complete(p->buf, p->used))) {
			if (len > 8 && !memcmp(p->buf, "OPTIONS ", 8))
				answer_options(l, p, p->buf, len);
			else
				take_answer(l, p, p->buf, len);
			if (p->fd < 0)
				return;
			p->used -= len;
			memmove(p->buf, p->buf + len, p->used);
		}
		if (p->used == sizeof(p->buf))
			phone_failed(l, p, "the server sent no SIP message");
	}
}

static void phone_due(struct lab *l, struct phone *p)
{
	switch (p->state) {
	case PHONE_DOWN:
		start_connect(l, p);
		break;
	case PHONE_READY:
		send_register(l, p);
		break;
	case PHONE_CONNECTING:
	case PHONE_ASKING:
		l->gave_up++;
		phone_lost(l, p, "gave up");
		break;
	case PHONE_CLOSING:
		set_due(l, p, INT64_MAX);
		break;
	}
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
	int64_t now = now_ns(), end = now + l->duration;

	for (int i = 0; i < l->n_phones; i++)
		set_due(l, &l->phones[i], now + l->spread / l->n_phones * i);
	for (; !stop && now < end; now = now_ns()) {
		while (l->heap[0]->due <= now)
			phone_due(l, l->heap[0]);
		if (!wait_events(l, l->heap[0]->due < end ? l->heap[0]->due : end, unblocked))
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
		*unanswered += p->state == PHONE_ASKING;
	}
}

// Every connection is still there, and no longer asks for anything. FIN goes out first, then the
// server's is awaited.
static bool close_all(struct lab *l, const sigset_t *unblocked)
{
	int64_t limit = now_ns() + CLOSE_LIMIT;
	int open = 1;

	l->quiet = true;
	for (int i = 0; i < l->n_phones; i++) {
		struct phone *p = &l->phones[i];

		if (p->state == PHONE_CONNECTING) {
			close_phone(l, p);
		} else if (p->fd >= 0) {
			p->state = PHONE_CLOSING;
			shutdown(p->fd, SHUT_WR);
		}
	}
	while (open && now_ns() < limit) {
		if (!wait_events(l, now_ns() + 10 * NSEC_PER_MSEC, unblocked))
			return false;
		open = 0;
		for (int i = 0; i < l->n_phones; i++)
			open += l->phones[i].fd >= 0;
	}
	return true;
}

static bool finish(struct lab *l, const sigset_t *unblocked)
{
	int64_t last = now_ns(), limit = last + SETTLE_LIMIT;
	unsigned long unacked, unanswered;
	int connected_now = 0, ever = 0;

	l->sending = false;
	stop = 0; // a second SIGTERM cuts the waits short
	count_unsettled(l, &unacked, &unanswered);
	while ((unacked || unanswered || now_ns() < last + l->linger) && !stop &&
	       now_ns() < (limit > last + l->linger ? limit : last + l->linger)) {
		if (!wait_events(l, now_ns() + 5 * NSEC_PER_MSEC, unblocked))
			return false;
		count_unsettled(l, &unacked, &unanswered);
	}
	for (int i = 0; i < l->n_phones; i++) {
		connected_now += l->phones[i].state > PHONE_CONNECTING;
		ever += l->phones[i].ever_registered;
	}
	if (!close_all(l, unblocked))
		return false;
	printf("{\"phones\":%d,\"connected\":%d,\"registers_sent\":%lu,\"answers_received\":%lu,"
	       "\"closed_by_server\":%lu,\"ever_registered\":%d,\"connects\":%lu,\"gave_up\":%lu,"
	       "\"failures\":%lu,\"unacked_at_end\":%lu,\"unanswered_at_end\":%lu}\n",
	       l->n_phones, connected_now, l->sent, l->answered, l->closed_by_server, ever,
	       l->connects, l->gave_up, l->failures, unacked, unanswered);
	return true;
}

static bool allocate(struct lab *l)
{
	l->phones = calloc(l->n_phones, sizeof(*l->phones));
	l->heap = calloc(l->n_phones, sizeof(struct phone *));
	if (!l->phones || !l->heap) {
		complain("no memory for %d phones", l->n_phones);
		return false;
	}
	for (int i = 0; i < l->n_phones; i++) {
		l->phones[i].fd = -1;
		l->phones[i].due = INT64_MAX;
		heap_put(l, i, &l->phones[i]);
	}
	return true;
}

static void usage(void)
{
	printf("usage: sip-phones --server ADDR [options]\n"
	       "  --port PORT       the server's port (5060)\n"
	       "  --phones N        how many phones (1)\n"
	       "  --duration MS     from program start to the last REGISTER (60000)\n"
	       "  --bind ADDR[,...] own addresses, taken in turn\n"
	       "  --delta MS        how long before the end of Expires a phone refreshes (5000)\n"
	       "  --refresh MS      refresh so long after each 200 OK, whatever it says\n"
	       "  --spread MS       the phones connect one after the other within so long (1000)\n"
	       "  --backup          keepalives to a backup server: Expires 0 and "
	       "cisco-keep-alive,\n"
	       "                    every 115 s if --refresh does not say otherwise\n"
	       "  --split           each REGISTER in two segments\n"
	       "  --give-up MS      close a connection whose REGISTER is so long unanswered "
	       "(32000)\n"
	       "  --reconnect MS    wait so long after a connection ended (500)\n"
	       "  --stay-down       do not connect again\n"
	       "  --linger MS       keep the connections open so long after the last REGISTER\n"
	       "  --device N        the first phone is SEP002414 and N in six hex digits (0)\n"
	       "  --quiet           no word about single connections on stderr\n");
}

static int64_t parse_ms(const char *option, const char *text, int64_t min)
{
	return NSEC_PER_MSEC * parse_number(option, text, min, 604800000);
}

static void parse_options(struct lab *l, int argc, char **argv)
{
	static const struct option options[] = {
		{ "server", required_argument, NULL, 's' },
		{ "port", required_argument, NULL, 'p' },
		{ "phones", required_argument, NULL, 'n' },
		{ "duration", required_argument, NULL, 'd' },
		{ "bind", required_argument, NULL, 'b' },
		{ "delta", required_argument, NULL, 'D' },
		{ "refresh", required_argument, NULL, 'f' },
		{ "spread", required_argument, NULL, 'S' },
		{ "backup", no_argument, NULL, 'B' },
		{ "split", no_argument, NULL, '2' },
		{ "give-up", required_argument, NULL, 'g' },
		{ "reconnect", required_argument, NULL, 'c' },
		{ "stay-down", no_argument, NULL, 'x' },
		{ "linger", required_argument, NULL, 'l' },
		{ "device", required_argument, NULL, 'N' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *server = NULL;
	int port = 5060, opt;

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
		case 'd':
			l->duration = parse_ms("duration", optarg, 1);
			break;
		case 'b':
			parse_binds(&l->ends, optarg);
			break;
		case 'D':
			l->delta = parse_ms("delta", optarg, 0);
			break;
		case 'f':
			l->refresh = parse_ms("refresh", optarg, 1);
			break;
		case 'S':
			l->spread = parse_ms("spread", optarg, 0);
			break;
		case 'B':
			l->backup = true;
			break;
		case '2':
			l->split = true;
			break;
		case 'g':
			l->give_up = parse_ms("give-up", optarg, 1);
			break;
		case 'c':
			l->reconnect = parse_ms("reconnect", optarg, 0);
			break;
		case 'x':
			l->stay_down = true;
			break;
		case 'l':
			l->linger = parse_ms("linger", optarg, 0);
			break;
		case 'N':
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
	snprintf(l->server_text, sizeof(l->server_text), "%s", server);
	if (l->backup && !l->refresh)
		l->refresh = 115 * NSEC_PER_SEC;
}

int main(int argc, char **argv)
{
	static struct lab l = {
		.n_phones = 1,
		.duration = 60 * NSEC_PER_SEC,
		.delta = 5 * NSEC_PER_SEC,
		.spread = NSEC_PER_SEC,
		.give_up = 32 * NSEC_PER_SEC,
		.reconnect = 500 * NSEC_PER_MSEC,
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
