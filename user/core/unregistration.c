// SPDX-License-Identifier: GPL-2.0-only
#include "core/unregistration.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/hash.h"

/* By what an alarm asks for a session. */
enum wanted_by {
	BY_DEVICE,
	BY_MAC,
	BY_ADDRESS,
	BY_ADDRESS_ALONE, /* the alarm names no device: any session there */
	WAYS,
};

struct wanted_key {
	uint32_t by;
	char bytes[KL_DEVICE_NAME + 3];
};

/* What an alarm may be told of a session. id 0: there is none. */
struct candidate {
	uint64_t id;
	uint64_t lost_ns;
	uint64_t seen_ns;
	uint64_t reach_ns; /* how long before an alarm a loss may have been that it comes from */
	uint64_t losses;
};

/* A session that is forgotten. */
struct gone {
	struct candidate candidate;
	struct kl_endpoints ends;
	uint8_t mac[6];
	char device[KL_DEVICE_NAME];
};

/* A session that somebody asks for: the best one so far. */
struct wanted {
	struct wanted_key key;
	struct candidate best;
	UT_hash_handle hh;
};

/* What one walk over the sessions decides. */
struct round {
	const struct kl_unregistrations_config *config;
	struct wanted *wanted; /* the table's items are in one block: */
	struct wanted *block;
	size_t count;
};

struct kl_unregistrations {
	struct kl_unregistrations_config config;
	uint64_t walked_ns; /* when the sessions were last walked over; 0: never */
	/* Rings. */
	size_t first, count;
	struct kl_alarm held[KL_UNREGISTRATIONS_HELD];
	size_t gone_count; /* ever */
	struct gone gone[KL_UNREGISTRATIONS_GONE];
};

/* ---- Keys ---- */

static struct wanted_key key_of_device(const char *device)
{
	struct wanted_key key = { .by = BY_DEVICE };

	memcpy(key.bytes, device, strnlen(device, KL_DEVICE_NAME - 1));
	return key;
}

static struct wanted_key key_of_mac(const uint8_t mac[6])
{
	struct wanted_key key = { .by = BY_MAC };

	memcpy(key.bytes, mac, 6);
	return key;
}

static struct wanted_key key_of_address(enum wanted_by by, uint8_t family, const uint32_t word[4])
{
	struct wanted_key key = { .by = by };

