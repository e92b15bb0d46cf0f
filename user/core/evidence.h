/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What was seen beside the segments and may say why some were lost: MAC tables, ARP, the kernel's
 * own drops, the server's alarms and traces. Here are the pieces, as the sources hand them over,
 * and a store for a diagnosis that keeps them all. Pure.
 *
 * Times are those of the segments' clock (live: CLOCK_MONOTONIC; captures: the access side's), 0
 * where not known. Texts are empty where not known. A piece holds no pointers: it may be copied.
 * A struct kl_evidence owns its lists; beyond KL_EVIDENCE_MAX of a kind they are counted only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kaloss/segment.h>

#include "core/phones.h"

enum {
	KL_EVIDENCE_MAX = 1 << 20,
	KL_PORT_NAME = 32,
	KL_SWITCH_NAME = 64,
};

/* An address: IPv4 in word 0 and the rest zero, in network byte order. family 0: not known. */
struct kl_address {
	uint32_t word[4];
	uint8_t family; /* 4, 6 or 0 */
};

/* ---- MAC tables ---- */

enum kl_mac_happening {
	KL_MAC_LEARNED,
	KL_MAC_MOVED,
	KL_MAC_AGED,	/* silent for longer than the ageing time */
	KL_MAC_FLUSHED, /* removed before that, or it is not told why */
	KL_MAC_TOPOLOGY_CHANGE,
	KL_MAC_VIOLATION, /* of port security */
	KL_MAC_HAPPENINGS,
};

enum kl_mac_source {
	KL_MAC_FROM_BRIDGE, /* of this host */
	KL_MAC_FROM_SNMP,
	KL_MAC_FROM_SYSLOG,
	KL_MAC_SOURCES,
};

struct kl_mac_evidence {
	uint64_t time_ns;
	uint64_t earliest_ns; /* it may have happened as early as this (polling); else time_ns */
	uint8_t happening;    /* enum kl_mac_happening */
	uint8_t source;	      /* enum kl_mac_source */
	bool has_mac;	      /* false: it concerns the whole table */
	uint8_t mac[6];
	uint16_t vlan;		      /* 0: not known */
	uint32_t silent_ms;	      /* bridge, AGED and FLUSHED: since its last frame; else 0 */
	char port[KL_PORT_NAME];      /* "Gi0/7", "veth3", "bridge port 7" */
	char from_port[KL_PORT_NAME]; /* MOVED */
	char told_by[KL_SWITCH_NAME]; /* the bridge's name, the switch's address or host name */
};

/* An ageing time that is set somewhere, as it was read. */
struct kl_ageing_evidence {
	uint64_t time_ns;
	uint64_t ageing_ms; /* 0: no ageing */
	uint8_t source;	    /* enum kl_mac_source */
	bool port_security; /* of secure addresses of this port, not of the table */
	bool absolute;	    /* port security: counted from the learning, not from the last frame */
	char port[KL_PORT_NAME];
	char told_by[KL_SWITCH_NAME];
};

/* ---- ARP and neighbour discovery ---- */

enum {
	KL_ARP_MACS = 4, /* claimants kept */
};

/* An address is claimed by several MACs, and it is no failover (core/arp.h). */
struct kl_arp_conflict {
	uint64_t time_ns; /* of the answer that made it one */
	uint64_t first_ns;
	struct kl_address address;
	uint8_t mac_count;
	uint8_t mac[KL_ARP_MACS][6];	     /* in the order in which they were first seen */
	uint32_t answers[KL_ARP_MACS];	     /* of each so far */
	uint32_t first_answers[KL_ARP_MACS]; /* requests that it answered first */
	uint8_t first;			     /* index: who answered first this time */
	uint32_t requests;		     /* that more than one answered */
};

/* ---- The kernel's own drops ---- */

struct kl_drop {
	uint64_t time_ns;
	struct kl_endpoints ends;
	uint8_t direction;
	uint32_t seq;
	uint32_t length;    /* payload, of an aggregate all of it */
	char reason[40];    /* "NETFILTER_DROP"; without SKB_DROP_REASON_ */
	char symbol[48];    /* of the function that dropped it; empty: not known */
	char interface[16]; /* empty: not known */
};

/* A rule of this host's packet filter that drops, and may have dropped what is missing. */
struct kl_rule_evidence {
	uint64_t time_ns;
	char rule[160];	  /* "rule handle 7 of table inet filter, chain forward" */
	char says[200];	  /* the rule itself, as far as it fits; empty: not known */
	uint64_t packets; /* its counter's growth since the start */
	bool counted;	  /* it has a counter; else packets says nothing */
};

/* ---- The call server ---- */

enum kl_alarm_type {
	KL_ALARM_UNREGISTERED, /* EndPointUnregistered */
	KL_ALARM_TRANSIENT,    /* EndPointTransientConnection: registration failed */
	KL_ALARM_REGISTERED,   /* EndPointRegistered */
	KL_ALARM_CONNECTION,   /* StationConnectionError */
	KL_ALARM_OTHER,
};

struct kl_alarm {
	uint64_t time_ns; /* when it was heard, or by the alarm's own time where read from a file */
	uint8_t type;	  /* enum kl_alarm_type */
	char name[48];	  /* "EndPointUnregistered" */
	char device[32];  /* "SEP0024142DDF24" */
	struct kl_address address;
	int reason;	      /* -1: none */
	char reason_name[48]; /* "keepAliveTimeout"; an unknown code is its number */
	char protocol[16];
	char node[KL_SWITCH_NAME];
	char last_signal[64];
	bool matched_loss; /* that session lost keepalives shortly before; see core/unregistration.h */
	uint64_t losses;  /* how many */
	uint64_t session; /* its id; 0: none that is known */
};

