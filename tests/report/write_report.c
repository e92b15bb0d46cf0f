// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes the HTML report of a diagnosis made by hand:
 *
 *   write-report CASE FILE
 *
 * small    three phones in an hour, one of each kind of mark
 * hostile  names and texts that would break out of a careless page
 * healthy  phones, and nothing wrong
 * empty    nothing was seen
 * many     more losses than the page lists
 * large    500 phones in 24 hours, 1.4 million keepalives
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/report.h"
#include "util/cleanup.h"
#include "util/duration.h"

#define START_NS (1772355600ULL * KL_NS_PER_S) /* 2026-03-01 09:00 UTC */
/* The diagnosis' own clock, as if it were the monotonic one of a host that runs since a day. */
#define CLOCK_NS (86400 * KL_NS_PER_S)
#define MS (1000000ULL)

struct made {
	struct kl_sessions *sessions;
	struct kl_diagnosis d;
	struct kl_finding findings[KL_CAUSES];
	size_t finding_count;
	uint64_t random;
};

static void must(int r)
{
	if (r >= 0)
		return;
	fprintf(stderr, "write-report: %s\n", strerror(-r));
	exit(1);
}

/* The list, with room for one more. */
static void *grown(void *list, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return list;
	*room = *room ? 2 * *room : 1024;
	list = reallocarray(list, *room, size);
	if (!list)
		exit(1);
	return list;
}

static uint64_t random_below(struct made *m, uint64_t bound)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return m->random % bound;
}

static void mac_of(unsigned phone, uint8_t ret[6])
{
	const uint8_t mac[6] = { 0x00, 0x24, 0x14, 0x2d, (uint8_t)(phone >> 8), (uint8_t)phone };

	memcpy(ret, mac, sizeof(mac));
}

static struct kl_endpoints ends_of(unsigned phone, bool backup)
{
	return (struct kl_endpoints){
		.phone = { htonl(0x0a620000 + phone + 10) },
		.cucm = { htonl(backup ? 0x0a6f6f51 : 0x0a6f6f50) },
		.phone_port = (uint16_t)(backup ? 52000 : 51000),
		.cucm_port = 2000,
		.family = 4,
	};
}

/* A connection; its id is the phone's number times two, plus 1 (2: to the backup). */
static struct kl_session *add_session(struct made *m, unsigned phone, bool backup,
				      const char *device)
{
	struct kl_event e = {
		.time_ns = CLOCK_NS,
		.conn_id = 2 * phone + 1 + backup,
		.ends = ends_of(phone, backup),
		.type = KL_EVENT_OPEN,
		.direction = KL_TO_CUCM,
		.tcp_flags = KL_SYN,
	};
	struct kl_message message = { .type = KL_MESSAGE_REGISTER };
	struct kl_session *s;

	mac_of(phone, e.phone_mac);
	must(kl_sessions_feed(m->sessions, &e, NULL, 0));
	if (device) {
		strncpy(message.device, device, sizeof(message.device) - 1);
		e.type = KL_EVENT_PAYLOAD;
		must(kl_sessions_learn(m->sessions, &e, &message));
	}
	s = (struct kl_session *)kl_sessions_find(m->sessions, e.conn_id);
	s->role = backup ? KL_ROLE_BACKUP : KL_ROLE_PRIMARY;
	s->kind = KL_SCCP_KEEPALIVE;
	s->schedule.period_us = backup ? 60000000 : 30000000;
	return s;
}

static void observe(struct made *m, uint64_t time_ns, uint64_t session, uint8_t direction,
		    bool again)
{
	struct kl_diagnosis *d = &m->d;

	d->observed = grown(d->observed, d->observed_count, &d->observed_room,
			    sizeof(*d->observed));
	d->observed[d->observed_count++] = (struct kl_observed){
		.time_ns = time_ns,
		.session = session,
		.idle_ms = 30000,
		.length = 12,
		.direction = direction,
		.again = again,
		.idle_known = KL_IDLE_ALL,
		.kind = direction == KL_TO_CUCM ? KL_SCCP_KEEPALIVE : KL_SCCP_KEEPALIVE_ACK,
	};
}

