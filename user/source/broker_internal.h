/* SPDX-License-Identifier: GPL-2.0-only */
/* broker.h, for the files that include libnats. */
#pragma once

#include <nats/nats.h>
#include <pthread.h>

#include "source/broker.h"

#define KL_BROKER_WAIT_MS 4000 /* for the server to answer */

/* A message that was published and is not acknowledged. */
struct kl_broker_flying {
	char id[KL_BROKER_ID_SIZE]; /* empty: a free place */
	uint64_t since_ns;
};

/* An acknowledgement that waits to be asked for. */
struct kl_broker_news {
	struct kl_broker_news *next;
	struct kl_broker_ack ack;
};

struct kl_broker {
	struct kl_broker_config config;
	char public_key[64]; /* of nkey_seed */
	natsOptions *options;
	natsConnection *nc;
	jsCtx *js;
	int fd;				 /* eventfd */
	pthread_t connector;		 /* a thread that tries until it is connected */
	bool connecting;		 /* it runs, or is not joined yet */
	struct kl_broker_flying *flying; /* config.max_pending of them */
	size_t pending;			 /* of them */
	uint64_t sent;
	/* Under the lock: written by libnats' threads. */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	natsConnection *made; /* by the connector, which is at its end then */
	bool stopping;
	struct kl_broker_news *first, *last;
	bool connected, closed;
	uint64_t connects;
	char server[128];
	char trouble[256];
};

/* A negative errno for what libnats says. */
int kl_broker_errno(natsStatus s, jsErrCode code);
/* The same, and an error's text: "WHAT: …". */
int kl_broker_fail(struct kl_error *err, natsStatus s, jsErrCode code, const char *what);
/* Wakes up who waits for kl_broker_fd(). Of any thread. */
void kl_broker_wake(struct kl_broker *b);

/* What libnats calls when a message is acknowledged, or will not be. */
void kl_broker_on_ack(jsCtx *js, natsMsg *msg, jsPubAck *pa, jsPubAckErr *pae, void *arg);
/* What was published before then will not be acknowledged any more. */
void kl_broker_give_up(struct kl_broker *b, uint64_t before_ns);
