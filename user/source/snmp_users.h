/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What traps and polling have in common: the net-snmp library, kept from files, terminals and
 * names; the users of SNMPv3 from a file; a session on a socket of ours.
 *
 * A struct kl_snmp_users owns its list. Keys are wiped when they are no longer needed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <net-snmp/net-snmp-config.h>
/* After the one above. */
#include <net-snmp/net-snmp-includes.h>

#include "core/snmp_header.h"
#include "core/trap_decode.h"
#include "util/error.h"

struct kl_snmp_user {
	char name[KL_SNMP_USER_MAX + 1];
	uint8_t engine[KL_SNMP_ENGINE_MAX];
	size_t engine_len; /* 0: of any engine */
	bool has_priv;
	oid *auth, *priv; /* the library's own */
	size_t auth_len, priv_len;
	uint8_t auth_key[USM_AUTH_KU_LEN], priv_key[USM_PRIV_KU_LEN]; /* not of an engine yet */
	size_t auth_key_len, priv_key_len;
};

struct kl_snmp_users {
	struct kl_snmp_user *user;
	size_t count;
	char *community; /* of v1 and v2c; NULL: the file names none */
};

/* Once in a process; more often does no harm. Nothing is read, written or printed by it. */
void kl_snmp_library(void);

/*
 * The file's lines: NAME AUTH-PROTOCOL AUTH-KEY [PRIV-PROTOCOL PRIV-KEY] [0xENGINE-ID], and one
 * that says "community TEXT". What is behind # is a remark; a key with blanks is put into double
 * quotes. Only its owner may be able to write it, and only its group, too, to read it (what systemd
 * hands over as a credential looks like that). Errors name the file and the line, never a key.
 */
int kl_snmp_users_read(const char *path, struct kl_snmp_users *ret, struct kl_error *err);
void kl_snmp_users_done(struct kl_snmp_users *users);
/* Of that name, and of that engine or of any. */
const struct kl_snmp_user *kl_snmp_users_find(const struct kl_snmp_users *users, const char *name,
					      const uint8_t *engine, size_t engine_len);

/* Fills in what a session of that user at that engine needs. */
void kl_snmp_user_session(const struct kl_snmp_user *user, uint8_t *engine, size_t engine_len,
			  netsnmp_session *session);
/*
 * The library's own record of that user at that engine: found, or made from the keys (*ret_made).
 * NULL: no memory, or no such protocol in the library.
 */
struct usmUser *kl_snmp_usm_user(const struct kl_snmp_user *user, const uint8_t *engine,
				 size_t engine_len, bool *ret_made);
void kl_snmp_usm_forget(struct usmUser *user);

typedef int (*kl_snmp_receive)(netsnmp_transport *t, void *buffer, int size, void **opaque,
			       int *opaque_len);
typedef int (*kl_snmp_send)(netsnmp_transport *t, const void *buffer, int size, void **opaque,
			    int *opaque_len);

/*
 * A session of the library on a datagram socket that stays ours; t->data is arg. Ends with
 * snmp_sess_close(). NULL: no memory, or the library does not want it.
 */
void *kl_snmp_session(netsnmp_session *session, int fd, void *arg, kl_snmp_receive receive,
		      kl_snmp_send send);
/* Lets the library take one datagram, through receive(). */
void kl_snmp_session_read(void *handle, int fd);

/* A value in our words; bytes are those of the library. */
void kl_snmp_value(const netsnmp_variable_list *from, struct kl_varbind *to);
