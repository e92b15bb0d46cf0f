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
#include <errno.h>
#include <string.h>

#include "made.h"
#include "util/cleanup.h"

#define START_NS (1772355600ULL * KL_NS_PER_S) /* 2026-03-01 09:00 UTC */

/* ---- The cases ---- */

static void say_why(struct made *m)
{
	struct kl_finding *f = made_finding(
		m, KL_CAUSE_MAC_AGEING, KL_CONFIDENCE_HIGH,
		"The switch forgets the MAC addresses of phones that are silent for longer than "
		"25 s, and the phones send a keepalive only every 30 s. What is for a forgotten "
		"address is dropped until the phone speaks again.",
		"raise the ageing time of port Gi0/7 above 120 s, or allow unknown unicast on it");
	struct kl_finding_evidence *e;

	e = made_evidence(f, "14 of 16 losses had an aged MAC before them, of 240 delivered none",
			  false);
	e->figure[e->figure_count++] = (struct kl_figure){ "fisher_p", 3.1e-19 };
	e->figure[e->figure_count++] = (struct kl_figure){ "cases", 16 };
	e = made_evidence(f, "the ageing time is between 24.0 s and 29.9 s", false);
	e->figure[e->figure_count++] = (struct kl_figure){ "ageing_at_least_s", 24 };
	e->figure[e->figure_count++] = (struct kl_figure){ "ageing_at_most_s", 29.9 };
	made_evidence(f, "2 losses had no such event before them", true);
	f = made_finding(
		m, KL_CAUSE_PROXY_ARP, KL_CONFIDENCE_MEDIUM,
		"10.111.111.80 is answered for by two MAC addresses, and 1 phone sends to the "
		"wrong one.",
		"no-proxy-arp on the firewall's interface");
	made_evidence(f, "00:50:56:aa:00:01 answered first 17 times, 00:50:56:aa:00:02 3 times",
		      false);
	f = made_finding(m, KL_CAUSE_PHONE_INITIATED, KL_CONFIDENCE_LOW,
			 "A phone ended its connection after it had ended its registration.", "");
	f->fault = false;
}

static void three_phones(struct made *m, const char *const device[3])
{
	uint64_t end_ns = MADE_CLOCK_NS + 3600 * KL_NS_PER_S;
	struct kl_session *s[3];

	for (unsigned i = 0; i < 3; i++) {
		s[i] = made_session(m, i, false, device[i]);
		made_talk(m, s[i], MADE_CLOCK_NS + i * 7 * KL_NS_PER_S, end_ns, 30000, true);
	}
	made_talk(m, made_session(m, 0, true, NULL), MADE_CLOCK_NS + KL_NS_PER_S, end_ns, 60000,
		  false);
	for (unsigned i = 0; i < 16; i++) {
		uint64_t t = MADE_CLOCK_NS + (400 + 170 * i + i * i) * KL_NS_PER_S;
		struct kl_session *of = s[i % 5 ? 1 : 2];
		struct kl_lost *l = made_loss(m, t, of);

		of->lost[KL_TO_CUCM][KL_BETWEEN]++;
		if (i < 14)
			made_mac_event(m, t - 4 * KL_NS_PER_S, i % 5 ? 1 : 2, KL_MAC_AGED, "Gi0/7");
		made_mac_event(m, t + KL_NS_PER_S / 3, i % 5 ? 1 : 2, KL_MAC_LEARNED, "Gi0/7");
		made_observe(m, t + 300 * MADE_MS, of->id, KL_TO_CUCM, true);
		if (i == 3) {
			struct kl_drop drop = { .time_ns = t,
						.reason = "NETFILTER_DROP",
						.symbol = "nf_hook_slow",
						.interface = "veth1" };

			made_must(kl_evidence_drop(&m->d.evidence, &drop, &l->drop));
		}
		if (i == 5) {
			l->where = KL_PHONE_SIDE;
			l->evidence = strdup("a number was left out before it");
		}
	}
	made_mac_event(m, MADE_CLOCK_NS + 2000 * KL_NS_PER_S, -1, KL_MAC_TOPOLOGY_CHANGE, "");
	made_alarm(m, MADE_CLOCK_NS + 1700 * KL_NS_PER_S, s[1], 3);
	made_alarm(m, MADE_CLOCK_NS + 2600 * KL_NS_PER_S, s[2], 0);
	made_ending(m, MADE_CLOCK_NS + 1702 * KL_NS_PER_S, s[1], KL_HOW_RST);
	made_must(kl_evidence_arp(
		&m->d.evidence,
		&(struct kl_arp_conflict){
			.time_ns = MADE_CLOCK_NS + 60 * KL_NS_PER_S,
			.address = kl_address_of(4, s[0]->ends.cucm),
			.mac_count = 2,
			.mac = { { 0, 0x50, 0x56, 0xaa, 0, 1 }, { 0, 0x50, 0x56, 0xaa, 0, 2 } },
			.answers = { 20, 20 },
			.first_answers = { 17, 3 },
			.requests = 20 }));
	made_must(kl_evidence_ageing(&m->d.evidence,
				     &(struct kl_ageing_evidence){ .time_ns = MADE_CLOCK_NS + 1,
								   .ageing_ms = 25000,
								   .source = KL_MAC_FROM_SNMP,
								   .port = "Gi0/7",
								   .told_by = "10.98.0.2" }));
	for (unsigned i = 0; i < 100; i++)
		made_must(kl_evidence_trace(
			&m->d.evidence,
			&(struct kl_trace_message){ .time_ns = MADE_CLOCK_NS +
							       (i * 30 + 7) * KL_NS_PER_S,
						    .session = s[1]->id,
						    .kind = KL_SCCP_KEEPALIVE }));
	m->d.total.direction[KL_TO_CUCM].lost_between = 15;
	m->d.inferred[KL_TO_CUCM][KL_PHONE_SIDE] = 1;
	say_why(m);
}