static struct kl_lost *lose(struct made *m, uint64_t time_ns, const struct kl_session *s)
{
	struct kl_diagnosis *d = &m->d;
	struct kl_lost *l;

	d->lost = grown(d->lost, d->lost_count, &d->lost_room, sizeof(*d->lost));
	l = &d->lost[d->lost_count++];
	*l = (struct kl_lost){
		.time_ns = time_ns,
		.through_ns = time_ns + 310 * MS,
		.conn_id = s->id,
		.ends = s->ends,
		.where = KL_BETWEEN,
		.direction = KL_TO_CUCM,
		.kind = KL_SCCP_KEEPALIVE,
		.seq = 2064543061U + 12 * (uint32_t)d->lost_count,
		.seq_other = 2064543061U + 12 * (uint32_t)d->lost_count,
		.length = 12,
		.copies = { 1, 0 },
		.sent_again = 1,
		.idle_ns = 29990 * MS,
		.idle_known = KL_IDLE_ALL,
	};
	memcpy(l->device, s->device, sizeof(l->device));
	memcpy(l->mac, s->mac, sizeof(l->mac));
	return l;
}

static void mac_event(struct made *m, uint64_t time_ns, int phone, enum kl_mac_happening happening,
		      const char *port)
{
	struct kl_mac_evidence e = {
		.time_ns = time_ns,
		.earliest_ns = time_ns,
		.happening = happening,
		.source = KL_MAC_FROM_SNMP,
		.has_mac = phone >= 0,
		.vlan = 120,
	};

	if (phone >= 0)
		mac_of((unsigned)phone, e.mac);
	snprintf(e.port, sizeof(e.port), "%s", port);
	snprintf(e.told_by, sizeof(e.told_by), "10.98.0.2");
	must(kl_evidence_mac(&m->d.evidence, &e));
}

static void alarm_of(struct made *m, uint64_t time_ns, const struct kl_session *s, uint64_t losses)
{
	struct kl_alarm a = {
		.time_ns = time_ns,
		.type = KL_ALARM_UNREGISTERED,
		.reason = 13,
		.matched_loss = losses > 0,
		.losses = losses,
		.session = s->id,
		.name = "EndPointUnregistered",
		.reason_name = "keepAliveTimeout",
		.protocol = "SCCP",
		.node = "cucm-pub",
		.address = kl_address_of(4, s->ends.phone),
	};

	memcpy(a.device, s->device, sizeof(s->device));
	must(kl_evidence_alarm(&m->d.evidence, &a));
	m->d.evidence.has_alarms = true;
}

static void end_of(struct made *m, uint64_t time_ns, const struct kl_session *s,
		   enum kl_session_how how)
{
	struct kl_ending e = { .time_ns = time_ns,
			       .session = s->id,
			       .by = KL_BY_CUCM,
			       .how = how,
			       .ttl = 62,
			       .usual_ttl = 61,
			       .lost_before = 3 };

	must(kl_evidence_ending(&m->d.evidence, &e));
}

static struct kl_finding *find(struct made *m, enum kl_cause cause, enum kl_confidence confidence,
			       const char *explanation, const char *remedy)
{
	struct kl_finding *f = &m->findings[m->finding_count++];

	*f = (struct kl_finding){ .cause = cause,
				  .confidence = confidence,
				  .fault = true,
				  .phones = 2,
				  .losses = m->d.lost_count };
	snprintf(f->explanation, sizeof(f->explanation), "%s", explanation);
	snprintf(f->remedy, sizeof(f->remedy), "%s", remedy);
	return f;
}

static struct kl_finding_evidence *evidence(struct kl_finding *f, const char *text, bool against)
{
	struct kl_finding_evidence *e = &f->evidence[f->evidence_count++];

	snprintf(e->text, sizeof(e->text), "%s", text);
	e->against = against;
	return e;
}

/* Keepalives and answers of a session for so long, as a phone sends them. */
static void talk(struct made *m, struct kl_session *s, uint64_t from_ns, uint64_t until_ns,
		 uint64_t period_ms, bool answers)
{
	for (uint64_t t = from_ns; t < until_ns; t += (period_ms + random_below(m, 20)) * MS) {
		observe(m, t, s->id, KL_TO_CUCM, false);
		s->keepalives++;
		if (!answers)
			continue;
		observe(m, t + 2 * MS + random_below(m, 900000), s->id, KL_TO_PHONE, false);
		s->answered++;
	}
}

