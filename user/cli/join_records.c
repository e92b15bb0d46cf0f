// SPDX-License-Identifier: GPL-2.0-only
/* join_internal.h: what a partition has to tell, as records (docs/contract.md). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/join_internal.h"
#include "core/names.h"
#include "report/json_many.h"
#include "report/json_records.h"
#include "util/cleanup.h"
#include "util/duration.h"

static json_t *agent_json(const struct kl_site_agent *a)
{
	return a ? json_pack("{s:s,s:s}", "site", a->site, "agent", a->agent) : json_null();
}

static int add(struct kl_join_partition *p, uint64_t id, const char *site, json_t *record)
{
	char text[KL_JOIN_ID];

	snprintf(text, sizeof(text), "%016" PRIx64, id);
	json_object_set_new(record, "site", json_string(site));
	json_object_set_new(record, "id", json_string(text));
	p->dirty = true;
	return kl_join_outs_add(&p->fresh, text, site, record);
}

int kl_join_add_loss(struct kl_join_partition *p, const struct kl_site_settled *s)
{
	const struct kl_paired *x = &s->paired;
	const struct kl_site_agent *a = s->agent[KL_ACCESS] ?: s->agent[KL_CUCM];
	struct kl_loss loss = {
		.time_ns = s->time_ns,
		.party = { .ends = x->ends[KL_ACCESS].family ? x->ends[KL_ACCESS]
							     : x->ends[KL_CUCM],
			   .vlan = x->vlan,
			   .device = s->device,
			   .probable = x->kind == KL_TLS_RECORD },
		.where = KL_BETWEEN,
		.direction = x->direction,
		.kind = x->kind,
		.seq = x->side == KL_ACCESS ? x->seq : x->seq_other,
		.seq_other = x->side == KL_ACCESS ? x->seq_other : x->seq,
		.length = x->payload_len,
	};
	struct kl_json_line line = {};
	json_t *record;

	loss.copies[x->direction] = x->copy;
	loss.copies[x->direction ^ 1] = x->copies_far;
	kl_json_put_loss(&line, &loss);
	record = line.lacking ? NULL : json_loadb(line.text, line.length, 0, NULL);
	kl_json_line_done(&line);
	if (!record)
		return -ENOMEM;
	json_object_set_new(record, "agents",
			    json_pack("{s:o,s:o}", "access", agent_json(s->agent[KL_ACCESS]),
				      "cucm", agent_json(s->agent[KL_CUCM])));
	return add(p, s->id, a->site, record);
}

int kl_join_add_gap(struct kl_join_partition *p, const struct kl_site_gap *gap)
{
	char from[40], to[40];

	kl_format_time(gap->from_ns, from, sizeof(from));
	kl_format_time(gap->to_ns, to, sizeof(to));
	return add(p, gap->id ^ p->number, gap->agent->site,
		   json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:i}", "type", "gap", "time", to,
			     "agent", gap->agent->agent, "side", kl_side_name(gap->side), "from",
			     from, "to", to, "why", gap->why, "partition", (int)p->number));
}

static json_t *reasons(const struct kl_site_counts *n)
{
	json_t *o = json_object();

	for (uint32_t i = 0; i < KL_PAIR_REASONS; i++) {
		if (n->unpaired[i])
			json_object_set_new(o, kl_pair_reason_name(i),
					    json_integer((json_int_t)n->unpaired[i]));
	}
	return o;
}

/* (One kl_mix() for each: it takes its two as one, by exclusive or.) */
uint64_t kl_join_tick_id(const struct kl_join_partition *p, const char *site)
{
	uint64_t h = kl_mix(kl_mix(KL_WIRE_SEED, p->state.generation), p->state.number + 1);

	for (const char *c = site; *c; c++)
		h = kl_mix(h, (uint8_t)*c);
	return kl_mix(h, p->number);
}

static void count_conn(const char *site, void *arg)
{
	struct kl_join_site *x;
	struct kl_join_state *s = arg;

	HASH_FIND_STR(s->sites, site, x);
	if (x)
		x->conns++;
}

