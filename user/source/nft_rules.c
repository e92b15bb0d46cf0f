// SPDX-License-Identifier: GPL-2.0-only
#include "source/nft_rules.h"

#include <jansson.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/privilege.h"
#include "util/cleanup.h"
#include "util/duration.h"

enum {
	RULES_MAX = 4096,  /* that drop something; what is beyond is left out */
	CHAINS_MAX = 4096, /* of all tables */
	POLICY = 0,	   /* stands for the handle of a rule, which is never that */
};

struct place {
	char family[16];
	char table[64];
	char chain[64];
	json_int_t handle;
};

struct rule {
	struct place place;
	struct kl_rule_evidence evidence; /* packets: all since it was made */
};

struct kl_nft_rules {
	size_t count;
	struct rule rule[RULES_MAX];
};

/* While they are read. */
struct chain {
	struct place place; /* without handle */
	bool has_hook;
	bool passed; /* by frames that this host forwards */
	bool drops;  /* is its policy */
};

struct reading {
	json_t *list;
	struct kl_nft_rules *rules;
	size_t chain_count;
	struct chain chain[CHAINS_MAX];
};

/* ---- Asking nft ---- */

static void free_ctxp(struct nft_ctx **ctx)
{
	if (*ctx)
		nft_ctx_free(*ctx);
}

/* Without the privilege the library prints a complaint; without a socket it ends the process. */
static int check_netlink(struct kl_error *err)
{
	struct mnl_socket *nl;
	char missing[64];

	if (kl_missing_capabilities(missing, sizeof(missing)) && strstr(missing, "CAP_NET_ADMIN"))
		return kl_fail(err, -EPERM,
			       "missing privilege to read the packet filter's rules: "
			       "CAP_NET_ADMIN (run it as root)");
	nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!nl)
		return kl_fail(err, -EOPNOTSUPP, "no packet filter to ask: %s", strerror(errno));
	mnl_socket_close(nl);
	return 0;
}

/* *ret belongs to the caller. */
static int list_ruleset(unsigned flags, char **ret, struct kl_error *err)
{
	__attribute__((cleanup(free_ctxp))) struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	const char *said;

	if (!ctx || nft_ctx_buffer_output(ctx) || nft_ctx_buffer_error(ctx))
		return kl_fail(err, -ENOMEM, "out of memory");
	nft_ctx_output_set_flags(ctx, flags | NFT_CTX_OUTPUT_HANDLE | NFT_CTX_OUTPUT_TERSE);
	if (nft_run_cmd_from_buffer(ctx, "list ruleset")) {
		said = nft_ctx_get_error_buffer(ctx);
		return kl_fail(err, -EOPNOTSUPP, "no rules of nftables: %.*s",
			       (int)strcspn(said, "\n"), said);
	}
	*ret = strdup(nft_ctx_get_output_buffer(ctx));
	return *ret ? 0 : kl_fail(err, -ENOMEM, "out of memory");
}

/* ---- Which chains do forwarded frames pass? ---- */

static bool copy_text(char *to, size_t size, const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	snprintf(to, size, "%s", text ? text : "");
	return text && strlen(text) < size;
}

static bool read_place(const json_t *object, const char *chain_key, struct place *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->handle = json_integer_value(json_object_get(object, "handle"));
	return copy_text(ret->family, sizeof(ret->family), object, "family") &&
	       copy_text(ret->table, sizeof(ret->table), object, "table") &&
	       copy_text(ret->chain, sizeof(ret->chain), object, chain_key);
}

static bool same_table(const struct place *a, const struct place *b)
{
	return !strcmp(a->family, b->family) && !strcmp(a->table, b->table);
}

static struct chain *find_chain(struct reading *r, const struct place *place)
{
	for (size_t i = 0; i < r->chain_count; i++) {
		struct chain *c = &r->chain[i];

		if (same_table(&c->place, place) && !strcmp(c->place.chain, place->chain))
			return c;
	}
	return NULL;
}

/* What is for the host itself or comes from it passes a bridge, too, where its ports are. */
static bool is_passed(const char *family, const char *hook)
{
	static const char *const hooks[] = { "prerouting", "forward", "postrouting", "ingress",
					     "egress" };

	if (!strcmp(family, "arp"))
		return false;
	for (size_t i = 0; i < KL_COUNT(hooks); i++) {
		if (!strcmp(hook, hooks[i]))
			return true;
	}
	return !strcmp(family, "bridge");
}

static void read_chain(struct reading *r, const json_t *object)
{
	const char *hook = json_string_value(json_object_get(object, "hook"));
	const char *policy = json_string_value(json_object_get(object, "policy"));
	struct chain *c = &r->chain[r->chain_count];

	if (r->chain_count == CHAINS_MAX || !read_place(object, "name", &c->place))
		return;
	c->has_hook = hook;
	c->passed = hook && is_passed(c->place.family, hook);
	c->drops = policy && !strcmp(policy, "drop");
	r->chain_count++;
}

static bool pass_chain(struct reading *r, const struct place *place)
{
	struct chain *c = find_chain(r, place);

	if (!c || c->passed)
		return false;
	c->passed = true;
	return true;
}