static void small(struct made *m)
{
	three_phones(m, (const char *const[]){ "SEP0024142DDF24", "SEP0024142DDF25", NULL });
}

static void empty(struct made *m)
{
	(void)m;
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
	struct kl_alarm a = { .time_ns = MADE_CLOCK_NS + 100 * KL_NS_PER_S, .reason = -1 };

	three_phones(m, nasty);
	for (unsigned i = 0; i < 16; i++) {
		char name[KL_DEVICE_NAME] = "";

		for (unsigned k = 0; k < 16; k++)
			name[k] = (char)(16 * i + k ? 16 * i + k : 1);
		made_talk(m, made_session(m, 10 + i, false, name), MADE_CLOCK_NS,
			  MADE_CLOCK_NS + 600 * KL_NS_PER_S, 30000, false);
	}
	f = made_finding(m, KL_CAUSE_MAC_FLUSH, KL_CONFIDENCE_LOW,
			 "</li><script>document.title='broken'</script><!-- \xe2\x80\xa8\xff",
			 "<img src=http://192.0.2.1/x onerror=document.title='broken'>");
	made_evidence(f, "</ul></section></main></body><iframe src=http://192.0.2.1/>", true);
	snprintf(a.name, sizeof(a.name), "</script><script>document.title='broken'");
	snprintf(a.device, sizeof(a.device), "%s", nasty[0]);
	snprintf(a.last_signal, sizeof(a.last_signal),
		 "\xe2\x80\xae\xc0\xaf\xed\xa0\x80\xe2\x80\xac\xf4\x90\x80");
	made_must(kl_evidence_alarm(&m->d.evidence, &a));
	made_observe(m, MADE_CLOCK_NS + 1, 9999, KL_TO_CUCM, false); /* of nobody that is known */
	made_mac_event(m, MADE_CLOCK_NS + 120 * KL_NS_PER_S, 1, KL_MAC_FLUSHED,
		       "</script>\n\t\x01&lt;");
}

static void healthy(struct made *m)
{
	for (unsigned i = 0; i < 5; i++) {
		char name[KL_DEVICE_NAME];

		snprintf(name, sizeof(name), "SEP0024142D%04X", i);
		made_talk(m, made_session(m, i, false, name), MADE_CLOCK_NS,
			  MADE_CLOCK_NS + 900 * KL_NS_PER_S, 30000, true);
	}
}

static void many(struct made *m)
{
	for (unsigned i = 0; i < 3; i++) {
		struct kl_session *s = made_session(m, i, false, NULL);

		for (unsigned k = 0; k < 20000; k++)
			made_loss(m, MADE_CLOCK_NS + (k * 3 + i) * 100 * MADE_MS, s);
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
		uint64_t from_ns = MADE_CLOCK_NS + made_random_below(m, 30000) * MADE_MS;

		snprintf(name, sizeof(name), "SEP0024142D%04X", i);
		s = made_session(m, i, false, name);
		made_talk(m, s, from_ns, MADE_CLOCK_NS + day_ns, 29990, i % 3 == 0);
		for (unsigned k = 0; i % 4 == 1 && k < 3 + i % 37; k++) {
			uint64_t t = MADE_CLOCK_NS + made_random_below(m, day_ns);

			made_loss(m, t, s);
			s->lost[KL_TO_CUCM][KL_BETWEEN]++;
			made_mac_event(m, t - 2 * KL_NS_PER_S, (int)i, KL_MAC_AGED, "Gi0/7");
			made_observe(m, t + 300 * MADE_MS, s->id, KL_TO_CUCM, true);
			if (k % 9 == 8)
				made_alarm(m, t + 90 * KL_NS_PER_S, s, 3);
		}
	}
	for (int i = 0; i < 4; i++)
		made_mac_event(m, MADE_CLOCK_NS + made_random_below(m, day_ns), -1,
			       KL_MAC_TOPOLOGY_CHANGE, "");
	m->d.total.direction[KL_TO_CUCM].lost_between = m->d.lost_count;
	say_why(m);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*make)(struct made *m);
	} cases[] = { { "small", small }, { "hostile", hostile }, { "healthy", healthy },
		      { "empty", empty }, { "many", many },	  { "large", large } };
	const struct kl_sessions_config config = { .deadline_ns = KL_NS_PER_S };
	struct made m = { .random = 88172645463325252ULL };
	struct kl_diagnosis_record record = { .diagnosis = &m.d,
					      .findings = m.findings,
					      .offset_ns = START_NS - MADE_CLOCK_NS };
	_cleanup_fclose_ FILE *out = NULL;
	struct kl_report report = {};
	size_t kind = 0;
	int r;

	if (argc != 3)
		return 2;
	while (kind < KL_COUNT(cases) && strcmp(argv[1], cases[kind].name))
		kind++;
	if (kind == KL_COUNT(cases))
		return 2;
	made_must(kl_sessions_new(&config, &m.sessions));
	cases[kind].make(&m);
	made_finish(&m);
	record.finding_count = m.finding_count;
	record.time_ns = m.d.last_ns + record.offset_ns;
	out = fopen(argv[2], "w");
	if (!out)
		made_must(-errno);
	report.out = out;
	r = kl_report_html.diagnosis(&report, &record);
	if (r)
		fprintf(stderr, "write-report: %s: %s\n", argv[2], strerror(-r));
	made_done(&m);
	return r ? 1 : 0;
}
