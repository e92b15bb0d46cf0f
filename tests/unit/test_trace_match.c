// SPDX-License-Identifier: GPL-2.0-only
/* trace_match.h: a site with phones, what was seen of it, and the trace that its server wrote. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/trace_match.h"

#define MS KL_NS_PER_MS
#define S (1000 * MS)
#define HOUR (3600 * S)
#define NOON 1435838400ULL /* 2 July 2015, 12:00:00 GMT */

enum {
	ENTRIES = 20000,
	ENTRY = 700,
	PHONES = 40,
	ALL = 1 << 30,
};

enum style {
	SIP,
	SIP_NO_DATE,
	SCCP_NAMED,    /* each line has address and device */
	SCCP_NUMBERED, /* a number of the connection only */
};

struct site {
	enum style style;
	unsigned phones;
	unsigned rounds;
	unsigned period_s;
	uint64_t start_s;
	int zone_minutes;
	int64_t clock_error_ns;		    /* of the server's */
	uint64_t lag_ns;		    /* until a line is written; 0: 2 ms */
	unsigned first_traced, last_traced; /* rounds that are in the trace; last: 0: all */
	unsigned silent_phone,
		silent_from;	 /* from this round on, it does not reach the application */
	unsigned untraced_phone; /* plus 1 */
	bool translated;	 /* the server sees other addresses */
	bool live;		 /* the segments' clock has nothing to do with the time of day... */
	bool live_known;	 /* ...but how far it is off is known */
	bool crlf;
	bool exact;	     /* keepalives without any jitter */
	unsigned lost_every; /* before the server; the copy after it comes through */
	unsigned held_every; /* comes to the application 8 s later: an earlier segment is missing */
	bool stops;	     /* nothing is written behind the last traced round */
};

struct entry {
	uint64_t time_ns;
	char text[ENTRY];
};

static struct entry *entries;
static unsigned entry_count;
static struct kl_sessions *sessions;
static struct kl_diagnosis diagnosis;
static struct kl_evidence evidence;
static struct kl_trace_lines lines;
static uint32_t seed;

static uint32_t lot(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)(seed >> 8) * below >> 24);
}

/* A line at this time (GMT by the segments' clock); %T is where the time of day goes. */
__attribute__((format(printf, 3, 4))) static void write_line(const struct site *site,
							     uint64_t time_ns, const char *format,
							     ...)
{
	struct entry *e = &entries[entry_count++];
	uint64_t local_ns = time_ns + (uint64_t)site->clock_error_ns +
			    (uint64_t)((int64_t)site->zone_minutes * 60 * (int64_t)S);
	uint64_t tod_ms = local_ns / MS % 86400000;
	va_list args;
	int n;

	cr_assert_lt(entry_count, ENTRIES);
	e->time_ns = time_ns;
	n = snprintf(e->text, ENTRY, "00455398.001 |%02u:%02u:%02u.%03u |AppInfo  |",
		     (unsigned)(tod_ms / 3600000), (unsigned)(tod_ms / 60000 % 60),
		     (unsigned)(tod_ms / 1000 % 60), (unsigned)(tod_ms % 1000));
	va_start(args, format);
	vsnprintf(e->text + n, (size_t)(ENTRY - n), format, args);
	va_end(args);
}

static void write_date(const struct site *site, uint64_t time_ns, char ret[64])
{
	time_t t = (time_t)((time_ns + (uint64_t)site->clock_error_ns) / S);
	struct tm tm;

	gmtime_r(&t, &tm);
	ret[0] = '\0';
	if (site->style == SIP)
		strftime(ret, 64, "Date: %a, %d %b %Y %H:%M:%S GMT\n", &tm);
}