/* Any that has no hook of its own: where a map says it that is not looked into. */
static bool pass_all_chains_of(struct reading *r, const struct place *place)
{
	bool news = false;

	for (size_t i = 0; i < r->chain_count; i++) {
		struct chain *c = &r->chain[i];

		if (!c->passed && !c->has_hook && same_table(&c->place, place))
			c->passed = news = true;
	}
	return news;
}

/* Follows the jumps in an expression of a rule there. Returns whether a chain is passed anew. */
static bool follow_jumps(struct reading *r, const struct place *from, json_t *expression)
{
	const char *key;
	struct place to = *from;
	bool news = false;
	json_t *value;
	size_t i;

	json_array_foreach(expression, i, value)
		news |= follow_jumps(r, from, value);
	json_object_foreach(expression, key, value) {
		if ((!strcmp(key, "jump") || !strcmp(key, "goto")) &&
		    copy_text(to.chain, sizeof(to.chain), value, "target"))
			news |= pass_chain(r, &to);
		else if (!strcmp(key, "vmap") && json_is_string(json_object_get(value, "data")))
			news |= pass_all_chains_of(r, from);
		else
			news |= follow_jumps(r, from, value);
	}
	return news;
}

static void find_passed_chains(struct reading *r)
{
	bool news = true;

	while (news) {
		json_t *item;
		size_t i;

		news = false;
		json_array_foreach(r->list, i, item) {
			json_t *object = json_object_get(item, "rule");
			struct chain *c;
			struct place place;

			if (!object || !read_place(object, "chain", &place))
				continue;
			c = find_chain(r, &place);
			if (c && c->passed)
				news |= follow_jumps(r, &place, json_object_get(object, "expr"));
		}
	}
}

/* ---- Which rules drop? ---- */

static bool drops_somewhere(json_t *expression)
{
	const char *key;
	json_t *value;
	size_t i;

	json_array_foreach(expression, i, value) {
		if (drops_somewhere(value))
			return true;
	}
	json_object_foreach(expression, key, value) {
		if (!strcmp(key, "drop") || !strcmp(key, "reject") || drops_somewhere(value))
			return true;
	}
	return false;
}

static bool read_counter(const struct reading *r, const struct place *place, const json_t *counter,
			 uint64_t *ret)
{
	const char *name = json_string_value(counter);
	json_t *item;
	size_t i;

	if (!name) {
		*ret = (uint64_t)json_integer_value(json_object_get(counter, "packets"));
		return json_is_object(counter);
	}
	json_array_foreach(r->list, i, item) {
		const json_t *object = json_object_get(item, "counter");
		struct place at;

		if (object && read_place(object, "name", &at) && same_table(&at, place) &&
		    !strcmp(at.chain, name)) {
			*ret = (uint64_t)json_integer_value(json_object_get(object, "packets"));
			return true;
		}
	}
	return false;
}

/* A counter that stands before another condition counts what is not dropped, too. */
static void read_rule_counter(const struct reading *r, struct rule *rule, json_t *expressions)
{
	json_t *e;
	size_t i;

	json_array_foreach(expressions, i, e) {
		const json_t *counter = json_object_get(e, "counter");

		if (counter)
			rule->evidence.counted = read_counter(r, &rule->place, counter,
							      &rule->evidence.packets);
		else if (!json_object_get(e, "drop") && !json_object_get(e, "reject") &&
			 !json_object_get(e, "log"))
			rule->evidence.counted = false;
	}
	if (!rule->evidence.counted)
		rule->evidence.packets = 0;
}

static struct rule *add_rule(struct reading *r, const struct place *place)
{
	struct kl_nft_rules *rules = r->rules;
	struct rule *rule = &rules->rule[rules->count];
	char what[32] = "policy";

	if (rules->count == RULES_MAX)
		return NULL;
	rules->count++;
	*rule = (struct rule){ .place = *place };
	if (place->handle != POLICY)
		snprintf(what, sizeof(what), "rule handle %lld", (long long)place->handle);
	snprintf(rule->evidence.rule, sizeof(rule->evidence.rule),
		 "%s of table %.15s %.48s, chain %.48s", what, place->family, place->table,
		 place->chain);
	rule->evidence.time_ns = kl_monotonic_ns();
	return rule;
}

static void read_rule(struct reading *r, const json_t *object)
{
	json_t *expressions = json_object_get(object, "expr");
	struct place place;
	struct chain *c;
	struct rule *rule;

	if (!read_place(object, "chain", &place))
		return;
	c = find_chain(r, &place);
	if (!c || !c->passed || !drops_somewhere(expressions))
		return;
	rule = add_rule(r, &place);
	if (rule)
		read_rule_counter(r, rule, expressions);
}

static void read_list(struct reading *r)
{
	json_t *item;
	size_t i;

	json_array_foreach(r->list, i, item) {
		const json_t *object = json_object_get(item, "chain");

		if (object)
			read_chain(r, object);
	}
	find_passed_chains(r);
	json_array_foreach(r->list, i, item) {
		const json_t *object = json_object_get(item, "rule");

		if (object)
			read_rule(r, object);
	}
	for (size_t k = 0; k < r->chain_count; k++) {
		struct chain *c = &r->chain[k];

		c->place.handle = POLICY;
		if (c->passed && c->drops)
			add_rule(r, &c->place);
	}
}

