// SPDX-License-Identifier: GPL-2.0-only
// sccp-server: a call server for SCCP phones, as far as keepalives go. It answers Register with
// RegisterAck and each KeepAlive of a registered connection with one KeepAliveAck. A connection
// that never registered is one to a backup server: its keepalives are counted, and acknowledged
// by TCP alone. Each unregistration is one JSON line; at SIGTERM it prints its counts as another.
#include "server.h"

#include <getopt.h>

struct sccp_server {
	struct server server; // first
	unsigned long keepalives, acks_sent;
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

static bool handle_pdu(struct sccp_server *s, struct conn *c, const struct sccp_hdr *hdr,
		       const uint8_t *body)
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
		if (hdr->length >= 4 + sizeof(c->device) - 1)
			memcpy(c->device, body, sizeof(c->device) - 1);
		return server_send(&s->server, c, &reg_ack, sizeof(reg_ack));
	case SCCP_KEEPALIVE:
		s->keepalives++;
		server_refresh(&s->server, c);
		if (!c->registered)
			return true;
		if (!server_send(&s->server, c, &ka_ack, sizeof(ka_ack)))
			return false;
		s->acks_sent++;
		return true;
	default:
		return true;
	}
}

static ssize_t take_pdu(struct server *s, struct conn *c, const uint8_t *data, size_t len)
{
	struct sccp_hdr hdr;

	if (len < sizeof(hdr))
		return 0;
	memcpy(&hdr, data, sizeof(hdr));
	if (hdr.length < 4 || hdr.length > MAX_MESSAGE - 8) {
		complain("a PDU says it is %u bytes long, connection closed", hdr.length);
		return -1;
	}
	if (len < hdr.length + 8)
		return 0;
	if (!handle_pdu((struct sccp_server *)s, c, &hdr, data + sizeof(hdr)))
		return -1;
	return hdr.length + 8;
}

static void usage(void)
{
	printf("usage: sccp-server [--port PORT[,...]] [--listen ADDR] [--unregister-after MS]\n"
	       "Answers Register and KeepAlive until SIGTERM, then prints its counts as JSON.\n"
	       "  --port              ports to listen on (2000)\n"
	       "  --listen            address (::, which takes IPv4 too)\n"
	       "  --unregister-after  close a connection without a keepalive for so long (off)\n"
	       "  --close-after       close each connection so long after it was made (off)\n"
	       "  --reset             close with RST instead of FIN\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "listen", required_argument, NULL, 'l' },
		{ "unregister-after", required_argument, NULL, 'u' },
		{ "close-after", required_argument, NULL, 'c' },
		{ "reset", no_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	static struct sccp_server s = {
		.server = { .take = take_pdu, .conn_size = sizeof(struct conn) },
	};
	const char *address = "::";
	char default_ports[] = "2000", *ports = default_ports;
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
			s.server.unregister_after = NSEC_PER_MSEC * parse_number("unregister-after",
										 optarg, 0,
										 86400000);
			break;
		case 'c':
			s.server.close_after = NSEC_PER_MSEC *
					       parse_number("close-after", optarg, 1, 86400000);
			break;
		case 'r':
			s.server.reset = true;
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
	if (!server_run(&s.server, address, ports))
		return 1;
	printf("{\"accepted\":%lu,\"keepalives\":%lu,\"acks_sent\":%lu,\"unregistered\":%lu,"
	       "\"closed\":%lu,\"send_errors\":%lu}\n",
	       s.server.accepted, s.keepalives, s.acks_sent, s.server.unregistered, s.server.closed,
	       s.server.send_errors);
	return 0;
}
