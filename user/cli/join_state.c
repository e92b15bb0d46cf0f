// SPDX-License-Identifier: GPL-2.0-only
#include "cli/join_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/names.h"
#include "util/cleanup.h"

enum {
	VERSION = 1,
	COUNTS = 5, /* of one kind and direction */
};

/* ---- what it holds ---- */

void kl_join_outs_clear(struct kl_join_outs *o)
{
	for (size_t i = 0; i < o->count; i++)
		free(o->of[i].text);
	free(o->of);
	*o = (struct kl_join_outs){};
}

void kl_join_state_done(struct kl_join_state *s)
{
	struct kl_join_site *x, *next;

	HASH_ITER(hh, s->sites, x, next)
	{
		HASH_DEL(s->sites, x);
		free(x);
	}
	free(s->cuts);
	kl_join_outs_clear(&s->outs);
	*s = (struct kl_join_state){};
}

struct kl_join_site *kl_join_state_site(struct kl_join_state *s, const char *name)
{
	struct kl_join_site *x;

	HASH_FIND_STR(s->sites, name, x);
	if (x)
		return x;
	if (HASH_COUNT(s->sites) >= KL_JOIN_SITES_MAX)
		return NULL;
	x = calloc(1, sizeof(*x));
	if (!x)
		return NULL;
	snprintf(x->name, sizeof(x->name), "%s", name);
	HASH_ADD_STR(s->sites, name, x);
	return x;
}

int kl_join_state_cut(struct kl_join_state *s, const struct kl_sites_cut *cut)
{
	if (s->cut_count == s->cut_room) {
		size_t room = s->cut_room ? 2 * s->cut_room : 16;
		struct kl_sites_cut *cuts = reallocarray(s->cuts, room, sizeof(*cuts));

		if (!cuts)
			return -ENOMEM;
		s->cuts = cuts;
		s->cut_room = room;
	}
	s->cuts[s->cut_count++] = *cut;
	return 0;
}

static int add_text(struct kl_join_outs *o, const char *id, const char *site, char *text)
{
	struct kl_join_out *x;

	if (o->count == o->room) {
		size_t room = o->room ? 2 * o->room : 16;
		struct kl_join_out *of = reallocarray(o->of, room, sizeof(*of));

		if (!of) {
			free(text);
			return -ENOMEM;
		}
		o->of = of;
		o->room = room;
	}
	x = &o->of[o->count++];
	*x = (struct kl_join_out){ .text = text };
	snprintf(x->id, sizeof(x->id), "%s", id);
	snprintf(x->site, sizeof(x->site), "%s", site);
	/* (As text in text its quotes take more.) */
	o->bytes += strlen(text) * 5 / 4 + KL_JOIN_ID + strlen(site);
	return 0;
}

int kl_join_outs_add(struct kl_join_outs *o, const char *id, const char *site, json_t *record)
{
	char *text = record ? json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;

	json_decref(record);
	return text ? add_text(o, id, site, text) : -ENOMEM;
}

/* ---- as text ---- */

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static void add_counts(json_t *to, const struct kl_site_counts *n)
{
	json_t *kinds = json_object(), *unpaired = json_object();

	for (uint32_t k = 0; k < KL_KINDS; k++) {
		json_t *list = json_array();
		uint64_t sum = 0;

		for (uint32_t d = 0; d < KL_DIRECTIONS; d++) {
			const struct kl_count *x = &n->kind[d][k];
			const uint64_t v[COUNTS] = { x->sent, x->delivered, x->lost_between,
						     x->retransmitted, x->duplicates };

			for (size_t i = 0; i < COUNTS; i++) {
				json_array_append_new(list, number(v[i]));
				sum += v[i];
			}
		}
		if (sum)
			json_object_set_new(kinds, kl_kind_name(k), list);
		else
			json_decref(list);
	}
	for (uint32_t i = 0; i < KL_PAIR_REASONS; i++) {
		if (n->unpaired[i])
			json_object_set_new(unpaired, kl_pair_reason_name(i),
					    number(n->unpaired[i]));
	}
	json_object_set_new(to, "kinds", kinds);
	json_object_set_new(to, "unpaired", unpaired);
	json_object_set_new(
		to, "segments",
		json_pack("[I,I]", (json_int_t)n->segments[0], (json_int_t)n->segments[1]));
	json_object_set_new(to, "unsaid", number(n->unsaid));
}