/* ---- What they say ---- */

static void keep_saying(struct kl_nft_rules *rules, const struct place *place, const char *line)
{
	for (size_t i = 0; i < rules->count; i++) {
		struct rule *rule = &rules->rule[i];

		if (rule->place.handle == place->handle && same_table(&rule->place, place) &&
		    !strcmp(rule->place.chain, place->chain))
			snprintf(rule->evidence.says, sizeof(rule->evidence.says), "%s", line);
	}
}

/*
 *	table inet filter { # handle 1
 *		chain forward { # handle 1
 *			type filter hook forward priority filter; policy drop;
 *			tcp dport 2000 drop # handle 7
 */
static void read_saying(struct kl_nft_rules *rules, struct place *place, char *line)
{
	static const char mark[] = " # handle ";
	char *handle = strstr(line, mark), *next;

	line += strspn(line, "\t ");
	/* The last one: a comment may look like it. */
	while (handle && (next = strstr(handle + 1, mark)))
		handle = next;
	if (sscanf(line, "table %15s %63s {", place->family, place->table) == 2)
		place->chain[0] = '\0';
	else if (sscanf(line, "chain %63s {", place->chain) == 1 || !place->chain[0])
		return;
	else if (!strncmp(line, "type ", 5)) {
		place->handle = POLICY;
		keep_saying(rules, place, line);
	} else if (handle && handle > line) {
		place->handle = strtoll(handle + sizeof(mark) - 1, NULL, 10);
		*handle = '\0';
		keep_saying(rules, place, line);
	}
}

static void read_sayings(struct kl_nft_rules *rules, char *text)
{
	struct place place = {};
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		read_saying(rules, &place, line);
}

/* ---- All of it ---- */

static int parse(const char *text, struct kl_nft_rules *rules, struct kl_error *err)
{
	_cleanup_free_ struct reading *r = calloc(1, sizeof(*r));
	json_error_t why;
	json_t *root;

	if (!r)
		return kl_fail(err, -ENOMEM, "out of memory");
	root = json_loads(text, 0, &why);
	r->list = json_object_get(root, "nftables");
	r->rules = rules;
	if (r->list)
		read_list(r);
	json_decref(root);
	if (!root)
		return kl_fail(err, -EOPNOTSUPP, "the list of nftables' rules: %s", why.text);
	return 0;
}

int kl_nft_rules_read(struct kl_nft_rules **ret, struct kl_error *err)
{
	_cleanup_free_ struct kl_nft_rules *rules = calloc(1, sizeof(*rules));
	_cleanup_free_ char *json = NULL, *text = NULL;
	int r;

	if (!rules)
		return kl_fail(err, -ENOMEM, "out of memory");
	if ((r = check_netlink(err)) || (r = list_ruleset(NFT_CTX_OUTPUT_JSON, &json, err)) ||
	    (r = parse(json, rules, err)))
		return r;
	/* Without their own words the rules still have their handles. */
	if (rules->count && !list_ruleset(0, &text, NULL))
		read_sayings(rules, text);
	*ret = rules;
	rules = NULL;
	return 0;
}

void kl_nft_rules_free(struct kl_nft_rules *r)
{
	free(r);
}

static uint64_t packets_before(const struct kl_nft_rules *before, const struct rule *rule)
{
	for (size_t i = 0; before && i < before->count; i++) {
		const struct rule *b = &before->rule[i];

		if (b->place.handle == rule->place.handle && same_table(&b->place, &rule->place) &&
		    !strcmp(b->place.chain, rule->place.chain))
			/* Fewer than then: somebody has reset it. */
			return b->evidence.packets <= rule->evidence.packets ? b->evidence.packets
									     : 0;
	}
	return 0;
}

static int by_packets(const void *a, const void *b)
{
	const struct kl_rule_evidence *x = a, *y = b;

	if (x->counted != y->counted)
		return x->counted ? -1 : 1;
	if (x->packets != y->packets)
		return x->packets > y->packets ? -1 : 1;
	return strcmp(x->rule, y->rule);
}

void kl_nft_rules_suspects(const struct kl_nft_rules *before, const struct kl_nft_rules *now,
			   kl_rule_handler handler, void *arg)
{
	_cleanup_free_ struct kl_rule_evidence *suspects = calloc(now->count ? now->count : 1,
								  sizeof(*suspects));
	size_t count = 0;

	if (!suspects)
		return;
	for (size_t i = 0; i < now->count; i++) {
		struct kl_rule_evidence e = now->rule[i].evidence;

		e.packets -= packets_before(before, &now->rule[i]);
		if (!e.counted || e.packets)
			suspects[count++] = e;
	}
	qsort(suspects, count, sizeof(*suspects), by_packets);
	for (size_t i = 0; i < count; i++)
		handler(&suspects[i], arg);
}