/* ---- The cases ---- */

static void say_why(struct made *m)
{
	struct kl_finding *f = find(
		m, KL_CAUSE_MAC_AGEING, KL_CONFIDENCE_HIGH,
		"The switch forgets the MAC addresses of phones that are silent for longer than "
		"25 s, and the phones send a keepalive only every 30 s. What is for a forgotten "
		"address is dropped until the phone speaks again.",
		"raise the ageing time of port Gi0/7 above 120 s, or allow unknown unicast on it");
	struct kl_finding_evidence *e;

	e = evidence(f, "14 of 16 losses had an aged MAC before them, of 240 delivered none",
		     false);
	e->figure[e->figure_count++] = (struct kl_figure){ "fisher_p", 3.1e-19 };
	e->figure[e->figure_count++] = (struct kl_figure){ "cases", 16 };
	e = evidence(f, "the ageing time is between 24.0 s and 29.9 s", false);
	e->figure[e->figure_count++] = (struct kl_figure){ "ageing_at_least_s", 24 };
	e->figure[e->figure_count++] = (struct kl_figure){ "ageing_at_most_s", 29.9 };
	evidence(f, "2 losses had no such event before them", true);
	f = find(m, KL_CAUSE_PROXY_ARP, KL_CONFIDENCE_MEDIUM,
		 "10.111.111.80 is answered for by two MAC addresses, and 1 phone sends to the "
		 "wrong one.",
		 "no-proxy-arp on the firewall's interface");
	evidence(f, "00:50:56:aa:00:01 answered first 17 times, 00:50:56:aa:00:02 3 times", false);
	f = find(m, KL_CAUSE_PHONE_INITIATED, KL_CONFIDENCE_LOW,
		 "A phone ended its connection after it had ended its registration.", "");
	f->fault = false;
}

static void small(struct made *m, const char *const device[3])
{
	uint64_t end_ns = CLOCK_NS + 3600 * KL_NS_PER_S;
	struct kl_session *s[3];

	for (unsigned i = 0; i < 3; i++) {
		s[i] = add_session(m, i, false, device[i]);
		talk(m, s[i], CLOCK_NS + i * 7 * KL_NS_PER_S, end_ns, 30000, true);
	}
	talk(m, add_session(m, 0, true, NULL), CLOCK_NS + KL_NS_PER_S, end_ns, 60000, false);
	for (unsigned i = 0; i < 16; i++) {
		uint64_t t = CLOCK_NS + (400 + 170 * i + i * i) * KL_NS_PER_S;
		struct kl_session *of = s[i % 5 ? 1 : 2];
		struct kl_lost *l = lose(m, t, of);

		of->lost[KL_TO_CUCM][KL_BETWEEN]++;
		if (i < 14)
			mac_event(m, t - 4 * KL_NS_PER_S, i % 5 ? 1 : 2, KL_MAC_AGED, "Gi0/7");
		mac_event(m, t + KL_NS_PER_S / 3, i % 5 ? 1 : 2, KL_MAC_LEARNED, "Gi0/7");
		observe(m, t + 300 * MS, of->id, KL_TO_CUCM, true);
		if (i == 3) {
			struct kl_drop drop = { .time_ns = t,
						.reason = "NETFILTER_DROP",
						.symbol = "nf_hook_slow",
						.interface = "veth1" };

			must(kl_evidence_drop(&m->d.evidence, &drop, &l->drop));
		}
		if (i == 5) {
			l->where = KL_PHONE_SIDE;
			l->evidence = strdup("a number was left out before it");
		}
	}
	mac_event(m, CLOCK_NS + 2000 * KL_NS_PER_S, -1, KL_MAC_TOPOLOGY_CHANGE, "");
	alarm_of(m, CLOCK_NS + 1700 * KL_NS_PER_S, s[1], 3);
	alarm_of(m, CLOCK_NS + 2600 * KL_NS_PER_S, s[2], 0);
	end_of(m, CLOCK_NS + 1702 * KL_NS_PER_S, s[1], KL_HOW_RST);
	must(kl_evidence_arp(&m->d.evidence, &(struct kl_arp_conflict){
						     .time_ns = CLOCK_NS + 60 * KL_NS_PER_S,
						     .address = kl_address_of(4, s[0]->ends.cucm),
						     .mac_count = 2,
						     .mac = { { 0, 0x50, 0x56, 0xaa, 0, 1 },
							      { 0, 0x50, 0x56, 0xaa, 0, 2 } },
						     .answers = { 20, 20 },
						     .first_answers = { 17, 3 },
						     .requests = 20 }));
	must(kl_evidence_ageing(&m->d.evidence,
				&(struct kl_ageing_evidence){ .time_ns = CLOCK_NS + 1,
							      .ageing_ms = 25000,
							      .source = KL_MAC_FROM_SNMP,
							      .port = "Gi0/7",
							      .told_by = "10.98.0.2" }));
	for (unsigned i = 0; i < 100; i++)
		must(kl_evidence_trace(&m->d.evidence,
				       &(struct kl_trace_message){
					       .time_ns = CLOCK_NS + (i * 30 + 7) * KL_NS_PER_S,
					       .session = s[1]->id,
					       .kind = KL_SCCP_KEEPALIVE }));
	m->d.total.direction[KL_TO_CUCM].lost_between = 15;
	m->d.inferred[KL_TO_CUCM][KL_PHONE_SIDE] = 1;
	say_why(m);
}

