// SPDX-License-Identifier: GPL-2.0-only
/* Rules about who ended the sessions, and the alarms that say why. */
#include "core/findings_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "util/cleanup.h"

enum {
	VARIED_PERCENT = 5, /* of FINs with another TTL than usual: then the TTL says nothing */
	SERVERS = 16,	    /* whose TTL is compared */
};

/* Reasons of EndPointUnregistered (CISCO-CCM-MIB): what the phone or its user did. */
static bool is_phones_reason(int reason)
{
	switch (reason) {
	case 8:	 /* deviceInitiatedReset */
	case 10: /* deviceUnregistered */
	case 19: /* emLoginLogout */
	case 20: /* emccLoginLogout */
	case 21: /* energywisePowerSavePlus */
	case 28: /* fallbackInitiated */
	case 29: /* deviceSwitch */
		return true;
	default:
		return false;
	}
}

static bool is_servers_reason(int reason)
{
	switch (reason) {
	case 9:	 /* callManagerReset */
	case 15: /* callManagerRestart */
	case 17: /* callManagerApplyConfig */
	case 22: /* callManagerForcedRestart */
		return true;
	default:
		return false;
	}
}

/* ---- Whose packet was it? ---- */

static bool is_other_ttl(const struct kl_ending *e)
{
	return e->ttl && e->usual_ttl && e->ttl != e->usual_ttl;
}

struct ends {
	uint64_t resets;	    /* by another TTL than that end's */
	uint64_t resets_known;	    /* with both TTLs known */
	uint64_t fins, fins_other;  /* likewise */
	uint64_t cucm, cucm_resets; /* by the server, of sessions that were well */
	uint64_t cucm_after_loss;
	uint64_t phone, phone_resets;
	uint64_t phone_leaves;
	const struct kl_ending *example;
};

/* A connection that was never one of a phone's keepalives does not count. */
static bool is_end(const struct kl_facts *f, const struct kl_ending *e)
{
	const struct kl_session *s = kl_sessions_find(f->d->sessions, e->session);

	if (e->how != KL_HOW_FIN && e->how != KL_HOW_RST)
		return false;
	return !s || s->keepalives || s->registered_ns;
}

