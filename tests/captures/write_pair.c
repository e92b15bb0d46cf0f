// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes what tests/pair/ generates from a seed as capture files of both sides, and what `diagnose`
 * has to find in them:
 *
 *   write-pair SEED DIRECTORY
 *
 * access.N.pcap and cucm.N.pcap[ng] are the files of the sides, one after each gap. Between the
 * signalling there is other traffic all the time, so that a capture is seen to run. truth holds a
 * line for each segment of which copies may be called lost: as to how many of them, and as to how
 * many are to be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../packets/pcap_writer.h"
#include "core/names.h"
#include "frames.h"

#define TOLERANCE (2 * GEN_S)
#define MARGIN (500 * GEN_MS)
/* Other traffic comes by that often. */
#define FILL (250 * GEN_MS)

struct world {
	struct gen_options gen;
	struct view_options view;
	struct gen_world w;
	struct view v;
	bool ng;
	const char *directory;
	bool *pairs[KL_DIRECTIONS]; /* by connection: seen on both sides often enough */
	size_t *order;
};

static int64_t pick(struct gen_rng *r, double chance, int64_t min, int64_t max)
{
	return gen_chance(r, chance) ? gen_between(r, min, max) : 0;
}

static void set_side(struct view_side *s, struct gen_rng *r, int64_t duration)
{
	s->from_ns = pick(r, 0.3, 0, duration / 3);
	s->to_ns = duration - pick(r, 0.3, 0, duration / 3);
	s->duplicates = gen_chance(r, 0.15) ? 1 : gen_chance(r, 0.2) ? 0.1 : 0;
	s->vlan = (uint16_t)pick(r, 0.4, 1, 4094);
	s->disorder_ns = pick(r, 0.3, 0, 50000);
	s->gaps = gen_chance(r, 0.3);
	if (!s->gaps)
		return;
	s->gap[0].from_ns = gen_between(r, s->from_ns + 60 * GEN_S, s->to_ns - 200 * GEN_S);
	s->gap[0].to_ns = s->gap[0].from_ns + gen_between(r, 10 * GEN_S, 90 * GEN_S);
}

static void set_world(struct world *w, struct gen_rng *r, uint64_t seed)
{
	static const uint32_t phones[] = { 1, 2, 5, 20, 60 };
	struct gen_options *g = &w->gen;
	struct view_side *side = w->view.side;
	bool large = seed % 20 == 7;

	g->phones = large ? 500 : phones[gen_below(r, 5)];
	g->duration_ns = large ? 7200 * GEN_S
			       : gen_between(r, 900, g->phones > 20 ? 1800 : 7200) * GEN_S;
	g->loss = gen_chance(r, 0.1) ? 0 : gen_unit(r) * gen_unit(r) * 0.15;
	g->sip = gen_chance(r, 0.2) ? 1 : gen_chance(r, 0.3) ? 0 : gen_unit(r);
	g->reconnects = gen_chance(r, 0.4) ? 0.3 : 0;
	g->outages = gen_chance(r, 0.3) ? 0.1 : 0;
	g->slow = gen_chance(r, 0.3) ? 0.01 : 0;
	g->jitter_ns = gen_between(r, 0, 20 * GEN_MS);
	for (uint32_t d = 0; d < KL_DIRECTIONS; d++)
		g->way_ns[d] = gen_between(r, 100000, 60 * GEN_MS);
	g->ipv6 = gen_chance(r, 0.25);
	g->no_ids = g->ipv6 || gen_chance(r, 0.2);
	set_side(&side[KL_ACCESS], r, g->duration_ns);
	set_side(&side[KL_CUCM], r, g->duration_ns);
	side[KL_CUCM].clock_ns = gen_between(r, -3600 * GEN_S, 3600 * GEN_S);
	side[KL_CUCM].drift = (gen_unit(r) * 2 - 1) * 200e-6;
	w->view.nat = gen_chance(r, 0.2);
	w->view.shift = gen_chance(r, 0.25);
	w->ng = gen_chance(r, 0.5);
}

/* ---- The files ---- */