static json_t *sites_json(const struct kl_join_state *s)
{
	json_t *sites = json_object();

	for (const struct kl_join_site *x = s->sites; x; x = x->hh.next) {
		json_t *site = json_object(), *total = json_object(), *untold = json_object();
		struct kl_site_counts sum = x->total, since = x->untold;

		kl_site_counts_add(&sum, &x->fresh);
		kl_site_counts_add(&since, &x->fresh);
		add_counts(total, &sum);
		add_counts(untold, &since);
		json_object_set_new(site, "total", total);
		if (kl_site_counts_are_none(&since))
			json_decref(untold);
		else
			json_object_set_new(site, "untold", untold);
		json_object_set_new(sites, x->name, site);
	}
	return sites;
}

static json_t *agent_json(const struct kl_site_agent *a)
{
	char boot[20];

	snprintf(boot, sizeof(boot), "%" PRIx64, a->boot);
	return json_pack("[s,s,s]", a->site, a->agent, boot);
}

static json_t *cuts_json(const struct kl_join_state *s)
{
	json_t *cuts = json_array();

	for (size_t i = 0; i < s->cut_count; i++) {
		const struct kl_sites_cut *c = &s->cuts[i];

		json_array_append_new(cuts,
				      json_pack("[o,o,I,I]", agent_json(&c->agent[0]),
						agent_json(&c->agent[1]), (json_int_t)c->settled[0],
						(json_int_t)c->settled[1]));
	}
	return cuts;
}

static json_t *outs_json(const struct kl_join_state *s)
{
	json_t *outs = json_array();

	for (size_t i = 0; i < s->outs.count; i++) {
		const struct kl_join_out *o = &s->outs.of[i];

		json_array_append_new(outs, json_pack("[s,s,s]", o->id, o->site, o->text));
	}
	return outs;
}

char *kl_join_state_write(const struct kl_join_state *s)
{
	json_t *o = json_pack("{s:i,s:s,s:I,s:I,s:i,s:i,s:I,s:I,s:I,s:I}", "version", VERSION,
			      "owner", s->owner, "generation", (json_int_t)s->generation, "number",
			      (json_int_t)s->number, "partitions", (int)s->partitions, "rule",
			      (int)s->rule, "floor", (json_int_t)s->point.floor, "head",
			      (json_int_t)s->point.head, "settled", (json_int_t)s->point.settled,
			      "alone", (json_int_t)s->point.alone);
	char *text;

	if (!o)
		return NULL;
	/* (A member without memory is missed by who reads it.) */
	json_object_set_new(o, "cuts", cuts_json(s));
	json_object_set_new(o, "sites", sites_json(s));
	json_object_set_new(o, "publish", outs_json(s));
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
}

/* ---- and back ---- */

static uint64_t take_number(const json_t *n)
{
	json_int_t v = json_integer_value(n);

	return v > 0 ? (uint64_t)v : 0;
}

static int bad(struct kl_error *err, const char *what)
{
	return kl_fail(err, -EBADMSG, "the record of a partition's owner is damaged: %s", what);
}

static int read_kinds(json_t *kinds, struct kl_site_counts *n)
{
	for (uint32_t k = 0; k < KL_KINDS; k++) {
		json_t *list = json_object_get(kinds, kl_kind_name(k));

		if (!list)
			continue;
		if (json_array_size(list) != (size_t)KL_DIRECTIONS * COUNTS)
			return -EBADMSG;
		for (uint32_t d = 0; d < KL_DIRECTIONS; d++) {
			struct kl_count *x = &n->kind[d][k];
			uint64_t *const v[COUNTS] = { &x->sent, &x->delivered, &x->lost_between,
						      &x->retransmitted, &x->duplicates };

			for (size_t i = 0; i < COUNTS; i++)
				*v[i] = take_number(json_array_get(list, d * COUNTS + i));
		}
	}
	return 0;
}

static int read_counts(json_t *o, struct kl_site_counts *n)
{
	json_t *segments = json_object_get(o, "segments");

	for (uint32_t i = 0; i < KL_PAIR_REASONS; i++)
		n->unpaired[i] = take_number(
			json_object_get(json_object_get(o, "unpaired"), kl_pair_reason_name(i)));
	for (uint32_t d = 0; d < KL_DIRECTIONS; d++)
		n->segments[d] = take_number(json_array_get(segments, d));
	n->unsaid = take_number(json_object_get(o, "unsaid"));
	return read_kinds(json_object_get(o, "kinds"), n);
}

