/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * uthash, which ends the process where it has no room for a table's own memory, and without a word.
 * (What is put into a table was allocated before, and that failure is an error as any other.) This
 * says so on standard error, and ends it as what could not run.
 */
#pragma once

__attribute__((noreturn)) void kl_hash_out_of_memory(void);
#define uthash_fatal(msg) kl_hash_out_of_memory()

#include <uthash.h>
