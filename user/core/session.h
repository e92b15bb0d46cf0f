/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sessions that are known: one a connection. Who the phone is, when its keepalives are due,
 * what their retransmissions and their lateness say of losses outside the two interfaces, how long
 * answers take, and when the server will give the phone up. Pure: fed with events in the order of
 * their time, told the time by them and by kl_sessions_advance(); what it finds out goes to a
 * handler. All times are of the events' clock.
 *
 * A struct kl_sessions owns its sessions; a pointer to one is valid until the next event of its own,
 * or the next call that may remove it (feed, meet, remove, evict).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <kaloss/abi.h>

#include "core/answers.h"
#include "core/message.h"
#include "core/phones.h"
#include "core/schedule.h"

/* CUCM gives a SIP phone this long beyond the time of its refresh (Cisco document 200410). */
#define KL_SIP_GRACE_NS (15 * 1000 * KL_NS_PER_MS)

enum {
	/* CUCM gives an SCCP phone up after so many intervals without a keepalive. */
	KL_SCCP_MISSED_MAX = 3,
	/* Phones refresh this long before the registration expires, unless they show otherwise. */
	KL_SIP_DELTA_S = 5,
};

enum kl_where {
	KL_BETWEEN,
	KL_PHONE_SIDE,
	KL_CUCM_SIDE,
	KL_WHERE_UNKNOWN,
	KL_WHERES,
};

/* Beyond the side where what goes this way leaves. */
static inline enum kl_where kl_where_behind(uint32_t direction)
{
	return direction == KL_TO_CUCM ? KL_CUCM_SIDE : KL_PHONE_SIDE;
}

/* Before the side where it comes in. */
static inline enum kl_where kl_where_before(uint32_t direction)
{
	return direction == KL_TO_CUCM ? KL_PHONE_SIDE : KL_CUCM_SIDE;
}

enum kl_role {
	KL_ROLE_UNKNOWN,
	KL_ROLE_PRIMARY, /* its keepalives are answered */
	KL_ROLE_BACKUP,	 /* they are only acknowledged, or marked as a backup's */
};

enum kl_session_by {
	KL_BY_UNKNOWN,
	KL_BY_PHONE,
	KL_BY_CUCM
};
enum kl_session_how {
	KL_HOW_NULL,
	KL_HOW_FIN,
	KL_HOW_RST,
	KL_HOW_TIMEOUT
};

/* A forecast that stands. */
struct kl_forecast {
	uint64_t at_ns;	  /* when the server gives the phone up; 0: there is none */
	uint64_t made_ns; /* when it was said first */
	bool growing;	  /* it follows from the growing timeout, not from silence */
};

struct kl_session {
	uint64_t id;
	struct kl_endpoints ends;
	uint64_t start_ns;
	uint64_t seen_ns;	/* last event */
	uint64_t closed_ns;	/* FIN or RST; 0: it lives */
	uint64_t registered_ns; /* 0: not seen */
	uint64_t ok_ns;		/* last keepalive that surely reached the server; 0: none */
	uint16_t vlan;
	uint8_t mac[6];
	uint8_t next_mac[6]; /* where the phone's frames go; all zero: not known */
	uint64_t lost_ns;    /* of the last loss, wherever it was, or told soon after; 0: none */
	char device[KL_DEVICE_NAME];   /* empty: not known */
	char failure[KL_FAILURE_TEXT]; /* what the phone says of its last failure; empty: nothing */
	bool from_syn;
	bool one_way;	    /* once found to come by in one direction only */
	bool leaves;	    /* the phone ended its registration */
	bool probable;	    /* under TLS: its keepalives are told by size and period alone */
	uint8_t role;	    /* enum kl_role */
	uint8_t kind;	    /* of its keepalives; KL_OTHER: none seen */
	uint32_t expires_s; /* of the registration; 0: not seen */
	uint32_t tls_len;   /* under TLS: the size of what is taken for its keepalive; 0: none */
	struct kl_schedule schedule;
	struct kl_answers answers;
	struct kl_forecast forecast;
	/* counted */
	uint32_t keepalives; /* without retransmissions and probes */
	uint32_t answered;
	uint32_t acknowledged_only; /* the server's TCP has it, the application says nothing */
	uint32_t unacknowledged;
	uint32_t acks_lost; /* sent again although it had been acknowledged */
	uint32_t retransmissions[KL_DIRECTIONS];
	uint32_t lost[KL_DIRECTIONS][KL_WHERES];
};

