/* SPDX-License-Identifier: GPL-2.0-only */
/* What switch_poll.c (rounds) and switch_session.c (requests and answers) share. */
#pragma once

#include "core/switch_rows.h"
#include "source/snmp_users.h"
#include "source/switch_poll.h"

enum {
	KL_SWITCH_TIMEOUT_US = 2000000,
};

enum phase {
	IDLE,
	DISCOVERING, /* v3: which engine the switch is */
	READING,
};

struct kl_switch_state {
	struct kl_switch_poll *poll;
	char name[KL_SWITCH_NAME]; /* its address */
	unsigned vlan;		   /* 0: none was given */
	int fd;
	void *session;
	enum phase phase;
	uint64_t due_ns, seldom_due_ns;
	bool seldom; /* this round reads the columns that change hardly ever, too */
	unsigned tries, requests;
	uint8_t engine[KL_SNMP_ENGINE_MAX];
	size_t engine_len;

	enum kl_switch_column column;
	bool waiting;	  /* for the answer to a request */
	bool column_done; /* said that answer */
	uint32_t last[KL_OID_MAX];
	size_t last_len;
	const char *failed; /* why this round came to nothing */
	bool malformed;	    /* by what it sent; else by what it refused or did not send */
	struct kl_switch_rows rows;
	bool by_vlan;		       /* it has a Q-BRIDGE-MIB */
	bool has_before;	       /* else the next table is the first */
	struct kl_switch_table before; /* of the last round */
	uint64_t ageing_told;	       /* a sum of what was said of ageing last */
};

struct kl_switch_poll {
	int epoll_fd, timer_fd;
	char *community;
	struct kl_snmp_users users;
	uint64_t interval_ns, now_ns;
	struct kl_input_stats stats;
	kl_mac_handler mac;
	kl_ageing_handler ageing;
	void *arg;
	size_t count;
	struct kl_switch_state sw[KL_SWITCHES_MAX];
};

void kl_switch_complain(struct kl_switch_state *s, uint64_t *counter, const char *what);

bool kl_switch_begin_session(struct kl_switch_state *s);
void kl_switch_end_session(struct kl_switch_state *s);
/* Asks for the rows behind s->last. */
void kl_switch_ask(struct kl_switch_state *s);
/* SNMPv3: which engine is it? */
void kl_switch_ask_for_engine(struct kl_switch_state *s);
void kl_switch_learn_engine(struct kl_switch_state *s);
