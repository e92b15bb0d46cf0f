/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records on their way out, in one of the formats of docs/contract.md. A report only prints: what
 * it prints was decided before. All times are CLOCK_REALTIME in ns.
 *
 * Functions return 0 or a negative errno: -EPIPE where the reader went away, else that of the
 * write. A report owns no file: the caller opens and closes it.
 */
#pragma once

#include <stdio.h>

#include "core/findings.h"
#include "core/session.h"
#include "core/tally.h"

struct kl_report_tick {
	uint64_t time_ns;
	double interval_s; /* the summary: how long the run was */
	size_t phones;	   /* the summary: the most at any tick */
	const struct kl_tally_report *tally;
	/* Losses outside the two interfaces, inferred in the interval. */
	uint64_t inferred[KL_DIRECTIONS][KL_WHERES];
	const struct kl_sessions *sessions; /* the summary: to be listed one by one; NULL: not */
	/* MAC addresses that were aged out or flushed; not known without a source that tells. */
	uint64_t mac_flushes;
	bool mac_flushes_known;
};

/* Who a record is about. */
struct kl_party {
	struct kl_endpoints ends;
	uint16_t vlan;
	uint8_t mac[6];
	const char *device; /* NULL: not known */
	bool probable;	    /* of a session under TLS: what is said of it is probable */
};

struct kl_loss {
	uint64_t
		time_ns; /* when the lost copy was seen at the side nearer to its sender, or, before
			   * that side, when it was due */
	struct kl_party party;
	enum kl_where where;
	__u32 direction;
	__u32 kind;
	uint32_t seq;
	uint32_t seq_other; /* as the other side numbers it */
	uint32_t length;
	unsigned copies[KL_SIDES];
	uint64_t late_ns; /* of the first copy that was seen; 0: not known */
	uint64_t idle_ns; /* the phone's silence before; see idle_known */
	enum kl_idle_known idle_known;
	const struct kl_drop *drop; /* the kernel's own reason; NULL: it gave none */
	bool unexplained;     /* it was asked for one: lost between two interfaces of this host */
	const char *evidence; /* of an inferred loss; NULL: it was measured */
};

struct kl_retransmission {
	uint64_t time_ns;
	struct kl_party party;
	__u32 direction;
	__u32 kind;
	uint32_t seq;
	uint32_t length;
	uint64_t gap_ns; /* 0: not known */
	uint64_t rto_ns; /* 0: not known */
	unsigned copy;
	bool inferred;	    /* no earlier copy was seen here */
	const char *remark; /* NULL: none */
};

struct kl_session_record {
	uint64_t time_ns;
	struct kl_party party;
	enum kl_story_type event; /* KL_STORY_START, _REGISTERED, _PERIOD or _STOP */
	enum kl_session_by by;
	enum kl_session_how how;
	enum kl_role role;
	uint64_t period_us;  /* 0: not known */
	uint64_t jitter_us;  /* valid where the period is known */
	const char *failure; /* what the phone said of its last failure; NULL: nothing */
};

struct kl_forecast_record {
	uint64_t time_ns;
	struct kl_party party;
	enum kl_forecast_state state;
	uint64_t at_ns;
	const char *because;
};

/* Records that nobody read in time, in a row. */
struct kl_dropped_records {
	uint64_t time_ns;
	uint64_t records;
	uint64_t from_ns; /* when the first and the last one were dropped */
	uint64_t to_ns;
};

/* What a side's captures are, and what is missing in them. */
struct kl_captures_note {
	const char *files; /* as they were named; NULL: there is no capture of this side */
	uint64_t packets;
	uint64_t segments;
	uint64_t first_ns; /* by that side's clock; 0: not known */
	uint64_t last_ns;
	uint64_t dropped;      /* by the capture, as it says itself */
	uint64_t dropped_late; /* of which it said so when losses had been judged */
	uint64_t cut;	       /* segments too short in the file to tell what is in them */
	uint64_t malformed;
	uint64_t fragments;
	uint64_t back_steps;
	const char *const *remarks; /* sentences: files that end early, and the like */
	size_t remark_count;
};

/* Of a run on interfaces. */
struct kl_live_note {
	double duration_s;
};

struct kl_diagnosis_record {
	uint64_t time_ns; /* of the last segment; with offset_ns */
	/* Added to all times of the diagnosis to have CLOCK_REALTIME. 0: they are that already. */
	uint64_t offset_ns;
	const struct kl_live_note *live; /* NULL: from captures */
	const struct kl_diagnosis *diagnosis;
	const struct kl_finding *findings;
	size_t finding_count;
	struct kl_captures_note captures[KL_SIDES];
	const char *const *remarks; /* sentences: inputs that could not be used, and the like */
	size_t remark_count;
	bool list_sessions;
};

struct kl_report {
	FILE *out;
	bool color;
	unsigned lines; /* text: since the last header */
	const struct kl_report_format *format;
};

/* What a format has no use for is NULL. */
struct kl_report_format {
	int (*tick)(struct kl_report *r, const struct kl_report_tick *t);
	int (*loss)(struct kl_report *r, const struct kl_loss *l);
	int (*retransmission)(struct kl_report *r, const struct kl_retransmission *t);
	int (*session)(struct kl_report *r, const struct kl_session_record *s);
	int (*forecast)(struct kl_report *r, const struct kl_forecast_record *f);
	/* Times of evidence are offset_ns behind CLOCK_REALTIME. */
	int (*mac)(struct kl_report *r, const struct kl_mac_evidence *m, uint64_t offset_ns);
	int (*arp)(struct kl_report *r, const struct kl_arp_conflict *c, uint64_t offset_ns);
	/* An alarm that says that a phone was unregistered, or could not register. */
	int (*unregistration)(struct kl_report *r, const struct kl_alarm *a, uint64_t offset_ns);
	int (*dropped)(struct kl_report *r, const struct kl_dropped_records *d);
	int (*summary)(struct kl_report *r, const struct kl_report_tick *t);
	/* The end of a diagnosis: all of it. The records above may have come before. */
	int (*diagnosis)(struct kl_report *r, const struct kl_diagnosis_record *d);
};

extern const struct kl_report_format kl_report_text;
extern const struct kl_report_format kl_report_jsonl;
/* One document: only diagnosis() prints. */
extern const struct kl_report_format kl_report_json;
extern const struct kl_report_format kl_report_html;

/*
 * A story of the sessions as the record that it is. Times are offset_ns behind the real ones.
 * drop: why a copy was lost, as the kernel says; NULL: it did not.
 */
int kl_report_story(struct kl_report *r, const struct kl_story *story, uint64_t offset_ns,
		    const struct kl_drop *drop);

/* What a fprintf() or fflush() to the report's file came to. */
int kl_report_flush(struct kl_report *r);