/* ---- What is found out ---- */

enum kl_story_type {
	KL_STORY_START,
	KL_STORY_REGISTERED,
	KL_STORY_PERIOD, /* of the keepalives: learnt, or changed */
	KL_STORY_STOP,
	KL_STORY_RETRANSMISSION,
	KL_STORY_LOSS, /* outside the two interfaces */
	KL_STORY_FORECAST,
	KL_STORY_SEGMENT, /* the first copy of a keepalive or answer: for statistics, no record */
};

/* How long the phone had been silent, and how that is known. */
enum kl_idle_known {
	KL_IDLE_UNKNOWN,
	KL_IDLE_SIGNALLING, /* on this connection: it may have sent something else meanwhile */
	KL_IDLE_ALL,	    /* none of its frames came by on the access side */
};

enum kl_forecast_state {
	KL_FORECAST_EXPECTED,
	KL_FORECAST_CHANGED, /* another time than was said before */
	KL_FORECAST_WITHDRAWN,
	KL_FORECAST_CAME_TRUE,
	KL_FORECAST_DID_NOT, /* the time is over, and the session goes on or nothing was seen */
	KL_FORECAST_STATES,
};

enum {
	KL_STORY_TEXT = 320
};

/* What does not belong to the type is zero. */
struct kl_story {
	enum kl_story_type type;
	uint64_t time_ns;
	const struct kl_session *session;
	enum kl_session_by by;	 /* START, STOP */
	enum kl_session_how how; /* STOP */
	__u32 direction;	 /* RETRANSMISSION, LOSS */
	__u32 kind;
	uint32_t seq;
	uint32_t length;
	uint64_t gap_ns; /* RETRANSMISSION: since the copy before; 0: not known */
	uint64_t rto_ns; /* the sender's timeout that ran out; 0: not known, or it was not one */
	unsigned copy;
	bool inferred;	     /* RETRANSMISSION: the first copy seen here, and not the first sent */
	enum kl_where where; /* LOSS */
	unsigned copies[KL_SIDES];
	uint64_t late_ns; /* LOSS: how late the first copy came that was seen; 0: not known */
	/*
	 * SEGMENT, RETRANSMISSION, LOSS: how long the phone had been silent when this copy was sent
	 * (of a LOSS before the access interface: when the lost copy was).
	 */
	uint64_t idle_ns;
	enum kl_idle_known idle_known;
	uint8_t ttl;	    /* STOP by FIN or RST: of that packet; 0: not known */
	uint8_t usual_ttl;  /* of that end's packets before, at the same side; 0: not known */
	uint8_t first_side; /* STOP by FIN or RST: where it was seen first (enum kl_side) */
	enum kl_forecast_state state; /* FORECAST */
	uint64_t at_ns;
	char text
		[KL_STORY_TEXT]; /* LOSS: the evidence; FORECAST: because; RETRANSMISSION: a remark */
};

typedef void (*kl_story_handler)(const struct kl_story *story, void *arg);
/* Is this loss inferred from what may only not have been seen? Then it is none. */
typedef bool (*kl_story_doubt)(const struct kl_story *story, void *arg);

/* ---- The table ---- */

typedef void (*kl_session_visitor)(const struct kl_session *session, void *arg);

struct kl_sessions_config {
	size_t max;	       /* sessions; the longest silent one makes room. 0: no bound */
	uint32_t awake;	       /* sessions that are kept at hand: time for memory. 0: enough */
	uint64_t deadline_ns;  /* of the join */
	uint64_t sip_grace_ns; /* 0: KL_SIP_GRACE_NS */
	uint32_t sccp_missed;  /* 0: KL_SCCP_MISSED_MAX */
	/* Where both sides are seen. A single capture knows nothing of what passed a far side. */
	bool two_sided;
	/*
	 * What is seen comes from mirror ports, which drop some of it and mix up the order. So what
	 * was left out before its near side may have passed there: nothing is inferred from that.
	 */
	bool mirrored;
	kl_story_doubt doubts;	  /* NULL: all is seen */
	kl_story_handler handler; /* must not call back into the sessions */
	/* Its MAC addresses are known, or others than before. NULL: nobody asks. */
	kl_session_visitor identified;
	/* It is forgotten, or a new connection takes its place: the last look at it. NULL: nobody's. */
	kl_session_visitor leaves;
	void *arg;
};