/* An end that nothing explains: no loss before it, and nothing that was left unanswered. */
static bool is_well(const struct kl_facts *f, const struct kl_ending *e)
{
	const struct kl_session *s = kl_sessions_find(f->d->sessions, e->session);

	return !e->lost_before && !is_other_ttl(e) &&
	       !(s && s->role == KL_ROLE_PRIMARY && s->acknowledged_only);
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

enum whose {
	OF_RESETS,
	OF_CUCM,
	OF_PHONE,
	WHOSE
};

static enum whose whose(const struct kl_facts *f, const struct kl_ending *e)
{
	if (e->how == KL_HOW_RST && is_other_ttl(e))
		return OF_RESETS;
	if (!is_well(f, e))
		return WHOSE;
	return e->by == KL_BY_PHONE		   ? OF_PHONE
	       : e->by == KL_BY_CUCM && !e->leaves ? OF_CUCM
						   : WHOSE;
}

/* Phones, each once, however many of its connections ended. */
static uint64_t count_phones(const struct kl_facts *f, enum whose of)
{
	const struct kl_evidence *all = &f->d->evidence;
	_cleanup_free_ uint64_t *key = calloc(all->ending.count ?: 1, sizeof(*key));
	uint64_t phones = 0;
	size_t count = 0;

	for (size_t i = 0; key && i < all->ending.count; i++) {
		const struct kl_ending *e = &all->ending.item[i];
		const struct kl_session *s = kl_sessions_find(f->d->sessions, e->session);

		if (is_end(f, e) && whose(f, e) == of)
			key[count++] = s ? kl_phone_key(&s->ends) : e->session;
	}
	if (count)
		qsort(key, count, sizeof(*key), by_number);
	for (size_t i = 0; i < count; i++)
		phones += !i || key[i] != key[i - 1];
	return phones;
}

static struct ends count_ends(const struct kl_facts *f)
{
	const struct kl_evidence *all = &f->d->evidence;
	struct ends n = {};

	for (size_t i = 0; i < all->ending.count; i++) {
		const struct kl_ending *e = &all->ending.item[i];
		bool reset = e->how == KL_HOW_RST;
		enum whose of;

		if (!is_end(f, e))
			continue;
		of = whose(f, e);
		if (e->ttl && e->usual_ttl) {
			*(reset ? &n.resets_known : &n.fins) += 1;
			n.fins_other += !reset && is_other_ttl(e);
		}
		if (of == OF_RESETS) {
			n.resets++;
			n.example = e;
		}
		n.cucm += of == OF_CUCM;
		n.cucm_resets += of == OF_CUCM && reset;
		n.cucm_after_loss += e->by == KL_BY_CUCM && e->lost_before > 0;
		n.phone += of == OF_PHONE;
		n.phone_resets += of == OF_PHONE && reset;
		n.phone_leaves += of == OF_PHONE && e->leaves;
	}
	return n;
}

/* Does the usual TTL of one and the same server differ from session to session? */
static bool server_varies(const struct kl_facts *f)
{
	struct {
		struct kl_address address;
		uint8_t ttl;
	} seen[SERVERS];
	size_t count = 0;

	for (size_t i = 0; i < f->d->evidence.ending.count; i++) {
		const struct kl_ending *e = &f->d->evidence.ending.item[i];
		const struct kl_session *s = kl_sessions_find(f->d->sessions, e->session);
		struct kl_address address;
		size_t k = 0;

		if (!s || !e->usual_ttl || e->by != KL_BY_CUCM)
			continue;
		address = kl_address_of(s->ends.family, s->ends.cucm);
		while (k < count && !kl_address_equal(&seen[k].address, &address))
			k++;
		if (k < count && seen[k].ttl != e->usual_ttl)
			return true;
		if (k == count && count < SERVERS) {
			seen[count].address = address;
			seen[count++].ttl = e->usual_ttl;
		}
	}
	return false;
}

bool kl_rule_middlebox_reset(struct kl_facts *f, struct kl_finding *ret)
{
	struct ends n = count_ends(f);
	bool varies = n.fins_other * 100 > n.fins * VARIED_PERCENT || server_varies(f);
	struct kl_finding_evidence *e;

	if (!n.resets)
		return false;
	ret->fault = true;
	ret->phones = count_phones(f, OF_RESETS);
	ret->confidence = varies ? KL_CONFIDENCE_LOW : kl_by_cases(n.resets);
	e = kl_say(ret,
		   "%" PRIu64 " of %" PRIu64 " RSTs came with another TTL than that end's packets "
		   "before; for example %u instead of %u",
		   n.resets, n.resets_known, n.example->ttl, n.example->usual_ttl);
	kl_say_figure(e, "resets_other_ttl", (double)n.resets);
	kl_say_figure(e, "resets", (double)n.resets_known);
	kl_say_figure(e, "ttl", n.example->ttl);
	kl_say_figure(e, "usual_ttl", n.example->usual_ttl);
	if (n.fins)
		kl_say(ret, "of %" PRIu64 " FINs, %" PRIu64 " came with another TTL", n.fins,
		       n.fins_other);
	if (varies)
		kl_say_against(ret, "the TTL of these ends varies anyway, so the way to them may "
				    "have changed");
	kl_explain_by(ret,
		      "%" PRIu64 " connections were ended by a RST that bears the %s's address but "
		      "another TTL than all its packets before. A box on the way, such as a "
		      "firewall that dropped the connection from its table, sent it.",
		      n.resets, n.example->by == KL_BY_CUCM ? "server" : "phone");
	kl_remedy_is(
		ret,
		"Find the firewall or load balancer on the way to the %s where RSTs with TTL %u "
		"come in, and raise its idle timeout for TCP 2000, 2443, 5060 and 5061 above "
		"the keepalive interval, or take its inspection off these ports.",
		n.example->by == KL_BY_CUCM ? "server" : "phone", n.example->ttl);
	return true;
}

/* ---- What the alarms say ---- */

struct alarms {
	uint64_t servers, phones; /* unregistrations by such a reason */
	uint64_t timeouts, timeouts_lost;
	const struct kl_alarm *servers_example, *phones_example;
};

static struct alarms count_alarms(const struct kl_facts *f)
{
	struct alarms n = {};

	for (size_t i = 0; i < f->d->evidence.alarm.count; i++) {
		const struct kl_alarm *a = &f->d->evidence.alarm.item[i];

		/* Those of phones that were never seen say nothing of this network. */
		if (a->type != KL_ALARM_UNREGISTERED || !a->session)
			continue;
		if (is_servers_reason(a->reason)) {
			n.servers++;
			n.servers_example = a;
		} else if (is_phones_reason(a->reason)) {
			n.phones++;
			n.phones_example = a;
		} else if (a->reason == 13) {
			n.timeouts++;
			n.timeouts_lost += a->matched_loss;
		}
	}
	return n;
}

static const char *name_of(const struct kl_alarm *a)
{
	return a->reason_name[0] ? a->reason_name : a->name;
}

bool kl_rule_cucm_initiated(struct kl_facts *f, struct kl_finding *ret)
{
	struct ends n = count_ends(f);
	struct alarms a = count_alarms(f);
	uint64_t cases = n.cucm > a.servers ? n.cucm : a.servers;

	if (!cases)
		return false;
	/* The alarms say it themselves. */
	ret->confidence = kl_by_cases(cases);
	ret->fault = true;
	ret->phones = count_phones(f, OF_CUCM);
	if (ret->phones < a.servers && !n.cucm)
		ret->phones = a.servers;
	if (n.cucm)
		kl_say_figure(kl_say(ret,
				     "%" PRIu64 " sessions ended by the server (%" PRIu64
				     " by RST) without a loss in the five minutes before",
				     n.cucm, n.cucm_resets),
			      "ended_by_cucm", (double)n.cucm);
	if (a.servers)
		kl_say_figure(kl_say(ret,
				     "%" PRIu64
				     " unregistrations by the server's own reasons, such as %s",
				     a.servers, name_of(a.servers_example)),
			      "unregistered_by_cucm", (double)a.servers);
	if (a.timeouts)
		kl_say(ret,
		       "%" PRIu64 " other unregistrations were by keepAliveTimeout, %" PRIu64
		       " of them with losses before",
		       a.timeouts, a.timeouts_lost);
	if (n.cucm_after_loss)
		kl_say_against(ret,
			       "it also ended %" PRIu64 " sessions after losses, which are not "
			       "counted here",
			       n.cucm_after_loss);
	kl_explain_by(ret,
		      "The call server itself ended %" PRIu64 " sessions that were well: their "
		      "keepalives had arrived and had been answered. The network did nothing "
		      "wrong there.",
		      cases);
	kl_remedy_is(ret, "Ask who reset, restarted or reconfigured the phones or the server at "
			  "those times (CUCM audit log), and look at the service's restarts in "
			  "its own logs. A firewall at the server's side with its TTL would look "
			  "the same.");
	return true;
}

bool kl_rule_phone_initiated(struct kl_facts *f, struct kl_finding *ret)
{
	struct ends n = count_ends(f);
	struct alarms a = count_alarms(f);
	uint64_t cases = n.phone > a.phones ? n.phone : a.phones;

	if (!cases)
		return false;
	ret->confidence = kl_by_cases(cases);
	ret->phones = count_phones(f, OF_PHONE);
	if (ret->phones < a.phones && !n.phone)
		ret->phones = a.phones;
	if (n.phone)
		kl_say_figure(kl_say(ret,
				     "%" PRIu64 " sessions ended by the phone (%" PRIu64
				     " by RST, %" PRIu64 " after it unregistered) without a loss "
				     "in the five minutes before",
				     n.phone, n.phone_resets, n.phone_leaves),
			      "ended_by_phone", (double)n.phone);
	if (a.phones)
		kl_say_figure(kl_say(ret,
				     "%" PRIu64
				     " unregistrations by the phones' own reasons, such as %s",
				     a.phones, name_of(a.phones_example)),
			      "unregistered_by_phone", (double)a.phones);
	kl_explain_by(ret,
		      "Phones ended %" PRIu64 " sessions of their own accord: they were restarted, "
		      "moved, logged in or out, or went to another server. Nothing was lost before "
		      "that.",
		      cases);
	kl_remedy_is(ret, "Nothing in the network has to be mended. If nobody touched the phones, "
			  "look at their power (PoE) and their own status messages.");
	return true;
}