	memcpy(key.bytes, word, 16);
	key.bytes[16] = (char)family;
	return key;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "SEP0024142DDF24": the phone's MAC. */
static bool mac_of_device(const char *device, uint8_t ret_mac[6])
{
	if (strncasecmp(device, "SEP", 3) != 0 || strlen(device) != 15)
		return false;
	for (int i = 0; i < 6; i++) {
		int high = digit_value(device[3 + 2 * i]), low = digit_value(device[4 + 2 * i]);

		if (high < 0 || low < 0)
			return false;
		ret_mac[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* What an alarm asks for, the surest first; how many. */
static int keys_of_alarm(const struct kl_alarm *a, struct wanted_key ret[WAYS])
{
	uint8_t mac[6];
	int n = 0;

	if (a->device[0])
		ret[n++] = key_of_device(a->device);
	if (mac_of_device(a->device, mac))
		ret[n++] = key_of_mac(mac);
	if (a->address.family)
		ret[n++] = key_of_address(a->device[0] ? BY_ADDRESS : BY_ADDRESS_ALONE,
					  a->address.family, a->address.word);
	return n;
}

/* ---- Candidates ---- */

static uint64_t reach_ns(const struct kl_unregistrations_config *c, const struct kl_session *s)
{
	bool is_sip = s->kind == KL_SIP_REGISTER || s->kind == KL_SIP_REGISTER_BACKUP ||
		      s->kind == KL_SIP_OPTIONS;
	uint64_t period_ns = s->schedule.period_us ? s->schedule.period_us * KL_NS_PER_US
						   : KL_UNREGISTRATION_PERIOD_NS;
	uint64_t periods = KL_SCCP_MISSED_MAX;

	if (!is_sip && c->sccp_missed > periods)
		periods = c->sccp_missed;
	return periods * period_ns + (c->sip_grace_ns ?: KL_SIP_GRACE_NS) +
	       KL_UNREGISTRATION_SLACK_NS;
}

static struct candidate candidate_of(const struct kl_unregistrations_config *c,
				     const struct kl_session *s)
{
	struct candidate ret = {
		.id = s->id,
		.lost_ns = s->lost_ns,
		.seen_ns = s->seen_ns,
		.reach_ns = reach_ns(c, s),
	};

	for (int d = 0; d < KL_DIRECTIONS; d++)
		for (int w = 0; w < KL_WHERES; w++)
			ret.losses += s->lost[d][w];
	return ret;
}

/* ---- One walk ---- */

static void want(struct round *r, const struct wanted_key *key)
{
	struct wanted *w;

	HASH_FIND(hh, r->wanted, key, sizeof(*key), w);
	if (w)
		return;
	w = &r->block[r->count++];
	w->key = *key;
	HASH_ADD(hh, r->wanted, key, sizeof(w->key), w);
}

static void offer(struct round *r, const struct wanted_key *key, const struct candidate *c)
{
	struct wanted *w;

	HASH_FIND(hh, r->wanted, key, sizeof(*key), w);
	if (!w)
		return;
	if (!w->best.id || c->lost_ns > w->best.lost_ns ||
	    (c->lost_ns == w->best.lost_ns && c->seen_ns > w->best.seen_ns))
		w->best = *c;
}

/* What a phone is known by decides; one behind the same address is another one. */
static int keys_of_phone(const char *device, const uint8_t mac[6], const struct kl_endpoints *ends,
			 struct wanted_key ret[WAYS])
{
	int n = 0;

	if (device[0]) {
		ret[n++] = key_of_device(device);
	} else {
		ret[n++] = key_of_mac(mac);
		ret[n++] = key_of_address(BY_ADDRESS, ends->family, ends->phone);
	}
	ret[n++] = key_of_address(BY_ADDRESS_ALONE, ends->family, ends->phone);
	return n;
}

static void offer_all(struct round *r, const struct candidate *c, const char *device,
		      const uint8_t mac[6], const struct kl_endpoints *ends)
{
	struct wanted_key keys[WAYS];
	int n = keys_of_phone(device, mac, ends, keys);

	for (int i = 0; i < n; i++)
		offer(r, &keys[i], c);
}

static void visit(const struct kl_session *session, void *arg)
{
	struct round *r = arg;
	struct candidate c = candidate_of(r->config, session);

	offer_all(r, &c, session->device, session->mac, &session->ends);
}

static const struct candidate *session_of(const struct round *r, const struct kl_alarm *a)
{
	struct wanted_key keys[WAYS];
	int n = keys_of_alarm(a, keys);

	for (int i = 0; i < n; i++) {
		struct wanted *w;

		HASH_FIND(hh, r->wanted, &keys[i], sizeof(keys[i]), w);
		if (w && w->best.id)
			return &w->best;
	}
	return NULL;
}

/* ---- What it means ---- */

static bool is_end(const struct kl_alarm *a)
{
	return a->type == KL_ALARM_UNREGISTERED || a->type == KL_ALARM_CONNECTION;
}

static void join(const struct candidate *c, struct kl_alarm *a)
{
	a->session = c ? c->id : 0;
	a->losses = c ? c->losses : 0;
	a->matched_loss = c && is_end(a) && c->lost_ns &&
			  c->lost_ns <= a->time_ns + KL_UNREGISTRATION_HOLD_NS &&
			  c->lost_ns + c->reach_ns >= a->time_ns;
}

static struct kl_alarm *held(struct kl_unregistrations *u, size_t i)
{
	return &u->held[(u->first + i) % KL_UNREGISTRATIONS_HELD];
}

/* The keys of one alarm more. */
static void ask(struct round *r, const struct kl_alarm *a)
{
	struct wanted_key keys[WAYS];
	int n = keys_of_alarm(a, keys);

	for (int i = 0; i < n; i++)
		want(r, &keys[i]);
}

static void round_done(struct round *r)
{
	HASH_CLEAR(hh, r->wanted);
	free(r->block);
}

static void walk(const struct kl_unregistrations *u, const struct kl_sessions *s, struct round *r)
{
	size_t n = u->gone_count < KL_UNREGISTRATIONS_GONE ? u->gone_count
							   : KL_UNREGISTRATIONS_GONE;

	for (size_t i = 0; i < n; i++)
		offer_all(r, &u->gone[i].candidate, u->gone[i].device, u->gone[i].mac,
			  &u->gone[i].ends);
	kl_sessions_visit(s, visit, r);
}

/* The first ones that are held. Without memory they are told without a session. */
static void decide(struct kl_unregistrations *u, const struct kl_sessions *s, size_t count)
{
	struct round r = { .config = &u->config };

	if (!count)
		return;
	r.block = calloc(count, WAYS * sizeof(*r.block));
	if (r.block) {
		for (size_t i = 0; i < count; i++)
			ask(&r, held(u, i));
		if (r.wanted)
			walk(u, s, &r);
	}
	for (size_t i = 0; i < count; i++) {
		struct kl_alarm *a = held(u, i);

		join(session_of(&r, a), a);
		u->config.handler(a, u->config.arg);
	}
	u->first = (u->first + count) % KL_UNREGISTRATIONS_HELD;
	u->count -= count;
	round_done(&r);
}

/* ---- The interface ---- */

int kl_unregistrations_new(const struct kl_unregistrations_config *config,
			   struct kl_unregistrations **ret)
{
	struct kl_unregistrations *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->config = *config;
	*ret = u;
	return 0;
}

void kl_unregistrations_set_patience(struct kl_unregistrations *u, uint64_t sip_grace_ns,
				     uint32_t sccp_missed)
{
	u->config.sip_grace_ns = sip_grace_ns;
	u->config.sccp_missed = sccp_missed;
}

void kl_unregistrations_free(struct kl_unregistrations *u)
{
	free(u);
}

void kl_unregistrations_add(struct kl_unregistrations *u, const struct kl_sessions *s,
			    const struct kl_alarm *alarm)
{
	if (u->count == KL_UNREGISTRATIONS_HELD)
		decide(u, s, u->count / 2);
	*held(u, u->count) = *alarm;
	u->count++;
}

void kl_unregistrations_settle(struct kl_unregistrations *u, const struct kl_sessions *s,
			       uint64_t now_ns)
{
	size_t due = 0;

	if (u->walked_ns && now_ns < u->walked_ns + KL_UNREGISTRATION_WALK_NS)
		return;
	while (due < u->count && (now_ns == UINT64_MAX ||
				  now_ns >= held(u, due)->time_ns + KL_UNREGISTRATION_HOLD_NS))
		due++;
	if (!due)
		return;
	decide(u, s, due);
	u->walked_ns = now_ns == UINT64_MAX ? 0 : now_ns;
}

void kl_unregistrations_gone(struct kl_unregistrations *u, const struct kl_session *session)
{
	struct gone *g = &u->gone[u->gone_count % KL_UNREGISTRATIONS_GONE];

	if (!session->lost_ns)
		return;
	*g = (struct gone){
		.candidate = candidate_of(&u->config, session),
		.ends = session->ends,
	};
	memcpy(g->mac, session->mac, sizeof(g->mac));
	memcpy(g->device, session->device, sizeof(g->device));
	u->gone_count++;
}

/* ---- Afterwards, against all losses ---- */

struct asked {
	struct wanted_key key;
	uint64_t time_ns;
	size_t alarm;
};

/* Of an alarm: its last loss so far. */
struct matched {
	uint64_t time_ns;
	size_t loss; /* plus 1; 0: none */
};

static int by_key_and_time(const void *a, const void *b)
{
	const struct asked *x = a, *y = b;
	int r = memcmp(&x->key, &y->key, sizeof(x->key));

	return r ?: (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

/* The first one that is not before this key and time. */
static size_t first_from(const struct asked *asked, size_t count, const struct asked *from)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_key_and_time(&asked[middle], from) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void match_loss(const struct kl_lost *lost, size_t number, uint64_t reach,
		       const struct asked *asked, size_t count, struct kl_alarm *alarm,
		       struct matched *matched)
{
	struct wanted_key keys[WAYS];
	int n = keys_of_phone(lost->device, lost->mac, &lost->ends, keys);
	struct asked from = { .time_ns = lost->time_ns > KL_UNREGISTRATION_HOLD_NS
						 ? lost->time_ns - KL_UNREGISTRATION_HOLD_NS
						 : 0 };

	for (int k = 0; k < n; k++) {
		from.key = keys[k];
		for (size_t i = first_from(asked, count, &from); i < count; i++) {
			struct matched *m = &matched[asked[i].alarm];
			struct kl_alarm *a = &alarm[asked[i].alarm];

			if (memcmp(&asked[i].key, &from.key, sizeof(from.key)) != 0 ||
			    asked[i].time_ns > lost->time_ns + reach)
				break;
			if (m->loss == number + 1)
				continue; /* by another way already */
			if (!m->loss || lost->time_ns >= m->time_ns) {
				m->time_ns = lost->time_ns;
				a->session = lost->conn_id;
			}
			m->loss = number + 1;
			a->losses++;
			a->matched_loss = true;
		}
	}
}

int kl_unregistrations_match_lost(const struct kl_unregistrations_config *config,
				  const struct kl_sessions *s, const struct kl_lost *lost,
				  size_t lost_count, struct kl_alarm *alarm, size_t alarm_count)
{
	_cleanup_free_ struct asked *asked = calloc(alarm_count + 1, WAYS * sizeof(*asked));
	_cleanup_free_ struct matched *matched = calloc(alarm_count + 1, sizeof(*matched));
	struct round r = { .config = config,
			   .block = calloc(alarm_count + 1, WAYS * sizeof(*r.block)) };
	size_t count = 0;

	if (!asked || !matched || !r.block) {
		free(r.block);
		return -ENOMEM;
	}
	for (size_t i = 0; i < alarm_count; i++)
		ask(&r, &alarm[i]);
	if (r.wanted)
		kl_sessions_visit(s, visit, &r);
	for (size_t i = 0; i < alarm_count; i++) {
		struct wanted_key keys[WAYS];
		int n = is_end(&alarm[i]) ? keys_of_alarm(&alarm[i], keys) : 0;

		join(session_of(&r, &alarm[i]), &alarm[i]);
		alarm[i].losses = 0;
		alarm[i].matched_loss = false;
		for (int k = 0; k < n; k++)
			asked[count++] = (struct asked){ keys[k], alarm[i].time_ns, i };
	}
	round_done(&r);
	qsort(asked, count, sizeof(*asked), by_key_and_time);
	for (size_t i = 0; i < lost_count; i++) {
		const struct kl_session *session = kl_sessions_find(s, lost[i].conn_id);
		uint64_t reach = reach_ns(config,
					  session ?: &(struct kl_session){ .kind = lost[i].kind });

		match_loss(&lost[i], i, reach, asked, count, alarm, matched);
	}
	return 0;
}