struct kl_sessions;

int kl_sessions_new(const struct kl_sessions_config *config, struct kl_sessions **ret);
void kl_sessions_free(struct kl_sessions *s); /* NULL is fine */
static inline void kl_sessions_freep(struct kl_sessions **s)
{
	kl_sessions_free(*s);
}

/* From now on the server is as patient as that. */
void kl_sessions_set_patience(struct kl_sessions *s, uint64_t sip_grace_ns, uint32_t sccp_missed);

/*
 * Takes one event. payload, len: what goes with KL_EVENT_PAYLOAD; else NULL, 0. -ENOMEM.
 */
int kl_sessions_feed(struct kl_sessions *s, const struct kl_event *event, const uint8_t *payload,
		     size_t len);

/* The same for KL_EVENT_PAYLOAD, where the payload was read already. */
int kl_sessions_learn(struct kl_sessions *s, const struct kl_event *event,
		      const struct kl_message *message);

/* Copies of a segment that were lost between the two sides (or, unpaired, may not have been). */
void kl_sessions_lost_between(struct kl_sessions *s, uint64_t id, __u32 direction, uint32_t seq,
			      uint32_t len, unsigned copies, bool surely);

/*
 * How long the phone had been silent when this copy (from 1) was seen at its near side: one of the
 * last segments of its session and direction. false: it is not known any more, nor how long.
 */
bool kl_sessions_idle_of(const struct kl_sessions *s, uint64_t id, uint32_t direction, uint32_t seq,
			 uint32_t len, unsigned copy, uint64_t *ret_idle_ns,
			 enum kl_idle_known *ret_known);

/* Nothing will come any more from before this time: what waited for it is decided. */
void kl_sessions_advance(struct kl_sessions *s, uint64_t now_ns);

/*
 * Something may not have been seen around this time (events were lost, an interface was down, a
 * capture has a gap): what is under way is not judged, and no schedule is held against it.
 */
void kl_sessions_gap(struct kl_sessions *s, uint64_t now_ns);

/*
 * A connection that is in the kernel's table, whether an event told of it or not.
 * *ret_one_way: it is now found, for the first time, to come by in one direction only.
 */
int kl_sessions_meet(struct kl_sessions *s, uint64_t id, const struct kl_conn *conn,
		     uint64_t now_ns, bool *ret_one_way);

/* NULL: not known, or no memory. */
const struct kl_session *kl_sessions_find(const struct kl_sessions *s, uint64_t id);
/* The same, of many: it is valid until the next call only, and costs no more memory meanwhile. */
const struct kl_session *kl_sessions_peek(const struct kl_sessions *s, uint64_t id);
/* It fell silent: its end is told, if it had none. */
void kl_sessions_time_out(struct kl_sessions *s, uint64_t id, uint64_t now_ns);
void kl_sessions_remove(struct kl_sessions *s, uint64_t id);

size_t kl_sessions_phones(const struct kl_sessions *s);
size_t kl_sessions_count(const struct kl_sessions *s);
uint64_t kl_sessions_evicted(const struct kl_sessions *s); /* to make room */
/* Losses outside the two interfaces so far, by where. */
uint64_t kl_sessions_inferred(const struct kl_sessions *s, __u32 direction, enum kl_where where);

/* Retransmissions so far of which no earlier copy was seen here. */
uint64_t kl_sessions_inferred_retransmissions(const struct kl_sessions *s, __u32 direction);

/* All sessions, in the order in which they began. A pointer to one is the visitor's only. */
void kl_sessions_visit(const struct kl_sessions *s, kl_session_visitor visit, void *arg);

/*
 * A session as it was kept somewhere, in the place of one with the same id. Nothing that comes later
 * can be judged by it. -ENOMEM.
 */
int kl_sessions_restore(struct kl_sessions *s, const struct kl_session *session);
/* Retransmissions of which no earlier copy was seen, likewise. */
void kl_sessions_restore_retransmissions(struct kl_sessions *s, __u32 direction, uint64_t count);

const char *kl_role_name(enum kl_role role);
const char *kl_where_name(enum kl_where where);
const char *kl_forecast_state_name(enum kl_forecast_state state);