static FILE *create(const struct world *w, const char *name)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", w->directory, name);
	f = fopen(path, "wb");
	if (f)
		return f;
	fprintf(stderr, "write-pair: %s: %s\n", path, strerror(errno));
	exit(2);
}

static void start_file(const struct world *w, uint32_t side, uint32_t number, struct pcap_writer *p)
{
	const struct pcap_interface interface = { .link = PCAP_LINK_ETHERNET,
						  .snaplen = 262144,
						  .resolution = 9 };
	bool ng = side == KL_CUCM && w->ng;
	char name[64];

	snprintf(name, sizeof(name), "%s.%u.%s", side == KL_CUCM ? "cucm" : "access", number,
		 ng ? "pcapng" : "pcap");
	pcap_writer_start(p, create(w, name), ng, false, &interface);
}

static void write_fill(const struct view_side *s, struct pcap_writer *p, int64_t at_ns)
{
	static const struct pkt_spec rtp = {
		.proto = 17, .sport = 16384, .dport = 24576, .payload_len = 20, .ip_id = 1
	};
	static struct pkt pkt;

	if (!pkt.len)
		pkt_build(&rtp, &pkt);
	pcap_write(p, view_clock(s, at_ns), pkt.data, pkt.len, pkt.len);
}

static void write_side(const struct world *w, uint32_t side)
{
	static const struct frame_place places[KL_SIDES] = { { 64, 0x82 }, { 61, 0x17 } };
	const struct view_side *s = &w->view.side[side];
	const struct pair_stream *t = &w->v.stream[side];
	int64_t fill_ns = s->from_ns;
	struct pcap_writer p;
	uint32_t files = 0;
	struct pkt pkt;

	start_file(w, side, files++, &p);
	for (size_t i = 0; i <= t->count; i++) {
		const struct kl_sighted *seen = &t->s[i];
		uint64_t until = i < t->count ? seen->time_ns : view_clock(s, s->to_ns);

		while (fill_ns <= s->to_ns && view_clock(s, fill_ns) <= until) {
			if (view_covers(s, fill_ns, fill_ns)) {
				write_fill(s, &p, fill_ns);
				fill_ns += FILL;
				continue;
			}
			write_fill(s, &p, s->gap[0].from_ns - 1);
			fclose(p.file);
			fill_ns = s->gap[0].to_ns + 1;
			start_file(w, side, files++, &p);
		}
		if (i == t->count)
			break;
		frame_build(&w->w.packet[seen->cookie - 1], seen, !w->gen.no_ids, &places[side],
			    &pkt);
		pcap_write(&p, seen->time_ns, pkt.data, pkt.len, pkt.len);
	}
	write_fill(s, &p, s->to_ns);
	fclose(p.file);
}

/* ---- The truth ---- */

static bool is_certain(const struct world *w, const struct gen_packet *p)
{
	const struct view_side *far = &w->view.side[p->direction ^ 1];

	/* Where the partner was found by times alone, nothing is called lost. */
	if (!w->pairs[p->direction][p->conn] || (w->view.nat && w->view.shift))
		return false;
	return view_covers(far, p->near_ns - MARGIN, p->near_ns + TOLERANCE + MARGIN);
}

static void find_pairs(struct world *w)
{
	uint32_t needed = w->view.shift ? 8 : w->view.nat ? 6 : 1;
	uint32_t *count = calloc(w->w.conns * 2 + 1, sizeof(*count));

	for (uint32_t d = 0; d < KL_DIRECTIONS; d++)
		w->pairs[d] = calloc(w->w.conns + 1, sizeof(bool));
	w->order = calloc(w->w.packets + 1, sizeof(*w->order));
	if (!count || !w->pairs[0] || !w->pairs[1] || !w->order)
		abort();
	for (size_t i = 0; i < w->w.packets; i++) {
		const struct gen_packet *p = &w->w.packet[i];

		if (w->v.seen[0][i] && w->v.seen[1][i] && p->len)
			count[p->conn * 2 + p->direction]++;
	}
	for (uint32_t c = 0; c < w->w.conns; c++) {
		bool both = count[c * 2] + count[c * 2 + 1] >= needed;

		for (uint32_t d = 0; d < KL_DIRECTIONS; d++)
			w->pairs[d][c] = both && count[c * 2 + d];
	}
	free(count);
}

