// SPDX-License-Identifier: GPL-2.0-only
// sip-server: a call server for SIP phones, as far as keepalives go. It answers each REGISTER with
// 100 Trying and 200 OK, and unregisters a phone whose next REGISTER does not come within expiry
// and grace: it closes the connection and prints one JSON line. At SIGTERM it prints its counts as
// another.
#include "server.h"
#include "sip.h"

#include <getopt.h>
#include <math.h>

#define MAX_OPTIONS 16

// A connection whose answer waits for --answer-delay.
struct sip_conn {
	struct conn conn;		 // first
	struct sip_conn *before, *after; // in the order they are due
	int64_t due;
	struct sip_request request;
	int64_t options_due; // 0: none
	unsigned int options_sent;
};

struct sip_server {
	struct server server;	 // first
	struct sip_conn answers; // head of the ring
	int64_t answer_delay;
	long expires; // as the 200 OK says it, seconds
	unsigned long silent_after;
	int64_t options_after[MAX_OPTIONS]; // in turn
	unsigned int n_options;
	unsigned long options;
	unsigned long registers, keepalives, answered;
};

static bool waits(const struct sip_conn *c)
{
	return c->after;
}

static void wait_no_more(struct sip_conn *c)
{
	c->before->after = c->after;
	c->after->before = c->before;
	c->before = c->after = NULL;
}

static void forget(struct server *s, struct conn *c)
{
	(void)s;
	if (waits((struct sip_conn *)c))
		wait_no_more((struct sip_conn *)c);
}

static bool answer(struct sip_server *s, struct sip_conn *c)
{
	char text[SIP_MAX];
	int len = sip_answer(text, &c->request, "100 Trying", -1);

	if (!server_send(&s->server, &c->conn, text, len))
		return false;
	len = sip_answer(text, &c->request, "200 OK", c->request.expires ? s->expires : 0);
	if (!server_send(&s->server, &c->conn, text, len))
		return false;
	s->answered++;
	if (s->n_options && c->request.expires)
		c->options_due = now_ns() + s->options_after[c->options_sent % s->n_options];
	return true;
}

// Asks a phone whether it is there: the one message that a server sends unasked.
static bool send_options(struct sip_server *s, struct sip_conn *c)
{
	char text[SIP_MAX];
	int len = sprintf(text,
			  "OPTIONS sip:%s@lab SIP/2.0\r\nVia: SIP/2.0/TCP server;"
			  "branch=z9hG4bKo%u\r\nFrom: <sip:server>;tag=1\r\nTo: <sip:%s@lab>\r\n"
			  "Call-ID: options-%u-%s\r\nCSeq: %u OPTIONS\r\nContent-Length: 0\r\n\r\n",
			  c->conn.device, c->options_sent, c->conn.device, c->options_sent,
			  c->conn.device, c->options_sent + 1);

	c->options_due = 0;
	c->options_sent++;
	s->options++;
	return server_send(&s->server, &c->conn, text, len);
}

static int64_t options_due(struct sip_server *s, int64_t now)
{
	struct conn *head = &s->server.list, *next;
	int64_t due = INT64_MAX;

	if (!s->n_options)
		return due;
	for (struct conn *c = head->next; c != head; c = next) {
		struct sip_conn *phone = (struct sip_conn *)c;

		next = c->next;
		if (!phone->options_due)
			continue;
		if (phone->options_due > now)
			due = phone->options_due < due ? phone->options_due : due;
		else if (!send_options(s, phone))
			server_drop(&s->server, c);
	}
	return due;
}

static void answer_later(struct sip_server *s, struct sip_conn *c)
{
	c->due = now_ns() + s->answer_delay;
	c->before = s->answers.before;
	c->after = &s->answers;
	c->before->after = c;
	s->answers.before = c;
}

static int64_t whatever_is_due(struct server *server, int64_t now)
{
	struct sip_server *s = (struct sip_server *)server;
	int64_t options;

	while (s->answers.after != &s->answers && s->answers.after->due <= now) {
		struct sip_conn *c = s->answers.after;

		wait_no_more(c);
		if (!answer(s, c))
			server_drop(server, &c->conn);
	}
	options = options_due(s, now);
	if (s->answers.after == &s->answers || options < s->answers.after->due)
		return options;
	return s->answers.after->due;
}

