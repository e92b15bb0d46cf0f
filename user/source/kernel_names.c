// SPDX-License-Identifier: GPL-2.0-only
#include "source/kernel_names.h"

#include <bpf/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

enum {
	REASONS_MAX = 1024,
	REASON_NAME = 40,
	SUBSYSTEM_SHIFT = 16, /* reasons beyond belong to a subsystem */
	SYMBOLS_MAX = 1 << 20,
	FUNCTION_MAX = 1 << 17, /* what is farther from a symbol is in no function that we know */
};

struct symbol {
	uint64_t address;
	size_t name; /* its place in names */
};

struct kl_kernel_names {
	char reason[REASONS_MAX][REASON_NAME];
	struct symbol *symbol; /* by address */
	size_t symbol_count, symbol_room;
	char *names;
	size_t names_size, names_room;
};

/* ---- Reasons ---- */

static void keep_reason(struct kl_kernel_names *n, const char *name, long long value)
{
	static const char prefix[] = "SKB_DROP_REASON_";

	if (value < 0 || value >= REASONS_MAX)
		return;
	if (!strncmp(name, prefix, sizeof(prefix) - 1))
		name += sizeof(prefix) - 1;
	snprintf(n->reason[value], sizeof(n->reason[value]), "%s", name);
}

static int keep_reasons(struct kl_kernel_names *n, const struct btf *btf)
{
	int id = btf__find_by_name_kind(btf, "skb_drop_reason", BTF_KIND_ENUM);
	const struct btf_type *type = id < 0 ? NULL : btf__type_by_id(btf, (__u32)id);

	if (!type)
		return -EOPNOTSUPP;
	for (int i = 0; i < btf_vlen(type); i++) {
		const struct btf_enum *e = &btf_enum(type)[i];
		const char *name = btf__name_by_offset(btf, e->name_off);

		if (name)
			keep_reason(n, name, e->val);
	}
	return 0;
}

static int read_reasons(struct kl_kernel_names *n, struct kl_error *err)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int r;

	if (!btf)
		return kl_fail(err, -EOPNOTSUPP,
			       "this kernel does not describe its types (BTF): %s",
			       strerror(errno));
	r = keep_reasons(n, btf);
	btf__free(btf);
	if (r)
		return kl_fail(err, r,
			       "this kernel gives no reasons for its drops (5.17 and later do)");
	return 0;
}

void kl_kernel_reason(const struct kl_kernel_names *n, uint32_t reason, char *ret, size_t size)
{
	if (reason >> SUBSYSTEM_SHIFT)
		snprintf(ret, size, "subsystem %u reason %u", reason >> SUBSYSTEM_SHIFT,
			 reason & ((1U << SUBSYSTEM_SHIFT) - 1));
	else if (reason < REASONS_MAX && n->reason[reason][0])
		snprintf(ret, size, "%s", n->reason[reason]);
	else
		snprintf(ret, size, "%u", reason);
}

/* ---- Symbols ---- */

static int keep_name(struct kl_kernel_names *n, const char *name, size_t *ret)
{
	size_t size = strlen(name) + 1;

	if (!n->names || n->names_size + size > n->names_room) {
		size_t room = n->names_room ? n->names_room * 2 : 1 << 20;
		char *names = realloc(n->names, room);

		if (!names)
			return -ENOMEM;
		n->names = names;
		n->names_room = room;
	}
	*ret = n->names_size;
	memcpy(n->names + n->names_size, name, size);
	n->names_size += size;
	return 0;
}

static int keep_symbol(struct kl_kernel_names *n, uint64_t address, const char *name)
{
	struct symbol *s;

	if (n->symbol_count == n->symbol_room) {
		size_t room = n->symbol_room ? n->symbol_room * 2 : 1 << 16;

		s = realloc(n->symbol, room * sizeof(*s));
		if (!s)
			return -ENOMEM;
		n->symbol = s;
		n->symbol_room = room;
	}
	s = &n->symbol[n->symbol_count];
	s->address = address;
	if (keep_name(n, name, &s->name))
		return -ENOMEM;
	n->symbol_count++;
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	/* Several names of one place: always the same one of them. */
	return x->name < y->name ? -1 : x->name > y->name;
}

/* "ffffffff81a2b3c0 T ip_forward", then perhaps "[module]". */
static int read_symbols(struct kl_kernel_names *n)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/kallsyms", "re");
	char line[512];

	while (f && fgets(line, sizeof(line), f) && n->symbol_count < SYMBOLS_MAX) {
		char *rest, *name;
		uint64_t address = strtoull(line, &rest, 16);

		if (!address || rest[0] != ' ' || !rest[1] || !strchr("tTwW", rest[1]) ||
		    rest[2] != ' ')
			continue;
		name = rest + 3;
		name[strcspn(name, " \t\n.")] = '\0'; /* and without ".cold" or ".isra.0" */
		if (name[0] && keep_symbol(n, address, name))
			return -ENOMEM;
	}
	if (n->symbol_count)
		qsort(n->symbol, n->symbol_count, sizeof(*n->symbol), by_address);
	return 0;
}

void kl_kernel_symbol(const struct kl_kernel_names *n, uint64_t address, char *ret, size_t size)
{
	size_t low = 0, high = n->symbol_count;

	ret[0] = '\0';
	/* It is where the call returns to, which may be behind the function's end. */
	address--;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (n->symbol[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low && address - n->symbol[low - 1].address < FUNCTION_MAX)
		snprintf(ret, size, "%s", n->names + n->symbol[low - 1].name);
}

/* ---- All of it ---- */

int kl_kernel_names_read(struct kl_kernel_names **ret, struct kl_error *err)
{
	struct kl_kernel_names *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return kl_fail(err, -ENOMEM, "out of memory");
	r = read_reasons(n, err);
	if (!r && read_symbols(n))
		r = kl_fail(err, -ENOMEM, "out of memory");
	if (r) {
		kl_kernel_names_free(n);
		return r;
	}
	*ret = n;
	return 0;
}

void kl_kernel_names_free(struct kl_kernel_names *n)
{
	if (!n)
		return;
	free(n->symbol);
	free(n->names);
	free(n);
}