static void write_keepalive(const struct site *site, unsigned phone, unsigned round,
			    uint64_t time_ns)
{
	const char *net = site->translated ? "192.0.2" : "10.0.0";
	char date[64];

	time_ns += (site->lag_ns ?: 2 * MS) + lot(1000) * 1000;
	write_date(site, time_ns, date);
	switch (site->style) {
	case SCCP_NAMED:
		write_line(site, time_ns,
			   "StationInit - InboundStim - KeepAliveMessage - Forward KeepAlive to "
			   "StationD. DeviceName=SEP0000000000%02X, TCPHandle=0x%x, Socket=0x600, "
			   "IPAddr=%s.%u, Port=%u, StationD=[1,85,2]\n",
			   phone, 0x100 + phone, net, 1 + phone, 50000 + phone);
		write_line(site, time_ns + MS,
			   "StationD - stationOutputKeepAliveAck tcpHandle=0x%x\n", 0x100 + phone);
		return;
	case SCCP_NUMBERED:
		write_line(site, time_ns, "StationInit: (%07u) KeepAlive\n", 100 + phone);
		write_line(site, time_ns + MS, "StationD:    (%07u) KeepAliveAck\n", 100 + phone);
		return;
	default:
		break;
	}
	write_line(site, time_ns,
		   "SIPTcp - wait_SdlReadRsp: Incoming SIP TCP message from %s.%u on port %u index "
		   "1 with 890 bytes:\n[1,NET]\nREGISTER sip:x SIP/2.0\nCall-ID: %u@x\nCSeq: %u "
		   "REGISTER\nContact: "
		   "<sip:1@x>;+u.sip!devicename.ccm.cisco.com=\"SEP0000000000%02X\"\nExpires: "
		   "3600\n\n",
		   net, 1 + phone, 50000 + phone, phone, 100 + round, phone);
	write_line(site, time_ns + MS,
		   "SIPTcp - wait_SdlSPISignal: Outgoing SIP TCP message to %s.%u on port %u index "
		   "1\n[1,NET]\nSIP/2.0 200 OK\nCall-ID: %u@x\nCSeq: %u REGISTER\n%sExpires: "
		   "120\n\n",
		   net, 1 + phone, 50000 + phone, phone, 100 + round, date);
}

static void open_session(const struct site *site, unsigned phone)
{
	bool sip = site->style == SIP || site->style == SIP_NO_DATE;
	struct kl_event e = { .type = KL_EVENT_OPEN,
			      .time_ns = S + phone,
			      .conn_id = 1000 - phone,
			      .ends = { .family = 4,
					.phone = { __builtin_bswap32(0x0a000001 + phone) },
					.cucm = { __builtin_bswap32(0x0a010001) },
					.phone_port = (uint16_t)(50000 + phone),
					.cucm_port = sip ? 5060 : 2000 } };
	struct kl_message message = { .type = KL_MESSAGE_REGISTER };

	cr_assert_eq(kl_sessions_feed(sessions, &e, NULL, 0), 0);
	snprintf(message.device, sizeof(message.device), "SEP0000000000%02X", phone & 0xff);
	e.type = KL_EVENT_PAYLOAD;
	cr_assert_eq(kl_sessions_learn(sessions, &e, &message), 0);
}

static void observe(const struct site *site, unsigned phone, uint64_t time_ns, uint32_t seq,
		    uint8_t direction, bool lost, bool again)
{
	bool sip = site->style == SIP || site->style == SIP_NO_DATE;
	struct kl_observed o = { .time_ns = time_ns - (site->live ? NOON * S - 12345678901 : 0),
				 .session = 1000 - phone,
				 .seq = seq,
				 .direction = direction & 1,
				 .lost = lost,
				 .again = again,
				 .where = lost ? KL_CUCM_SIDE : 0,
				 .kind = sip ? (direction ? KL_SIP_RESPONSE : KL_SIP_REGISTER)
					     : (direction ? KL_SCCP_KEEPALIVE_ACK
							  : KL_SCCP_KEEPALIVE) };

	diagnosis.observed[diagnosis.observed_count++] = o;
}

static int by_time(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
}

static void read_trace(bool crlf)
{
	struct kl_trace_parser *p;

	qsort(entries, entry_count, sizeof(*entries), by_time);
	lines = (struct kl_trace_lines){};
	cr_assert_eq(kl_trace_parser_new(&lines, &p), 0);
	for (unsigned i = 0; i < entry_count; i++) {
		for (const char *c = entries[i].text; *c; c++) {
			if (crlf && *c == '\n')
				kl_trace_parser_feed(p, "\r", 1);
			cr_assert_eq(kl_trace_parser_feed(p, c, 1), 0);
		}
	}
	cr_assert_eq(kl_trace_parser_end_file(p), 0);
	cr_expect_eq(lines.malformed, 0, "%s", lines.complaint);
	kl_trace_parser_free(p);
}

