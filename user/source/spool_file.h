/* SPDX-License-Identifier: GPL-2.0-only */
/* Files of a spool: records one behind the other, each with its length and a checksum. */
#pragma once

#include "source/spool.h"

struct kl_spool_chunk;

/* A record, as it lies in a file: this, and the data. Integers as the machine has them: the files stay
 * on it. */
struct kl_spool_header {
	uint32_t magic;
	uint32_t crc; /* of all behind it, and of the data */
	uint64_t boot, number;
	uint32_t partition, sightings, len;
	uint32_t pad;
};

enum {
	KL_SPOOL_MAGIC = 0x314c504b, /* "KPL1" */
	KL_SPOOL_LEN_MAX = 1 << 20,
};

/* The lock of the directory, and the numbers of its files in order. *ret_numbers: free() it. */
int kl_spool_lock(const char *directory, int *ret_dir, struct kl_error *err);
int kl_spool_list(int dir, uint64_t **ret_numbers, size_t *ret_count);

int kl_spool_create(int dir, uint64_t number, int *ret_fd);
/* All or nothing: on an error the file is as long as before. *size: of the file. */
int kl_spool_append(int fd, const struct kl_spool_entry *entry, uint64_t *size);
void kl_spool_remove(int dir, uint64_t number);
uint64_t kl_spool_size(int dir, uint64_t number);

/* Hands over each whole record. entry->data is the taker's to free. Returns bytes that were no record. */
typedef int (*kl_spool_taker)(const struct kl_spool_entry *entry, void *arg);
int kl_spool_read(int dir, uint64_t number, kl_spool_taker take, void *arg, uint64_t *ret_damaged);