/* What the call server's application says it received or sent (its traces). */
struct kl_trace_message {
	uint64_t time_ns;
	uint64_t session; /* 0: of none that is known */
	uint8_t direction;
	uint8_t kind; /* enum kl_kind */
};

/*
 * What the traces come to (core/trace_match.h). Counted are keepalives that came through to the
 * server's side, of connections of which the trace has at least one: of others it may only not be
 * set to say anything. All times are the segments' clock, and zero where the offset is not known.
 */
struct kl_trace_verdict {
	uint64_t messages;	 /* keepalives and answers in the trace */
	uint64_t unmatched;	 /* of them: no segment fits */
	bool offset_known;	 /* else nothing could be compared */
	int64_t offset_ns;	 /* of the segments' clock against the trace's local time */
	uint64_t from_ns, to_ns; /* what the trace covers, from its first line to its last */
	uint64_t covered;	 /* came through, while the trace covers it and has others before */
	uint64_t received;	 /* of them: the application says that it received them */
	uint64_t missing; /* of them: it does not, though the server's TCP acknowledged them */
	uint64_t first_missing_ns;
	uint64_t after; /* came through after the trace's last line: it ends, or nobody writes it */
	uint64_t sessions;	   /* with keepalives that came through meanwhile */
	uint64_t sessions_covered; /* of them: the trace has keepalives */
	uint64_t sessions_missing; /* of these: some are missing */
};

/* ---- Ends of sessions ---- */

/* A FIN or RST, or silence. */
struct kl_ending {
	uint64_t time_ns;
	uint64_t session;
	uint8_t by;  /* enum kl_session_by */
	uint8_t how; /* enum kl_session_how */
	bool leaves; /* the phone had ended its registration */
	uint8_t ttl; /* of the packet that ended it; 0: not known */
	uint8_t usual_ttl;
	uint8_t first_side;   /* where it was seen first (enum kl_side) */
	uint32_t lost_before; /* keepalives and answers of it lost in the minutes before */
};

/* ---- All of it ---- */

#define KL_EVIDENCE_LIST(type)                                                                     \
	struct {                                                                                   \
		type *item;                                                                        \
		size_t count, room;                                                                \
		uint64_t unlisted;                                                                 \
	}

struct kl_evidence {
	KL_EVIDENCE_LIST(struct kl_mac_evidence) mac; /* in the order of time, after _sort() */
	KL_EVIDENCE_LIST(struct kl_ageing_evidence) ageing;
	KL_EVIDENCE_LIST(struct kl_arp_conflict) arp;
	KL_EVIDENCE_LIST(struct kl_drop) drop;
	KL_EVIDENCE_LIST(struct kl_rule_evidence) rule;
	KL_EVIDENCE_LIST(struct kl_alarm) alarm;
	KL_EVIDENCE_LIST(struct kl_trace_message) trace;
	struct kl_trace_verdict trace_verdict;
	KL_EVIDENCE_LIST(struct kl_ending) ending;
	/* Which sources there were: what none of them can see is not known to be absent. */
	bool has_bridge; /* a bridge of this host, with ports among the interfaces */
	bool has_snmp;	 /* traps are listened for, or a switch is polled */
	bool has_syslog;
	bool has_arp;
	bool has_drops;	 /* the kernel's own drops are followed */
	bool has_alarms; /* at least one CUCM alarm of any kind was read */
	bool has_trace;
};

/*
 * A copy at the end of a KL_EVIDENCE_LIST() that takes `max` at most. 1: it is counted only.
 * -ENOMEM.
 */
int kl_evidence_list_add(void *list, size_t max, const void *item, size_t size);

void kl_evidence_done(struct kl_evidence *e);
/* Each takes a copy. -ENOMEM. */
int kl_evidence_mac(struct kl_evidence *e, const struct kl_mac_evidence *m);
int kl_evidence_ageing(struct kl_evidence *e, const struct kl_ageing_evidence *a);
/* One entry for each address: a later one of the same address takes its place. */
int kl_evidence_arp(struct kl_evidence *e, const struct kl_arp_conflict *c);
/* *ret_index: its place in the list, plus 1; 0: it is counted only. May be NULL. */
int kl_evidence_drop(struct kl_evidence *e, const struct kl_drop *d, size_t *ret_index);
int kl_evidence_rule(struct kl_evidence *e, const struct kl_rule_evidence *r);
int kl_evidence_alarm(struct kl_evidence *e, const struct kl_alarm *a);
int kl_evidence_trace(struct kl_evidence *e, const struct kl_trace_message *m);
int kl_evidence_ending(struct kl_evidence *e, const struct kl_ending *ending);
/* Each list in the order of time, but the drops: losses refer to them by their place. */
void kl_evidence_sort(struct kl_evidence *e);

const char *kl_mac_happening_name(enum kl_mac_happening happening); /* "aged" */
const char *kl_mac_source_name(enum kl_mac_source source);
/* Does this alarm say that a phone was unregistered, or could not register? */
bool kl_alarm_is_unregistration(const struct kl_alarm *a);
bool kl_address_equal(const struct kl_address *a, const struct kl_address *b);
struct kl_address kl_address_of(uint8_t family, const uint32_t word[4]);