static void live_one(const struct site *site, unsigned phone)
{
	uint64_t at = (site->start_s ?: NOON) * S + lot(site->period_s * 1000) * MS;
	uint32_t seq = 1000 * phone;

	for (unsigned round = 0; round < site->rounds; round++) {
		bool lost = site->lost_every && round % site->lost_every == 1;
		bool heard = phone != site->silent_phone || round < (site->silent_from ?: ALL);
		bool traced = round >= site->first_traced && round <= (site->last_traced ?: ALL) &&
			      phone + 1 != site->untraced_phone;

		if (lost)
			observe(site, phone, at, seq, KL_TO_CUCM, true, false);
		if (lost)
			at += 220 * MS;
		observe(site, phone, at, seq, KL_TO_CUCM, false, lost);
		if (heard)
			observe(site, phone, at + 4 * MS, 5000 + seq, KL_TO_PHONE, false, false);
		if (heard && traced)
			write_keepalive(site, phone, round,
					site->held_every && round % site->held_every == 1
						? at + 8 * S
						: at);
		else if (!site->stops || round <= site->last_traced)
			write_line(site, at, "something else\n");
		at += site->period_s * S + (site->exact ? 0 : lot(40000) * 1000);
		seq += 12;
	}
}

static const struct kl_trace_verdict *run(const struct site *site)
{
	static const struct kl_sessions_config config = { .two_sided = true };

	seed = 1;
	entries = calloc(ENTRIES, sizeof(*entries));
	entry_count = 0;
	cr_assert_eq(kl_sessions_new(&config, &sessions), 0);
	diagnosis = (struct kl_diagnosis){ .sessions = sessions, .observed_stride = 1 };
	diagnosis.observed = calloc(ENTRIES, sizeof(*diagnosis.observed));
	evidence = (struct kl_evidence){};
	for (unsigned phone = 0; phone < site->phones; phone++) {
		open_session(site, phone);
		live_one(site, phone);
	}
	read_trace(site->crlf);
	if (site->live_known)
		lines.ahead_ns = -(int64_t)(NOON * S - 12345678901);
	cr_assert_eq(kl_trace_match(&lines, &diagnosis, &evidence), 0);
	return &evidence.trace_verdict;
}

static void stop(void)
{
	kl_evidence_done(&evidence);
	kl_trace_lines_done(&lines);
	free(diagnosis.observed);
	kl_sessions_free(sessions);
	free(entries);
}

/* The server's clock and zone, as the offset has to undo them (and a line's lag). */
static void expect_offset(const struct site *site)
{
	int64_t want = -site->clock_error_ns - (int64_t)site->zone_minutes * 60 * (int64_t)S;
	int64_t off = evidence.trace_verdict.offset_ns - want;

	cr_assert(evidence.trace_verdict.offset_known);
	cr_expect_leq(llabs(off), 10 * MS, "%lld ms off", (long long)off / (long long)MS);
}

static void expect_all_received(const struct site *site)
{
	const struct kl_trace_verdict *v = &evidence.trace_verdict;

	expect_offset(site);
	cr_expect_eq(v->sessions, site->phones);
	cr_expect_eq(v->sessions_covered, site->phones);
	cr_expect_geq(v->received, (uint64_t)site->phones * site->rounds - 2);
	cr_expect_eq(v->missing, 0);
	cr_expect_leq(v->unmatched, 2);
	cr_expect_eq(evidence.trace.count, lines.line.count);
	for (size_t i = 0; i < evidence.trace.count; i++)
		cr_expect_neq(evidence.trace.item[i].session, 0);
}

