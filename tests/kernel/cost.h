// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the programs cost the kernel's verifier at each load. It gives up on one that takes a million
 * instructions, which it counts anew on each path through the program: so a harmless change may take
 * away most of what is left, and a kernel of another version may count twice as much.
 */
#pragma once

#include <bpf/libbpf.h>
#include <stdio.h>

/* Before the load: has the kernel tell what it found out. Valid up to the next call. */
int cost_ask(struct bpf_object *object);

/*
 * After it: a line for each program: its name, the instructions that the verifier walked, and the
 * bytes of stack of all its functions together ("-": the kernel did not say).
 */
int cost_write(const struct bpf_object *object, FILE *to);

/* Loads the object of the drops' reasons for that. */
int cost_write_drop_reason(FILE *to);
int cost_write_one_side(FILE *to); /* the agent's */
