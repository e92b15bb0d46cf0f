/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sessions that are known: one a connection, by the kernel's id of it. Holds who the phone is
 * and how the connection began and ended. Pure: fed with events, told the time by them.
 *
 * A struct kl_sessions owns its sessions; a pointer to one is valid until the next call that may
 * remove it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <kaloss/abi.h>

enum {
	KL_DEVICE_NAME = 17
}; /* 16 bytes in an SCCP Register, and a zero */

struct kl_session {
	uint64_t id;
	struct kl_endpoints ends;
	uint64_t closed_ns; /* FIN or RST; 0: it lives */
	uint16_t vlan;
	uint8_t mac[6];
	char device[KL_DEVICE_NAME]; /* empty: not known */
	bool one_way;		     /* once found to come by in one direction only */
};

struct kl_sessions;

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

/* What an event made of its session. */
struct kl_session_change {
	enum {
		KL_SESSION_SAME,
		KL_SESSION_START,
		KL_SESSION_STOP
	} what;
	enum kl_session_by by;
	enum kl_session_how how;
	const struct kl_session *session;
};

int kl_sessions_new(struct kl_sessions **ret);
void kl_sessions_free(struct kl_sessions *s); /* NULL is fine */
static inline void kl_sessions_freep(struct kl_sessions **s)
{
	kl_sessions_free(*s);
}

/* Takes one event of the kernel's. -ENOMEM. */
int kl_sessions_feed(struct kl_sessions *s, const struct kl_event *event,
		     struct kl_session_change *ret);

/*
 * A connection that is in the kernel's table, whether an event told of it or not.
 * *ret_one_way: it is now found, for the first time, to come by in one direction only.
 */
int kl_sessions_meet(struct kl_sessions *s, uint64_t id, const struct kl_conn *conn,
		     struct kl_session_change *ret, bool *ret_one_way);

/* NULL: not known. */
const struct kl_session *kl_sessions_find(const struct kl_sessions *s, uint64_t id);
void kl_sessions_remove(struct kl_sessions *s, uint64_t id);

/*
 * Phones with a living connection: distinct device names at an address, and an address without any
 * known name for one.
 */
size_t kl_sessions_phones(const struct kl_sessions *s);
size_t kl_sessions_count(const struct kl_sessions *s);

/* Finds the device's name in the payload of a Register, Alarm or REGISTER. Returns false: none. */
bool kl_find_device_name(const uint8_t *payload, size_t len, char ret[KL_DEVICE_NAME]);