static const struct {
	const char *name;
	struct site site;
} good[] = {
	{ "SIP", { SIP, 5, 10, 115 } },
	{ "SIP in Sydney, its clock 5.3 s off",
	  { SIP, 5, 10, 115, .zone_minutes = 600, .clock_error_ns = 5320 * (int64_t)MS } },
	{ "SIP in Los Angeles, the other way",
	  { SIP, 5, 10, 115, .zone_minutes = -420, .clock_error_ns = -5320 * (int64_t)MS } },
	{ "SIP in Kathmandu", { SIP, 3, 10, 115, .zone_minutes = 345 } },
	{ "over midnight", { SIP, 5, 20, 115, .start_s = NOON + 11 * 3600 + 2700 } },
	{ "over midnight, without a date",
	  { SIP_NO_DATE, 5, 20, 115, .start_s = NOON + 11 * 3600 + 2700 } },
	{ "without a date", { SIP_NO_DATE, 5, 10, 115, .zone_minutes = -300 } },
	{ "with CRLF", { SIP, 2, 10, 115, .crlf = true } },
	{ "translated addresses", { SIP, 5, 10, 115, .translated = true } },
	{ "losses on the way", { SIP, 5, 12, 115, .lost_every = 3 } },
	{ "SCCP", { SCCP_NAMED, 8, 20, 30, .zone_minutes = 120 } },
	{ "SCCP by numbers", { SCCP_NUMBERED, 4, 20, 30, .zone_minutes = 120 } },
	{ "a live run of a single phone like clockwork",
	  { SIP, 1, 30, 100, .live = true, .live_known = true, .exact = true } },
	{ "a live run", { SIP_NO_DATE, 12, 10, 115, .live = true } },
};

Test(trace_match, what_all_received_is_found_whatever_the_clocks)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const struct site *site = &good[i].site;

		run(site);
		cr_expect(evidence.trace_verdict.offset_known, "%s", good[i].name);
		/* (Without a date, days are counted from anywhere.) */
		if (site->style == SIP && !site->live)
			expect_all_received(site);
		cr_expect_eq(evidence.trace_verdict.missing, 0, "%s", good[i].name);
		cr_expect_eq(evidence.trace_verdict.sessions_covered, site->phones, "%s",
			     good[i].name);
		cr_expect_geq(evidence.trace_verdict.received,
			      (uint64_t)site->phones * site->rounds - 2, "%s", good[i].name);
		cr_expect_leq(evidence.trace_verdict.unmatched, 2, "%s: %llu", good[i].name,
			      (unsigned long long)evidence.trace_verdict.unmatched);
		stop();
	}
}

Test(trace_match, what_the_application_did_not_receive_is_missing)
{
	for (enum style style = SIP; style <= SCCP_NUMBERED; style++) {
		struct site site = { .style = style,
				     .phones = 4,
				     .rounds = 20,
				     .period_s = 60,
				     .silent_phone = 2,
				     .silent_from = 12 };
		const struct kl_trace_verdict *v = run(&site);

		cr_assert(v->offset_known);
		cr_expect_geq(v->missing, 7, "style %d: %llu", style,
			      (unsigned long long)v->missing);
		cr_expect_leq(v->missing, 8);
		cr_expect_eq(v->sessions_missing, 1);
		cr_expect_eq(v->sessions_covered, 4);
		cr_expect_eq(v->covered, v->received + v->missing);
		cr_expect_gt(v->first_missing_ns, v->from_ns);
		cr_expect_lt(v->first_missing_ns, v->to_ns);
		stop();
	}
}

Test(trace_match, a_connection_that_is_not_in_the_trace_at_all_proves_nothing)
{
	struct site site = { SIP, 4, 20, 115, .untraced_phone = 2 };
	const struct kl_trace_verdict *v = run(&site);

	cr_assert(v->offset_known);
	cr_expect_eq(v->sessions, 4);
	cr_expect_eq(v->sessions_covered, 3);
	cr_expect_eq(v->missing, 0);
	stop();
}

Test(trace_match, nor_does_what_came_before_the_trace_was_set_to_tell)
{
	struct site site = { SIP, 4, 20, 115, .first_traced = 8 };
	const struct kl_trace_verdict *v = run(&site);

	cr_assert(v->offset_known);
	cr_expect_eq(v->missing, 0);
	cr_expect_geq(v->received, 4 * 12 - 2);
	stop();
}

Test(trace_match, a_trace_that_ends_is_told_from_one_that_misses)
{
	struct site site = { SIP, 4, 20, 115, .last_traced = 9, .stops = true };
	const struct kl_trace_verdict *v = run(&site);

	cr_assert(v->offset_known);
	cr_expect_leq(v->missing, 4); /* phones are not in step */
	cr_expect_geq(v->after, 4 * 10 - 4);
	stop();
}

Test(trace_match, a_trace_without_keepalives_says_nothing)
{
	struct site site = { SIP, 4, 20, 115, .first_traced = ALL };
	const struct kl_trace_verdict *v = run(&site);

	cr_expect_not(v->offset_known);
	cr_expect_eq(v->messages, 0);
	cr_expect_eq(v->missing, 0);
	cr_expect(evidence.has_trace);
	stop();
}

