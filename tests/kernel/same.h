/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of same-verdict share: a frame is seen by the kernel and by the model, and what has
 * come of it is compared.
 */
#pragma once

#include "model.h"
#include "object.h"

enum hook_name {
	XDP_ACC,
	XDP_CUCM,
	IN_ACC,
	IN_CUCM,
	OUT_ACC,
	OUT_CUCM,
	HOOKS
};

extern const struct model_hook hooks[HOOKS];
extern const char *what; /* is run: for messages */
extern unsigned passed, failed;

struct told {
	struct kl_event events[MODEL_EVENTS];
	__u32 event_count;
	__u32 payload_len;
	__u8 payload[KL_WINDOW_BYTES];
	struct kl_arp_event arp[MODEL_ARP];
	__u32 arp_count;
};

extern struct told told; /* by the ring buffers, since they were emptied last */

/* Loads the programs, and begins. What they cost the verifier is written to costs, if any. -errno. */
int same_begin(FILE *costs);
void same_end(void);

/* One frame, in the kernel and in the model. false: it could not be run, as was said. */
bool see(enum hook_name hook, const __u8 *frame, __u32 len, __u32 gso_size);
/* ok: all of it could be run. Compares, counts, and forgets all of it. */
void conclude(bool ok);
/* The same without comparing. */
void conclude_alone(bool ok);
/* Reads what the kernel has told: false: it makes no sense. */
bool listen(void);
/* Says so, and returns false. */
bool differ(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Did segments go to their second bucket, and (full) did some find no place? Says what is not so. */
bool was_crowded(bool full);

__u32 tick_ns(void);

/* ---- conversations.c ---- */

enum lost {
	ARRIVES = 0,
	LOST,
	FORGED /* at the far side only */
};

struct said {
	struct pkt_spec spec;
	char payload; /* 'k' SCCP keepalive, 'a' its answer, 'r' Register, 'R' REGISTER, 's' 200 OK */
	enum lost lost;
	__u16 gso_size; /* at tc */
};

#define PHONE_OF(n, ...)                                                                           \
	{                                                                                          \
		.phone = (n), .window = 100, __VA_ARGS__                                           \
	}
#define CUCM_OF(n, ...)                                                                            \
	{                                                                                          \
		.to_phone = true, .phone = (n), .window = 100, __VA_ARGS__                         \
	}
#define PHONE(...) PHONE_OF(7, __VA_ARGS__)
#define CUCM(...) CUCM_OF(7, __VA_ARGS__)

void say(const struct said *t, struct pkt *ret);
void run_conversations(void);
void run_crowd(void);

/* ---- neighbours.c ---- */

void run_neighbours(void);
void run_silence(bool xdp);