static int by_segment(const void *a, const void *b, void *arg)
{
	const struct gen_packet *w = arg;
	const struct gen_packet *x = &w[*(const size_t *)a], *y = &w[*(const size_t *)b];

	if (x->conn != y->conn)
		return x->conn < y->conn ? -1 : 1;
	if (x->direction != y->direction)
		return x->direction < y->direction ? -1 : 1;
	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	return x->len < y->len ? -1 : x->len > y->len;
}

/* All copies of a segment, from order[from] on. */
static void write_segment(const struct world *w, FILE *truth, size_t from, size_t to)
{
	const struct gen_packet *first = &w->w.packet[w->order[from]];
	uint32_t may = 0, must = 0;
	bool whole = true;

	for (size_t k = from; k < to; k++) {
		size_t i = w->order[k];
		const struct gen_packet *p = &w->w.packet[i];

		whole &= w->v.seen[p->direction][i] &&
			 (!p->far_ns || w->v.seen[p->direction ^ 1][i]);
		if (!w->v.seen[p->direction][i])
			continue;
		may += !p->far_ns;
		must += !p->far_ns && is_certain(w, p);
	}
	if (may)
		fprintf(truth, "%s %u %u %u %s %u %u\n",
			first->direction == KL_TO_CUCM ? "to_cucm" : "to_phone",
			w->w.conn[first->conn].ends.phone_port, first->seq, first->len,
			kl_kind_name(first->kind), whole ? must : 0, may);
}

static void write_truth(const struct world *w)
{
	FILE *truth = create(w, "truth");
	size_t n = 0;

	for (size_t i = 0; i < w->w.packets; i++) {
		if (kl_kind_is_joined(w->w.packet[i].kind))
			w->order[n++] = i;
	}
	qsort_r(w->order, n, sizeof(*w->order), by_segment, w->w.packet);
	for (size_t i = 0, j; i < n; i = j) {
		for (j = i + 1; j < n && !by_segment(&w->order[i], &w->order[j], w->w.packet); j++)
			;
		write_segment(w, truth, i, j);
	}
	fclose(truth);
}

/* offset_s at the first packet of the access side, and the drift, as `diagnose` has to find them. */
static void say(const struct world *w)
{
	const struct view_side *cucm = &w->view.side[KL_CUCM];

	printf("{\"phones\": %u, \"offset_s\": %.9f, \"drift_ppm\": %.3f, \"start_s\": %.6f, "
	       "\"shift\": %s, \"nat\": %s, \"ipv6\": %s, \"gaps\": %u}\n",
	       w->gen.phones, (double)cucm->clock_ns / 1e9, cucm->drift * 1e6,
	       (double)view_clock(&w->view.side[KL_ACCESS], 0) / 1e9,
	       w->view.shift ? "true" : "false", w->view.nat ? "true" : "false",
	       w->gen.ipv6 ? "true" : "false",
	       w->view.side[KL_ACCESS].gaps + w->view.side[KL_CUCM].gaps);
}

int main(int argc, char **argv)
{
	struct world w = { 0 };
	struct gen_rng rng;

	if (argc != 3) {
		fprintf(stderr, "usage: write-pair SEED DIRECTORY\n");
		return 2;
	}
	rng.state = strtoull(argv[1], NULL, 10) * 7919;
	w.directory = argv[2];
	set_world(&w, &rng, strtoull(argv[1], NULL, 10));
	gen_make(&w.w, &w.gen, &rng);
	view_make(&w.v, &w.w, &w.view, &rng);
	find_pairs(&w);
	write_side(&w, KL_ACCESS);
	write_side(&w, KL_CUCM);
	write_truth(&w);
	say(&w);
	free(w.pairs[0]);
	free(w.pairs[1]);
	free(w.order);
	view_free(&w.v);
	gen_free(&w.w);
	return 0;
}
