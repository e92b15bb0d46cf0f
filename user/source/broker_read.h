/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What joiners do with a NATS server with JetStream beside what broker.h has: read a stream from a
 * place on, and keep records of which each write must know the one before (compare and set).
 *
 * All functions here wait for the server, some seconds at most, and are for the broker's one thread.
 */
#pragma once

#include "source/broker.h"

/* ---- Reading a stream ---- */

/* Owns its subscription; the consumer stays with the server until it is deleted, or unused for long. */
struct kl_broker_reader;

struct kl_broker_read_config {
	const char *stream;
	const char *subject; /* only what comes under it */
	const char *durable; /* the consumer's name: if it is there already, it is taken as it is */
	uint64_t from;	     /* sequence number */
	uint32_t replicas;   /* 0: as the stream */
};

struct kl_broker_message {
	const char *subject;
	const void *data;
	size_t len;
	uint64_t sequence;
	uint64_t stored_ns; /* by the server's clock */
	uint64_t behind;    /* so many more are there for this reader */
};

/* An error ends the reading. */
typedef int (*kl_broker_message_fn)(const struct kl_broker_message *m, void *arg);

int kl_broker_reader_open(struct kl_broker *b, const struct kl_broker_read_config *config,
			  struct kl_broker_reader **ret, struct kl_error *err);
/* The consumer goes with it, where the server can be reached. NULL is fine. */
void kl_broker_reader_close(struct kl_broker_reader *r);
/*
 * Hands over what is there, at most `most` messages. Returns their number, or a negative errno: of
 * the server, or the handler's. -ENOENT: the consumer is gone.
 */
int kl_broker_reader_take(struct kl_broker_reader *r, int most, kl_broker_message_fn fn, void *arg,
			  struct kl_error *err);
/* Nobody needs what is before this sequence number any more: for who looks at the consumer. */
void kl_broker_reader_ack(struct kl_broker_reader *r, uint64_t before);

/* ---- Records ---- */

/*
 * The last message of a subject. *ret is the caller's to free, with a zero behind it; *ret_sequence
 * 0 and *ret NULL: there is none.
 */
int kl_broker_record_get(struct kl_broker *b, const char *stream, const char *subject, char **ret,
			 uint64_t *ret_sequence, struct kl_error *err);
/*
 * Writes, if the last one is that of `before` (0: none). -EEXIST: it is not; -ETIMEDOUT, -ENOTCONN: it
 * may or may not be written.
 */
int kl_broker_record_put(struct kl_broker *b, const char *subject, const char *text,
			 uint64_t before, uint64_t *ret_sequence, struct kl_error *err);

/* ---- What is told to whoever listens ---- */

struct kl_broker_listener;

int kl_broker_listen(struct kl_broker *b, const char *subject, struct kl_broker_listener **ret,
		     struct kl_error *err);
void kl_broker_listener_close(struct kl_broker_listener *l); /* NULL is fine */
/* Hands over what has come since. Does not wait. */
void kl_broker_listener_take(struct kl_broker_listener *l, kl_broker_message_fn fn, void *arg);
