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

/* The same for whoever commits this, and no other. */
static uint64_t tick_id(const struct kl_join_partition *p, const char *site)
{
	uint64_t h = kl_mix(p->state.generation, p->state.number + 1);

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
		r = add(p, tick_id(p, x->name), x->name, record);
		if (r)
			return r;
		/* All of it is told: nothing is left when this is committed. */
		kl_site_counts_add(&x->total, &x->fresh);
		x->fresh = (struct kl_site_counts){};
		x->untold = (struct kl_site_counts){};
	}
	return 0;
}
