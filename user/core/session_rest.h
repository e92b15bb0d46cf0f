/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A session at rest: all that is in a struct kl_node, in a few bytes. A few numbers of it make expect
 * what the others are, and what is not so is kept beside them, in as many bytes as it needs. So a
 * member that nothing is expected of is kept as well. Nothing is rounded or left out; what was
 * packed is unpacked bit by bit.
 */
#pragma once

#include <stdint.h>

struct kl_node;

/*
 * Returns the record, to be freed by the caller. before: the record of this session that may be
 * used again, or is freed; NULL: none. NULL: no memory; then `before` is as it was.
 */
void *kl_rest_pack(const struct kl_node *n, void *before);

/* It is unpacked soon: may it come from memory meanwhile. */
void kl_rest_fetch(const void *rest);

/* All but what the table knows, its place, its id and its record, and `heard`: these are zero. */
void kl_rest_unpack(const void *rest, struct kl_node *ret);

/* session.next_mac, which is asked for more often than anything happens. */
const uint8_t *kl_rest_next_mac(const void *rest);