Test(trace_match, a_busy_server_that_writes_late_has_received_all_the_same)
{
	struct site site = { SIP, 4, 20, 115, .lag_ns = 1500 * MS };
	const struct kl_trace_verdict *v = run(&site);

	cr_assert(v->offset_known);
	cr_expect_eq(v->missing, 0);
	stop();
}

Test(trace_match, what_waited_for_an_earlier_segment_was_received)
{
	struct site site = { SIP, 4, 20, 115, .held_every = 5 };
	const struct kl_trace_verdict *v = run(&site);

	cr_assert(v->offset_known);
	cr_expect_eq(v->missing, 0);
	cr_expect_geq(v->received, 4 * 20 - 1);
	stop();
}

/* A single phone like clockwork, no date, and a clock of its own: each period would do. */
Test(trace_match, where_several_offsets_would_do_none_is_taken)
{
	struct site site = { SIP_NO_DATE, 1, 30, 100, .live = true, .exact = true };

	run(&site);
	cr_expect_not(evidence.trace_verdict.offset_known);
	cr_expect_eq(evidence.trace_verdict.missing, 0);
	cr_expect_eq(evidence.trace.count, 0);
	stop();
}

Test(trace_match, another_sites_trace_matches_nothing)
{
	struct site site = { SIP, 4, 20, 115 };

	run(&site);
	for (size_t i = 0; i < lines.peer.count; i++) {
		lines.peer.item[i].port = 1;
		snprintf(lines.peer.item[i].device, KL_DEVICE_NAME, "SEPFFFFFFFF%04X",
			 (unsigned)i & 0xffff);
	}
	kl_evidence_done(&evidence);
	cr_assert_eq(kl_trace_match(&lines, &diagnosis, &evidence), 0);
	cr_expect_not(evidence.trace_verdict.offset_known);
	cr_expect_eq(evidence.trace_verdict.missing, 0);
	stop();
}

Test(trace_match, the_last_ones_that_nobody_acknowledged_are_not_held_against_the_application)
{
	struct site site = { SIP, 3, 20, 60, .silent_phone = 1, .silent_from = 17 };
	struct kl_session *s;

	run(&site);
	cr_expect_geq(evidence.trace_verdict.missing, 2);
	s = (struct kl_session *)kl_sessions_find(sessions, 999);
	s->unacknowledged = 3;
	kl_evidence_done(&evidence);
	cr_assert_eq(kl_trace_match(&lines, &diagnosis, &evidence), 0);
	cr_expect_eq(evidence.trace_verdict.missing, 0);
	stop();
}

/* Whatever the site, what the application received is never called missing. */
Test(trace_match, nothing_is_missing_at_random_sites_where_nothing_is)
{
	unsigned known = 0;

	for (uint32_t i = 0; i < 150; i++) {
		struct site site;
		unsigned most;

		seed = i * 7919;
		site = (struct site){ .style = lot(4),
				      .phones = 1 + lot(12),
				      .rounds = 4 + lot(30),
				      .period_s = 15 + lot(4) * 35,
				      .start_s = NOON + lot(86400),
				      .zone_minutes = (int)lot(96) * 15 - 720,
				      .clock_error_ns = (int64_t)lot(12000) * (int64_t)MS -
							6000 * (int64_t)MS,
				      .lag_ns = (1 + lot(300)) * MS,
				      .first_traced = lot(8),
				      .last_traced = 3 + lot(30),
				      .translated = lot(4) == 0,
				      .live = lot(4) == 0,
				      .exact = lot(3) == 0,
				      .stops = true,
				      .lost_every = lot(2) * (2 + lot(5)) };
		run(&site);
		/* (Phones are not in step: where it ends, some have one more that is not in it.) */
		most = site.last_traced + 1 < site.rounds ? site.phones : 0;
		cr_expect_leq(evidence.trace_verdict.missing, most, "site %u: %llu", i,
			      (unsigned long long)evidence.trace_verdict.missing);
		known += evidence.trace_verdict.offset_known;
		stop();
	}
	cr_log_info("%u offsets known", known);
	cr_expect_gt(known, 75, "%u", known);
}