static int read_sites(json_t *sites, struct kl_join_state *ret, struct kl_error *err)
{
	const char *name;
	json_t *site;

	if (!json_is_object(sites))
		return bad(err, "sites");
	json_object_foreach(sites, name, site) {
		struct kl_join_site *x;
		json_t *untold = json_object_get(site, "untold");

		if (!kl_token_is_valid(name))
			return bad(err, "a site's name");
		x = kl_join_state_site(ret, name);
		if (!x)
			return kl_fail(err, -ENOMEM, "out of memory");
		if (read_counts(json_object_get(site, "total"), &x->total) ||
		    (untold && read_counts(untold, &x->untold)))
			return bad(err, "counts");
	}
	return 0;
}

static bool read_agent(json_t *o, struct kl_site_agent *ret)
{
	const char *site = json_string_value(json_array_get(o, 0));
	const char *agent = json_string_value(json_array_get(o, 1));
	const char *boot = json_string_value(json_array_get(o, 2));

	memset(ret, 0, sizeof(*ret));
	if (!site || !agent || !boot || !kl_token_is_valid(site) || !kl_token_is_valid(agent))
		return false;
	snprintf(ret->site, sizeof(ret->site), "%s", site);
	snprintf(ret->agent, sizeof(ret->agent), "%s", agent);
	ret->boot = strtoull(boot, NULL, 16);
	return true;
}

static int read_cuts(json_t *cuts, struct kl_join_state *ret, struct kl_error *err)
{
	json_t *x;
	size_t i;

	if (!json_is_array(cuts))
		return bad(err, "cuts");
	json_array_foreach(cuts, i, x) {
		struct kl_sites_cut cut;

		if (!read_agent(json_array_get(x, 0), &cut.agent[0]) ||
		    !read_agent(json_array_get(x, 1), &cut.agent[1]))
			return bad(err, "an agent's name");
		cut.settled[0] = take_number(json_array_get(x, 2));
		cut.settled[1] = take_number(json_array_get(x, 3));
		if (kl_join_state_cut(ret, &cut))
			return kl_fail(err, -ENOMEM, "out of memory");
	}
	return 0;
}

static int read_outs(json_t *outs, struct kl_join_state *ret, struct kl_error *err)
{
	json_t *x;
	size_t i;

	if (!json_is_array(outs))
		return bad(err, "publish");
	json_array_foreach(outs, i, x) {
		const char *id = json_string_value(json_array_get(x, 0));
		const char *site = json_string_value(json_array_get(x, 1));
		const char *text = json_string_value(json_array_get(x, 2));
		char *copy;

		if (!id || !id[0] || strlen(id) >= KL_JOIN_ID || !site ||
		    !kl_token_is_valid(site) || !text)
			return bad(err, "what is to be published");
		copy = strdup(text);
		if (!copy || add_text(&ret->outs, id, site, copy))
			return kl_fail(err, -ENOMEM, "out of memory");
	}
	return 0;
}

static int read_head(json_t *o, struct kl_join_state *ret, struct kl_error *err)
{
	const char *owner = json_string_value(json_object_get(o, "owner"));
	uint64_t version = take_number(json_object_get(o, "version"));

	*ret = (struct kl_join_state){};
	if (!json_is_object(o) || !owner)
		return bad(err, "no owner");
	if (version != VERSION)
		return kl_fail(err, -EPROTO,
			       "the record of a partition's owner is of version %" PRIu64
			       ", and this joiner knows version %d only",
			       version, VERSION);
	if (owner[0] && !kl_token_is_valid(owner))
		return bad(err, "the owner's name");
	snprintf(ret->owner, sizeof(ret->owner), "%s", owner);
	ret->generation = take_number(json_object_get(o, "generation"));
	ret->number = take_number(json_object_get(o, "number"));
	ret->partitions = (uint32_t)take_number(json_object_get(o, "partitions"));
	ret->rule = (uint32_t)take_number(json_object_get(o, "rule"));
	ret->point.floor = take_number(json_object_get(o, "floor"));
	ret->point.head = take_number(json_object_get(o, "head"));
	ret->point.settled = take_number(json_object_get(o, "settled"));
	ret->point.alone = take_number(json_object_get(o, "alone"));
	return 0;
}

int kl_join_state_read(const char *text, struct kl_join_state *ret, struct kl_error *err)
{
	json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	int r = read_head(o, ret, err);

	if (!r)
		r = read_cuts(json_object_get(o, "cuts"), ret, err);
	if (!r)
		r = read_sites(json_object_get(o, "sites"), ret, err);
	if (!r)
		r = read_outs(json_object_get(o, "publish"), ret, err);
	json_decref(o);
	if (r)
		kl_join_state_done(ret);
	return r;
}

int kl_join_state_peek(const char *text, struct kl_join_state *ret)
{
	json_t *o = json_loads(text, 0, NULL);
	int r = read_head(o, ret, NULL);

	json_decref(o);
	return r;
}
