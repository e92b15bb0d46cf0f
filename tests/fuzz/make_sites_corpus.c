// SPDX-License-Identifier: GPL-2.0-only
/* make-sites-corpus DIRECTORY: streams of batches and records of owners for the fuzzer to begin with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/join_state.h"
#include "core/sites.h"
#include "seeds.h"

enum {
	COMMITS = 1 << 6, /* as in fuzz_sites.c */
	DIES = 1 << 7,
	CENTRE = 2,
	SECONDS = 30,
};

#define S 1000000000ULL
#define MS 1000000ULL
#define START_NS 1790000000000000000ULL

/* What is different from one stream to the next. */
struct world {
	int64_t ahead_ns; /* the cucm agent's clock */
	uint32_t lost;	  /* each so many keepalives; 0: none */
	__u32 phones;
	__u32 gap;	 /* the second that the cucm agent missed; 0: none */
	__u32 restart;	 /* the second from which on it has another boot; 0: none */
	__u32 step;	 /* the second from which on its clock is a minute ahead; 0: none */
	__u32 branches;	 /* that have an agent */
	__u32 dies_each; /* seconds; 0: never */
	enum kl_wire_rule rule;
};

static void add(struct kl_wire_batch *b, __u32 phone, uint64_t time_ns, __u32 d, __u32 number,
		__u32 copy)
{
	bool answer = d == KL_TO_PHONE;

	b->of[b->count++] = (struct kl_wire_sighting){
		.sighted = { .time_ns = time_ns,
			     .ends = { .phone = { 0x0a000001 + phone },
				       .cucm = { 0x0a000063 },
				       .phone_port = 50000,
				       .cucm_port = 2000,
				       .family = 4 },
			     .seq = 1000 * (d + 1) + 12 * number,
			     .ack = 1000 * (2 - d) + 12 * (number + answer),
			     .payload_len = 12,
			     .stamp = 1 + 2 * number + copy,
			     .side = (__u8)b->side,
			     .direction = (__u8)d,
			     .kind = answer ? KL_SCCP_KEEPALIVE_ACK : KL_SCCP_KEEPALIVE,
			     .flags = KL_ACK | KL_PSH },
	};
}

/* What an agent saw in a second: each phone's keepalive, again if it was lost, and its answer. */
static void see(const struct world *w, struct kl_wire_batch *b, __u32 second, __u32 branch)
{
	bool cucm = b->side == KL_CUCM;

	b->count = 0;
	for (__u32 phone = 0; phone < w->phones; phone++) {
		bool lost = w->lost && (second * w->phones + phone) % w->lost == 0;
		uint64_t at_ns = b->from_ns + phone * 10 * MS;

		if (!cucm && phone % w->branches != branch)
			continue;
		if (!cucm || !lost)
			add(b, phone, at_ns + 2 * cucm * MS, KL_TO_CUCM, second, 0);
		if (lost)
			at_ns += 300 * MS;
		if (lost)
			add(b, phone, at_ns + 2 * cucm * MS, KL_TO_CUCM, second, 1);
		add(b, phone, at_ns + (5 - 2 * cucm) * MS, KL_TO_PHONE, second, 0);
	}
}

static void put(struct kl_bytes *to, const struct kl_wire_batch *b, __u8 from, __u8 later)
{
	struct kl_bytes bytes = {};
	__u8 head[4] = { from, later };

	if (kl_wire_encode(b, &bytes))
		exit(1);
	head[2] = (__u8)bytes.len;
	head[3] = (__u8)(bytes.len >> 8);
	kl_bytes_add(to, head, sizeof(head));
	kl_bytes_add(to, bytes.data, bytes.len);
	kl_bytes_done(&bytes);
}

static uint64_t clock_of(const struct world *w, bool cucm, __u32 second)
{
	uint64_t ns = START_NS + second * S;

	if (!cucm)
		return ns;
	ns += (uint64_t)w->ahead_ns;
	return w->step && second >= w->step ? ns + 60 * S : ns;
}