/* Every byte in device names, and texts that would end an element, a script or a string. */
static void hostile(struct made *m)
{
	static const char *const nasty[3] = {
		"</script><b id=x",
		"<!--<script>\xe2\x80\xa8'\"",
		"\"><img src=x onx",
	};
	struct kl_finding *f;
	struct kl_alarm a = { .time_ns = CLOCK_NS + 100 * KL_NS_PER_S, .reason = -1 };

	small(m, nasty);
	for (unsigned i = 0; i < 16; i++) {
		char name[KL_DEVICE_NAME] = "";

		for (unsigned k = 0; k < 16; k++)
			name[k] = (char)(16 * i + k ? 16 * i + k : 1);
		talk(m, add_session(m, 10 + i, false, name), CLOCK_NS, CLOCK_NS + 600 * KL_NS_PER_S,
		     30000, false);
	}
	f = find(m, KL_CAUSE_MAC_FLUSH, KL_CONFIDENCE_LOW,
		 "</li><script>document.title='broken'</script><!-- \xe2\x80\xa8\xff",
		 "<img src=http://192.0.2.1/x onerror=document.title='broken'>");
	evidence(f, "</ul></section></main></body><iframe src=http://192.0.2.1/>", true);
	snprintf(a.name, sizeof(a.name), "</script><script>document.title='broken'");
	snprintf(a.device, sizeof(a.device), "%s", nasty[0]);
	snprintf(a.last_signal, sizeof(a.last_signal),
		 "\xe2\x80\xae\xc0\xaf\xed\xa0\x80\xe2\x80\xac\xf4\x90\x80");
	must(kl_evidence_alarm(&m->d.evidence, &a));
	mac_event(m, CLOCK_NS + 120 * KL_NS_PER_S, 1, KL_MAC_FLUSHED, "</script>\n\t\x01&lt;");
}

static void healthy(struct made *m)
{
	for (unsigned i = 0; i < 5; i++) {
		char name[KL_DEVICE_NAME];

		snprintf(name, sizeof(name), "SEP0024142D%04X", i);
		talk(m, add_session(m, i, false, name), CLOCK_NS, CLOCK_NS + 900 * KL_NS_PER_S,
		     30000, true);
	}
}

static void many(struct made *m)
{
	for (unsigned i = 0; i < 3; i++) {
		struct kl_session *s = add_session(m, i, false, NULL);

		for (unsigned k = 0; k < 20000; k++)
			lose(m, CLOCK_NS + (k * 3 + i) * 100 * MS, s);
		s->lost[KL_TO_CUCM][KL_BETWEEN] = 20000;
	}
	m->d.observed_stride = 2;
	m->d.lost_unlisted = 7;
}