static ssize_t take_request(struct server *server, struct conn *conn, const uint8_t *data,
			    size_t len)
{
	struct sip_server *s = (struct sip_server *)server;
	struct sip_conn *c = (struct sip_conn *)conn;
	ssize_t taken = sip_complete((const char *)data, len);

	if (!taken)
		return 0;
	// Who asks again before the answer was due gets both now.
	if (waits(c)) {
		wait_no_more(c);
		if (!answer(s, c))
			return -1;
	}
	if (taken > 8 && !memcmp(data, "SIP/2.0 ", 8)) // to our OPTIONS
		return taken;
	if (!sip_parse((const char *)data, taken, &c->request)) {
		complain("not a REGISTER, connection closed");
		return -1;
	}
	s->registers++;
	s->keepalives += !c->request.expires;
	snprintf(conn->device, sizeof(conn->device), "%s", c->request.device);
	server_refresh(server, conn);
	if (s->silent_after && s->registers > s->silent_after)
		return taken;
	if (s->answer_delay)
		answer_later(s, c);
	else if (!answer(s, c))
		return -1;
	return taken;
}

static void parse_options_after(struct sip_server *s, char *list)
{
	for (char *at = strtok(list, ","); at; at = strtok(NULL, ",")) {
		if (s->n_options == MAX_OPTIONS)
			usage_error("--options: more than %d times", MAX_OPTIONS);
		s->options_after[s->n_options++] = NSEC_PER_MSEC *
						   parse_number("options", at, 1, 86400000);
	}
}

static void usage(void)
{
	printf("usage: sip-server [options]\n"
	       "Answers REGISTER until SIGTERM, then prints its counts as JSON.\n"
	       "  --port PORT[,...]  ports to listen on (5060)\n"
	       "  --listen ADDR      address (::, which takes IPv4 too)\n"
	       "  --expires MS       for how long a phone is registered; the 200 OK says it in "
	       "whole\n"
	       "                     seconds (120000)\n"
	       "  --grace MS         how much later it is unregistered (10000); with --expires 0, "
	       "never\n"
	       "  --reset            unregistering closes with RST instead of FIN\n"
	       "  --answer-delay MS  from REGISTER to its answers (0)\n"
	       "  --options MS[,...] send each phone an OPTIONS so long after each 200 OK, the "
	       "times "
	       "in\n"
	       "                     turn (off)\n"
	       "  --close-after MS   close each connection so long after it was made (off)\n"
	       "  --silent-after N   answer no more after N REGISTERs, but let TCP acknowledge "
	       "(off)\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "listen", required_argument, NULL, 'l' },
		{ "expires", required_argument, NULL, 'e' },
		{ "grace", required_argument, NULL, 'g' },
		{ "reset", no_argument, NULL, 'r' },
		{ "answer-delay", required_argument, NULL, 'd' },
		{ "silent-after", required_argument, NULL, 's' },
		{ "options", required_argument, NULL, 'o' },
		{ "close-after", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	static struct sip_server s = {
		.server = {
			.take = take_request,
			.timer = whatever_is_due,
			.forget = forget,
			.conn_size = sizeof(struct sip_conn),
		},
	};
	const char *address = "::";
	char default_ports[] = "5060", *ports = default_ports;
	int64_t expires = 120000, grace = 10000;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (opt) {
		case 'p':
			ports = optarg;
			break;
		case 'l':
			address = optarg;
			break;
		case 'e':
			expires = parse_number("expires", optarg, 0, 86400000);
			break;
		case 'g':
			grace = parse_number("grace", optarg, 0, 86400000);
			break;
		case 'r':
			s.server.reset = true;
			break;
		case 'd':
			s.answer_delay = NSEC_PER_MSEC *
					 parse_number("answer-delay", optarg, 0, 86400000);
			break;
		case 'o':
			parse_options_after(&s, optarg);
			break;
		case 'c':
			s.server.close_after = NSEC_PER_MSEC *
					       parse_number("close-after", optarg, 1, 86400000);
			break;
		case 's':
			s.silent_after = parse_number("silent-after", optarg, 0, 1000000000);
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
	s.expires = expires ? lround(expires / 1000.0) : 3600;
	s.server.unregister_after = expires ? (expires + grace) * NSEC_PER_MSEC : 0;
	s.answers.before = s.answers.after = &s.answers;
	if (!server_run(&s.server, address, ports))
		return 1;
	printf("{\"accepted\":%lu,\"registers\":%lu,\"backup_keepalives\":%lu,\"answered\":%lu,"
	       "\"unregistered\":%lu,\"closed\":%lu,\"options\":%lu,\"send_errors\":%lu}\n",
	       s.server.accepted, s.registers, s.keepalives, s.answered, s.server.unregistered,
	       s.server.closed, s.options, s.server.send_errors);
	return 0;
}