/* What was counted in a site since its last tick; of what is committed with it. */
int kl_join_add_ticks(struct kl_join_partition *p)
{
	const struct kl_join *j = p->join;
	uint64_t over_ns = j->realtime_ns - p->tick_realtime_ns;

	for (struct kl_join_site *x = p->state.sites; x; x = x->hh.next)
		x->conns = 0;
	kl_sites_conns(p->sites, count_conn, &p->state);
	for (struct kl_join_site *x = p->state.sites; x; x = x->hh.next) {
		struct kl_site_counts since = x->untold;
		struct kl_tally_report tally;
		struct kl_report_tick tick = { .time_ns = j->realtime_ns,
					       .interval_s = (double)over_ns / 1e9,
					       .phones = x->conns,
					       .tally = &tally };
		json_t *record;
		int r;

		kl_site_counts_add(&since, &x->fresh);
		if (kl_site_counts_are_none(&since))
			continue;
		kl_site_counts_tally(&since, &tally);
		record = kl_json_tick(&tick);
		json_object_set_new(record, "partition", json_integer(p->number));
		json_object_set_new(record, "unpaired_reasons", reasons(&since));
		r = add(p, kl_join_tick_id(p, x->name), x->name, record);
		if (r)
			return r;
		/* All of it is told: nothing is left when this is committed. */
		kl_site_counts_add(&x->total, &x->fresh);
		x->fresh = (struct kl_site_counts){};
		x->untold = (struct kl_site_counts){};
	}
	return 0;
}

/* ---- pairs of agents ---- */

static json_t *way_json(const struct kl_pair_clock *c, uint32_t d)
{
	return json_pack("{s:I,s:I}", "min", (json_int_t)(c->min_transit_ns[d] / 1000), "p50",
			 (json_int_t)(c->median_transit_ns[d] / 1000));
}

static json_t *pair_json(const struct kl_site_pair *pair)
{
	const struct kl_pair_clock *c = &pair->clock;
	char at[40];
	json_t *o = json_pack("{s:s,s:{s:o,s:o},s:I,s:i}", "type", "pair", "agents", "access",
			      agent_json(pair->agent[KL_ACCESS]), "cucm",
			      agent_json(pair->agent[KL_CUCM]), "segments", (json_int_t)c->pairs,
			      "steps", (int)c->steps);

	if (!c->known || !c->pairs) {
		static const char *const unknown[] = {
			"offset_us", "offset_error_us", "offset_at",
			"drift_ppm", "drift_error_ppm", "transit_us"
		};

		for (size_t i = 0; i < KL_COUNT(unknown); i++)
			json_object_set_new(o, unknown[i], json_null());
		return o;
	}
	kl_format_time(c->at_ns, at, sizeof(at));
	json_object_update_new(o, json_pack("{s:I,s:I,s:s,s:f,s:f,s:{s:o,s:o}}", "offset_us",
					    (json_int_t)(c->offset_ns / 1000), "offset_error_us",
					    (json_int_t)(c->offset_error_ns / 1000), "offset_at",
					    at, "drift_ppm", c->drift_ppm, "drift_error_ppm",
					    c->drift_error_ppm, "transit_us", "to_cucm",
					    way_json(c, KL_TO_CUCM), "to_phone",
					    way_json(c, KL_TO_PHONE)));
	return o;
}

static int add_pair(const struct kl_site_pair *pair, void *arg)
{
	struct kl_join_partition *p = arg;
	const struct kl_site_agent *access = pair->agent[KL_ACCESS], *cucm = pair->agent[KL_CUCM];
	uint64_t id = kl_mix(kl_mix(kl_join_tick_id(p, access->site), access->boot), cucm->boot);
	char time[40];
	json_t *o;

	/* (More than there is room for are told with the commits to come.) */
	if (p->pairs_seen++ < p->pairs_told || p->fresh.bytes >= kl_join_out_room(p) / 2)
		return 0;
	p->pairs_told++;
	o = pair_json(pair);
	kl_format_time(p->join->realtime_ns, time, sizeof(time));
	json_object_set_new(o, "time", json_string(time));
	json_object_set_new(o, "partition", json_integer(p->number));
	return add(p, id, access->site, o);
}

int kl_join_add_pairs(struct kl_join_partition *p)
{
	int r;

	p->pairs_seen = 0;
	r = kl_sites_pairs(p->sites, add_pair, p);
	if (r || !p->pairs_seen || p->pairs_told < p->pairs_seen)
		return r;
	p->pairs_told = 0;
	p->paired_ns = p->join->now_ns;
	return 0;
}