static void large(struct made *m)
{
	uint64_t day_ns = 86400 * KL_NS_PER_S;

	for (unsigned i = 0; i < 500; i++) {
		char name[KL_DEVICE_NAME];
		struct kl_session *s;
		uint64_t from_ns = CLOCK_NS + random_below(m, 30000) * MS;

		snprintf(name, sizeof(name), "SEP0024142D%04X", i);
		s = add_session(m, i, false, name);
		talk(m, s, from_ns, CLOCK_NS + day_ns, 29990, i % 3 == 0);
		for (unsigned k = 0; i % 4 == 1 && k < 3 + i % 37; k++) {
			uint64_t t = CLOCK_NS + random_below(m, day_ns);

			lose(m, t, s);
			s->lost[KL_TO_CUCM][KL_BETWEEN]++;
			mac_event(m, t - 2 * KL_NS_PER_S, (int)i, KL_MAC_AGED, "Gi0/7");
			observe(m, t + 300 * MS, s->id, KL_TO_CUCM, true);
			if (k % 9 == 8)
				alarm_of(m, t + 90 * KL_NS_PER_S, s, 3);
		}
	}
	for (int i = 0; i < 4; i++)
		mac_event(m, CLOCK_NS + random_below(m, day_ns), -1, KL_MAC_TOPOLOGY_CHANGE, "");
	m->d.total.direction[KL_TO_CUCM].lost_between = m->d.lost_count;
	say_why(m);
}

/* Both lists have the time first. */
static int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* What kl_diagnosis_finish() would have done. */
static void finish(struct made *m)
{
	struct kl_diagnosis *d = &m->d;

	if (d->observed_count) {
		qsort(d->observed, d->observed_count, sizeof(*d->observed), by_time);
		d->first_ns = d->observed[0].time_ns;
		d->last_ns = d->observed[d->observed_count - 1].time_ns;
	}
	if (d->lost_count)
		qsort(d->lost, d->lost_count, sizeof(*d->lost), by_time);
	kl_evidence_sort(&d->evidence);
	for (size_t i = 0; i < d->observed_count; i++)
		d->total.direction[d->observed[i].direction].sent++;
	d->two_sided = true;
	d->phones = kl_sessions_phones(m->sessions);
	d->sessions = m->sessions;
}

static void done(struct made *m)
{
	for (size_t i = 0; i < m->d.lost_count; i++)
		free(m->d.lost[i].evidence);
	free(m->d.lost);
	free(m->d.observed);
	kl_evidence_done(&m->d.evidence);
	kl_sessions_free(m->sessions);
}

int main(int argc, char **argv)
{
	static const char *const phones[3] = { "SEP0024142DDF24", "SEP0024142DDF25", NULL };
	const struct kl_sessions_config config = { .deadline_ns = KL_NS_PER_S };
	struct made m = { .random = 88172645463325252ULL };
	struct kl_diagnosis_record record = { .diagnosis = &m.d,
					      .findings = m.findings,
					      .offset_ns = START_NS - CLOCK_NS };
	_cleanup_fclose_ FILE *out = NULL;
	struct kl_report report = {};
	int r;

	if (argc != 3)
		return 2;
	must(kl_sessions_new(&config, &m.sessions));
	if (!strcmp(argv[1], "small"))
		small(&m, phones);
	else if (!strcmp(argv[1], "hostile"))
		hostile(&m);
	else if (!strcmp(argv[1], "healthy"))
		healthy(&m);
	else if (!strcmp(argv[1], "many"))
		many(&m);
	else if (!strcmp(argv[1], "large"))
		large(&m);
	else if (strcmp(argv[1], "empty"))
		return 2;
	finish(&m);
	record.finding_count = m.finding_count;
	record.time_ns = m.d.last_ns + record.offset_ns;
	out = fopen(argv[2], "w");
	if (!out)
		must(-errno);
	report.out = out;
	r = kl_report_html.diagnosis(&report, &record);
	if (r)
		fprintf(stderr, "write-report: %s: %s\n", argv[2], strerror(-r));
	done(&m);
	return r ? 1 : 0;
}
