/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Phones that keep in touch with a call server over a network that loses packets, from a seed: what
 * each packet was, when it left and when it arrived, if it did. Nothing here knows how packets are
 * looked at or written down; view.h does.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <kaloss/segment.h>

#define GEN_S 1000000000LL
#define GEN_MS 1000000LL

struct gen_rng {
	uint64_t state;
};

uint64_t gen_random(struct gen_rng *r);
/* 0 to n - 1 */
uint64_t gen_below(struct gen_rng *r, uint64_t n);
/* min to max */
int64_t gen_between(struct gen_rng *r, int64_t min, int64_t max);
double gen_unit(struct gen_rng *r);
bool gen_chance(struct gen_rng *r, double probability);

/* One packet on its way. */
struct gen_packet {
	int64_t near_ns;
	int64_t far_ns; /* 0: lost on the way */
	uint32_t conn;
	uint32_t seq, ack, len;
	uint32_t window;
	uint32_t ts_val;
	uint64_t content, call, device;
	uint16_t ip_id; /* 0: none */
	uint8_t direction;
	uint8_t kind;
	uint8_t flags;
	bool asks_again;
};

struct gen_conn {
	struct kl_endpoints ends;
	int64_t start_ns, stop_ns;
	int64_t outage_from_ns, outage_to_ns; /* nothing gets through */
	bool sip, backup, probes;
	bool has_start; /* begins with a SYN */
	bool gives_up;	/* ended by too many retransmissions */
};

struct gen_options {
	uint32_t phones;
	int64_t duration_ns;
	double loss;
	double sip;	   /* share of SIP phones */
	double reconnects; /* share of the connections that are closed and opened again */
	double outages;	   /* share of the connections whose path is dead for a while */
	double probes;	   /* share of connections that only probe */
	double slow;	   /* share of packets that take up to 590 ms */
	int64_t way_ns[KL_DIRECTIONS];
	int64_t jitter_ns;
	bool ipv6;
	bool no_ids;
};

struct gen_world {
	struct gen_packet *packet; /* by connection, then in order of near_ns */
	size_t packets, room;
	struct gen_conn *conn;
	uint32_t conns;
};

void gen_make(struct gen_world *w, const struct gen_options *o, struct gen_rng *rng);
void gen_free(struct gen_world *w);
