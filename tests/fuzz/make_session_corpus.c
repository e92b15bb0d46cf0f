// SPDX-License-Identifier: GPL-2.0-only
/*
 * make-session-corpus DIRECTORY: the seeds for the fuzzing of sessions: each kind of message, and
 * keepalives that are answered, that are late by a growing timeout, and that are sent again.
 */
#include <stdio.h>
#include <string.h>

#include "../packets/packets.h"

static const char *directory;

static int write_seed(const char *name, const struct pkt_payload *p)
{
	char path[4096];
	FILE *file;
	int bad;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "wb");
	if (!file) {
		fprintf(stderr, "make-session-corpus: %s: %m\n", path);
		return -1;
	}
	bad = fwrite(p->data, p->len, 1, file) != 1;
	return fclose(file) || bad ? -1 : 0;
}

static void put_message(struct pkt_payload *to, const struct pkt_payload *m)
{
	const __u8 head[5] = { 0, (__u8)m->len, (__u8)(m->len >> 8), 1, 50 };

	pkt_bytes(to, head, sizeof(head));
	pkt_bytes(to, m->data, m->len);
}

/* After so many units (0: µs, 1: ms, 2: 100 ms, 3: s): an event of the fuzzer's target. */
static void put_event(struct pkt_payload *to, __u8 unit, __u8 units, __u8 type, __u8 direction,
		      __u8 kind, __u8 note, __u8 copy)
{
	const __u8 record[31] = { 0x84,
				  unit,
				  units,
				  0,
				  (__u8)(type - 1),
				  direction | 2,
				  kind,
				  0x18,
				  note,
				  0,
				  0,
				  0,
				  0,
				  12,
				  0,
				  0,
				  0,
				  12,
				  copy,
				  copy,
				  0,
				  0,
				  9,
				  9,
				  0,
				  9,
				  copy ? 30 : 0 };

	pkt_bytes(to, record, sizeof(record));
}

static int write_messages(void)
{
	struct pkt_payload m = { 0 }, out = { 0 };
	const __u8 ack[20] = { 30, [12] = 60 };

	pkt_sccp_register(&m, "SEP0024142DDF24");
	put_message(&out, &m);
	m.len = 0;
	pkt_sccp(&m, 0x14, KL_SCCP_ID_REGISTER_ACK, ack, sizeof(ack));
	pkt_sccp(&m, 0x14, KL_SCCP_ID_ALARM, "\2\0\0\0Name=SEP001380AD9E5F Last=CM-aborted-TCP",
		 44);
	put_message(&out, &m);
	if (write_seed("sccp-messages", &out))
		return -1;
	out.len = m.len = 0;
	pkt_sip_register(&m, &(struct pkt_register){ .expires = "3600" });
	put_message(&out, &m);
	m.len = 0;
	pkt_sip_response(&m, "200 OK", "REGISTER", "120", 0);
	put_message(&out, &m);
	return write_seed("sip-messages", &out);
}

static int write_keepalives(void)
{
	struct pkt_payload answered = { 0 }, late = { 0 }, again = { 0 };

	put_event(&answered, 0, 1, 1, 0, 0, 0, 0);
	for (int i = 0; i < 8; i++) {
		put_event(&answered, 3, 30, 3, 0, KL_SCCP_KEEPALIVE, 1, 0);
		put_event(&answered, 1, 2, 3, 1, KL_SCCP_KEEPALIVE_ACK, 8, 0);
		put_event(&late, 3, 30, 3, 0, KL_SCCP_KEEPALIVE, 1, 0);
		put_event(&late, 2, (__u8)(1 << i), 5, 1, KL_OTHER, 8, 0);
		put_event(&again, 3, 30, 3, 0, KL_SCCP_KEEPALIVE, 1, 0);
		put_event(&again, 1, 210, 4, 0, KL_SCCP_KEEPALIVE, 0xc1, 2);
		put_event(&again, 1, 2, 5, 1, KL_OTHER, 8, 0);
	}
	pkt_bytes(&again, "\1\3\5\2\1\3\5", 7);
	return write_seed("answered", &answered) || write_seed("late", &late) ||
	       write_seed("again", &again);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: make-session-corpus DIRECTORY\n");
		return 2;
	}
	directory = argv[1];
	return write_messages() || write_keepalives() ? 1 : 0;
}
