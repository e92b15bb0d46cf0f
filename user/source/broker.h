/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The connection to a NATS server with JetStream, and what both agents and joiners do with it:
 * connect and stay connected, make streams, publish without waiting. Behind this header nobody knows
 * libnats; what only one of them needs goes into a file of its own, user/source/broker_NAME.c, with
 * broker_internal.h.
 *
 * libnats has threads of its own. What they learn is kept until it is asked for: all functions here
 * are for one thread, and none calls back. kl_broker_fd() says when there is something new.
 *
 * A struct kl_broker owns the connection. It may be opened while no server is there: it is tried
 * again for ever. Nothing is published while there is no connection (-ENOTCONN); what was under way
 * when it broke comes back as an acknowledgement with an error.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

struct kl_broker;

/* Texts are the caller's, and stay. NULL: none. Files are looked at when the broker is opened. */
struct kl_broker_config {
	const char *
		urls; /* nats://HOST:PORT[,…]; tls:// asks for TLS; USER:PASSWORD@ may stand in it */
	const char *name;      /* as the server shows it */
	const char *creds;     /* JWT and seed, as `nsc` writes them */
	const char *nkey_seed; /* the user's seed (SU…), and its public key (U…) on another line */
	const char *tls_ca;    /* PEM; asks for TLS, as the other two do */
	const char *tls_cert;
	const char *tls_key;
	/* Answers to us come to subjects that begin so; NULL: _INBOX. Whoever may listen to other's
	 * inboxes reads what they ask for. */
	const char *inbox;
	uint32_t max_pending; /* published and not acknowledged, at most; 0: 256 */
};

struct kl_broker_status {
	bool connected;
	uint64_t connects; /* so far */
	uint64_t sent;	   /* messages published */
	char server[128];  /* whom to; empty: nobody yet */
	char trouble[256]; /* the last one, in one line; empty: none since it was connected */
};

/* Is it a list of URLs, as above? (Nothing is looked up.) */
int kl_broker_check_urls(const char *urls, struct kl_error *err);
/* Their hosts and ports, as far as there is room: a URL may hold a password. */
void kl_broker_servers(const char *urls, char *ret, size_t size);
int kl_broker_open(const struct kl_broker_config *config, struct kl_broker **ret,
		   struct kl_error *err);
/* What is not acknowledged by then is not waited for: see kl_broker_pending(). NULL is fine. */
void kl_broker_close(struct kl_broker *b);
static inline void kl_broker_closep(struct kl_broker **b)
{
	kl_broker_close(*b);
}

/* Readable when there may be news: an acknowledgement, a connection made or lost. */
int kl_broker_fd(const struct kl_broker *b);
/* Takes note of the above, and connects anew what libnats gave up. Call it about once a second, too. */
void kl_broker_look(struct kl_broker *b);
void kl_broker_status(struct kl_broker *b, struct kl_broker_status *ret);

/* ---- Streams ---- */

struct kl_broker_stream {
	const char *name;
	const char *subjects[4];  /* NULL: no more */
	uint64_t max_age_ns;	  /* 0: for ever */
	uint64_t max_bytes;	  /* 0: no bound */
	uint32_t max_per_subject; /* 0: no bound */
	uint32_t replicas;	  /* 0: 1 */
	uint64_t duplicates_ns; /* for so long a message's id is remembered; 0: the server's own */
	bool in_memory;
};

/*
 * Waits for the server, some seconds at most. -ENOENT: there is no such stream; -ENOTCONN,
 * -ETIMEDOUT; -EOPNOTSUPP: the server has no JetStream; -EACCES: not allowed.
 */
int kl_broker_find_stream(struct kl_broker *b, const char *name, struct kl_error *err);
/* Makes it where it is missing; one that is there is left as it is. */
int kl_broker_make_stream(struct kl_broker *b, const struct kl_broker_stream *stream,
			  struct kl_error *err);

/* ---- Publishing ---- */

enum {
	KL_BROKER_ID_SIZE = 80,
};

/* What became of a message. */
struct kl_broker_ack {
	char id[KL_BROKER_ID_SIZE]; /* as it was published with */
	int error; /* 0: the stream has it. -ENOENT: no stream takes it; -ETIMEDOUT, -ENOTCONN: it
			 * may or may not have arrived; -EACCES; -EIO: see text */
	bool duplicate;	   /* the stream had one of this id already */
	uint64_t sequence; /* of the stream */
	char text[160];	   /* of the error */
};

/*
 * Publishes to JetStream and does not wait. id: by which the stream knows it if it comes again, and
 * the acknowledgement names it; no two that are pending may share one. -EAGAIN: so many are pending that this one has to wait; -ENOTCONN, -ENOMEM, -EIO.
 */
int kl_broker_publish(struct kl_broker *b, const char *subject, const void *data, size_t len,
		      const char *id);
/* The next acknowledgement: true, and *ret. Each that was published has one, sooner or later. */
bool kl_broker_next_ack(struct kl_broker *b, struct kl_broker_ack *ret);
/* Published, and not yet returned by kl_broker_next_ack(). */
size_t kl_broker_pending(const struct kl_broker *b);

/* Publishes for whoever listens: no stream, no acknowledgement. */
int kl_broker_tell(struct kl_broker *b, const char *subject, const void *data, size_t len);
/* All that was published is on its way, within wait_ms. */
int kl_broker_flush(struct kl_broker *b, unsigned wait_ms);