/* Who sends: the branches, then the centre. */
static void send_second(const struct world *w, struct kl_bytes *to, struct kl_wire_batch *b,
			__u32 second, __u32 who)
{
	bool cucm = who == w->branches;
	__u8 from = cucm ? CENTRE : (__u8)who;
	__u32 began = cucm && second >= w->restart ? w->restart : 0;

	b->boot = 100 * (who + 1) + began;
	b->number = second - began + 1;
	b->side = cucm ? KL_CUCM : KL_ACCESS;
	b->rule = w->rule;
	b->from_ns = clock_of(w, cucm, second);
	b->to_ns = clock_of(w, cucm, second + 1);
	b->misses = cucm && w->gap && second == w->gap;
	b->missed[0] = (struct kl_wire_missed){ b->from_ns, b->to_ns, KL_WIRE_OVERFLOW };
	see(w, b, second, who);
	if (b->misses)
		b->count = 0;
	if (cucm && w->dies_each && second % w->dies_each == 0)
		from |= DIES;
	put(to, b, from | COMMITS, who ? 0 : 2);
}

static void write_stream(const struct world *w, struct kl_wire_batch *b)
{
	struct kl_bytes all = {};

	b->partitions = 1;
	b->partition = 0;
	for (__u32 second = 0; second < SECONDS; second++) {
		for (__u32 who = 0; who <= w->branches; who++)
			send_second(w, &all, b, second, who);
	}
	write_seed(0, all.data, all.len);
	kl_bytes_done(&all);
}

static void write_record(void)
{
	struct kl_join_state s = { .owner = "one",
				   .generation = 2,
				   .number = 7,
				   .partitions = 32,
				   .point = { .floor = 5, .head = 9, .settled = 6 << 16 } };
	struct kl_sites_cut cut = { .agent = { { "north", "a", 0x1234 },
					       { "centre", "a", 0x5678 } },
				    .settled = { 7 << 16, 8 << 16 } };
	struct kl_join_site *site = kl_join_state_site(&s, "north");
	char *text;

	if (!site || kl_join_state_cut(&s, &cut) ||
	    kl_join_outs_add(&s.outs, "00000000000000ff", "north",
			     json_pack("{s:s}", "type", "gap")))
		exit(1);
	site->total.kind[KL_TO_CUCM][KL_SCCP_KEEPALIVE] =
		(struct kl_count){ .sent = 10, .delivered = 9, .lost_between = 1 };
	site->fresh.unpaired[KL_PAIR_GAP] = 3;
	site->fresh.segments[KL_TO_PHONE] = 4;
	text = kl_join_state_write(&s);
	write_seed(1, text, strlen(text));
	free(text);
	kl_join_state_done(&s);
}

int main(int argc, char **argv)
{
	static const struct world worlds[] = {
		{ .phones = 1, .branches = 1, .lost = 7 },
		{ .phones = 2, .branches = 2, .ahead_ns = 3600 * (int64_t)S, .lost = 5 },
		{ .phones = 1, .branches = 1, .gap = 12, .lost = 6, .dies_each = 7 },
		{ .phones = 1, .branches = 1, .restart = 15, .lost = 4, .dies_each = 9 },
		{ .phones = 1, .branches = 1, .step = 14, .lost = 9 },
		{ .phones = 2, .branches = 1, .rule = KL_WIRE_BY_SERVER, .dies_each = 11 },
	};
	static const char *const records[] = {
		"",
		"{}",
		"{\"version\":2,\"owner\":\"\"}",
		"{\"version\":1,\"owner\":\"a.b\"}",
		"{\"version\":1,\"owner\":\"\",\"cuts\":[],\"sites\":{},\"publish\":[[\"1\",\"n\","
		"\"{\"]]}",
	};
	struct kl_wire_batch *b = kl_wire_new();

	if (argc != 2 || !b)
		return 2;
	directory = argv[1];
	for (size_t i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++)
		write_stream(&worlds[i], b);
	write_record();
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++)
		write_seed(1, records[i], strlen(records[i]));
	kl_wire_free(b);
	return 0;
}
