// SPDX-License-Identifier: GPL-2.0-only
#include "report/html_lanes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Which connections there are ---- */

static void add_connection(struct kl_html_lanes *l, const struct kl_html_connection *c)
{
	if (l->connection_count == l->connection_room) {
		size_t room = l->connection_room ? 2 * l->connection_room : 64;
		struct kl_html_connection *grown = reallocarray(l->connection, room,
								sizeof(*grown));

		if (!grown) {
			l->failed = true;
			return;
		}
		l->connection = grown;
		l->connection_room = room;
	}
	l->connection[l->connection_count++] = *c;
}

static struct kl_html_connection connection_of(uint64_t id, const struct kl_endpoints *ends,
					       const char device[KL_DEVICE_NAME],
					       const uint8_t mac[6])
{
	struct kl_html_connection c = { .id = id };

	c.address = kl_address_of(ends->family, ends->phone);
	memcpy(c.device, device, KL_DEVICE_NAME - 1);
	memcpy(c.mac, mac, sizeof(c.mac));
	return c;
}

static void meet_session(const struct kl_session *s, void *arg)
{
	struct kl_html_connection c = connection_of(s->id, &s->ends, s->device, s->mac);

	add_connection(arg, &c);
}

static int compare_id(const void *a, const void *b)
{
	const struct kl_html_connection *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int compare_address(const struct kl_address *a, const struct kl_address *b)
{
	return a->family != b->family ? (a->family < b->family ? -1 : 1)
				      : memcmp(a->word, b->word, sizeof(a->word));
}

static int by_address(const void *a, const void *b)
{
	const struct kl_html_connection *x = a, *y = b;
	int r = compare_address(&x->address, &y->address);

	return r ? r : strcmp(x->device, y->device);
}

static int by_phone(const void *a, const void *b)
{
	const struct kl_html_connection *x = a, *y = b;
	int r = strcmp(x->device, y->device);

	if (!r && !x->device[0])
		r = compare_address(&x->address, &y->address);
	return r ? r : compare_id(a, b);
}

static int by_lane(const void *a, const void *b)
{
	const struct kl_html_connection *x = a, *y = b;

	return x->lane != y->lane ? (x->lane < y->lane ? -1 : 1) : compare_id(a, b);
}

static int pointer_by_id(const void *a, const void *b)
{
	return compare_id(*(struct kl_html_connection *const *)a,
			  *(struct kl_html_connection *const *)b);
}

/* The sessions, and those that are gone but are known from their losses. */
static int gather(struct kl_html_lanes *l, const struct kl_diagnosis *d)
{
	size_t kept = 0;

	if (d->sessions)
		kl_sessions_visit(d->sessions, meet_session, l);
	for (size_t i = 0; i < d->lost_count; i++) {
		const struct kl_lost *lost = &d->lost[i];
		struct kl_html_connection c = connection_of(lost->conn_id, &lost->ends,
							    lost->device, lost->mac);

		if (!d->sessions || !kl_sessions_find(d->sessions, lost->conn_id))
			add_connection(l, &c);
	}
	if (l->failed)
		return -ENOMEM;
	if (l->connection_count)
		qsort(l->connection, l->connection_count, sizeof(*l->connection), compare_id);
	for (size_t i = 0; i < l->connection_count; i++) {
		if (!i || l->connection[kept - 1].id != l->connection[i].id)
			l->connection[kept++] = l->connection[i];
	}
	l->connection_count = kept;
	return 0;
}

/* Connections of no known device belong to the only one at their address. */
static void name_by_address(struct kl_html_lanes *l)
{
	struct kl_html_connection *c = l->connection;
	size_t end;

	for (size_t i = 0; i < l->connection_count; i = end) {
		size_t named = i;

		for (end = i;
		     end < l->connection_count && !compare_address(&c[i].address, &c[end].address);
		     end++)
			;
		while (named < end && !c[named].device[0])
			named++;
		/* They are in the order of their names: the first and the last tell. */
		if (named == end || strcmp(c[named].device, c[end - 1].device))
			continue;
		for (size_t k = i; k < named; k++)
			memcpy(c[k].device, c[named].device, sizeof(c[k].device));
	}
}

/* ---- Lanes ---- */

static bool same_phone(const struct kl_html_connection *a, const struct kl_html_connection *b)
{
	return !strcmp(a->device, b->device) &&
	       (a->device[0] || !compare_address(&a->address, &b->address));
}

static int make_lanes(struct kl_html_lanes *l)
{
	l->lane = calloc(l->connection_count + 1, sizeof(*l->lane));
	l->by_id = calloc(l->connection_count + 1, sizeof(struct kl_html_connection *));
	l->mac = calloc(l->connection_count + 1, sizeof(*l->mac));
	if (!l->lane || !l->by_id || !l->mac)
		return -ENOMEM;
	for (size_t i = 0; i < l->connection_count; i++) {
		struct kl_html_connection *c = &l->connection[i];

		l->count += !i || !same_phone(c - 1, c);
		c->lane = l->count - 1;
		l->by_id[i] = c;
	}
	return 0;
}

static int compare_mac(const void *a, const void *b)
{
	return memcmp(a, b, 6);
}

static void list_macs(struct kl_html_lanes *l)
{
	static const uint8_t none[6];
	size_t kept = 0;

	for (size_t i = 0; i < l->connection_count; i++) {
		if (compare_mac(l->connection[i].mac, none))
			memcpy(l->mac[l->mac_count++], l->connection[i].mac, 6);
	}
	if (l->mac_count)
		qsort(l->mac, l->mac_count, sizeof(*l->mac), compare_mac);
	for (size_t i = 0; i < l->mac_count; i++) {
		if (!i || compare_mac(l->mac[kept - 1], l->mac[i]))
			memmove(l->mac[kept++], l->mac[i], 6);
	}
	l->mac_count = kept;
	for (size_t i = 0; i < l->connection_count; i++)
		l->connection[i].mac_index = kl_html_mac_index(l, l->connection[i].mac);
}

static void count_session(const struct kl_session *s, void *arg)
{
	const struct kl_html_lanes *l = arg;
	size_t i = kl_html_lane_of(l, s->id);

	if (i == KL_NO_LANE)
		return;
	l->lane[i].keepalives += s->keepalives;
	l->lane[i].again += s->retransmissions[KL_TO_CUCM] + s->retransmissions[KL_TO_PHONE];
}

static void count(struct kl_html_lanes *l, const struct kl_diagnosis *d)
{
	if (d->sessions)
		kl_sessions_visit(d->sessions, count_session, l);
	for (size_t i = 0; i < d->lost_count; i++) {
		size_t lane = kl_html_lane_of(l, d->lost[i].conn_id);

		if (lane != KL_NO_LANE)
			l->lane[lane].lost++;
	}
	for (size_t i = 0; i < d->evidence.alarm.count; i++) {
		const struct kl_alarm *a = &d->evidence.alarm.item[i];
		size_t lane = kl_html_lane_of_alarm(l, a);

		if (lane != KL_NO_LANE && kl_alarm_is_unregistration(a))
			l->lane[lane].unregistered++;
	}
}

/* first_connection is here still what the lane's number was. */
static int weightier(const void *a, const void *b)
{
	const struct kl_html_lane *x = a, *y = b;

	if (x->unregistered != y->unregistered)
		return x->unregistered > y->unregistered ? -1 : 1;
	if (x->lost != y->lost)
		return x->lost > y->lost ? -1 : 1;
	return x->first_connection < y->first_connection ? -1 : 1;
}

static int order(struct kl_html_lanes *l)
{
	size_t *now = calloc(l->count + 1, sizeof(*now));

	if (!now)
		return -ENOMEM;
	for (size_t i = 0; i < l->count; i++)
		l->lane[i].first_connection = i;
	if (l->count)
		qsort(l->lane, l->count, sizeof(*l->lane), weightier);
	for (size_t i = 0; i < l->count; i++)
		now[l->lane[i].first_connection] = i;
	for (size_t i = 0; i < l->connection_count; i++)
		l->connection[i].lane = now[l->connection[i].lane];
	free(now);
	if (l->connection_count)
		qsort(l->connection, l->connection_count, sizeof(*l->connection), by_lane);
	for (size_t i = l->connection_count; i-- > 0;) {
		struct kl_html_lane *lane = &l->lane[l->connection[i].lane];

		lane->first_connection = i;
		lane->connections++;
		lane->device = l->connection[i].device;
		lane->address = l->connection[i].address;
		l->by_id[i] = &l->connection[i];
	}
	if (l->connection_count)
		qsort(l->by_id, l->connection_count, sizeof(struct kl_html_connection *),
		      pointer_by_id);
	return 0;
}

int kl_html_lanes_fill(struct kl_html_lanes *l, const struct kl_diagnosis *d)
{
	int r = gather(l, d);

	if (r)
		return r;
	if (l->connection_count)
		qsort(l->connection, l->connection_count, sizeof(*l->connection), by_address);
	name_by_address(l);
	if (l->connection_count)
		qsort(l->connection, l->connection_count, sizeof(*l->connection), by_phone);
	r = make_lanes(l);
	if (r)
		return r;
	if (l->connection_count)
		qsort(l->by_id, l->connection_count, sizeof(struct kl_html_connection *),
		      pointer_by_id);
	/* An alarm is found by a lane's name or address: they are needed to count. */
	for (size_t i = l->connection_count; i-- > 0;) {
		l->lane[l->connection[i].lane].device = l->connection[i].device;
		l->lane[l->connection[i].lane].address = l->connection[i].address;
	}
	count(l, d);
	r = order(l);
	if (!r)
		list_macs(l);
	return r;
}

void kl_html_lanes_done(struct kl_html_lanes *l)
{
	free(l->lane);
	free(l->connection);
	free(l->by_id);
	free(l->mac);
	*l = (struct kl_html_lanes){};
}

/* ---- Questions ---- */

size_t kl_html_lane_of(const struct kl_html_lanes *l, uint64_t connection)
{
	struct kl_html_connection key = { .id = connection }, *wanted = &key, **found = NULL;

	if (l->connection_count)
		found = bsearch(&wanted, l->by_id, l->connection_count,
				sizeof(struct kl_html_connection *), pointer_by_id);
	return found ? (*found)->lane : KL_NO_LANE;
}

size_t kl_html_lane_of_alarm(const struct kl_html_lanes *l, const struct kl_alarm *a)
{
	size_t lane = a->session ? kl_html_lane_of(l, a->session) : KL_NO_LANE;

	for (size_t i = 0; lane == KL_NO_LANE && a->device[0] && i < l->count; i++) {
		if (l->lane[i].device && !strcmp(l->lane[i].device, a->device))
			lane = i;
	}
	for (size_t i = 0; lane == KL_NO_LANE && a->address.family && i < l->count; i++) {
		if (kl_address_equal(&l->lane[i].address, &a->address))
			lane = i;
	}
	return lane;
}

size_t kl_html_mac_index(const struct kl_html_lanes *l, const uint8_t mac[6])
{
	const uint8_t(*found)[6] = NULL;

	if (l->mac_count)
		found = bsearch(mac, l->mac, l->mac_count, sizeof(*l->mac), compare_mac);
	return found ? (size_t)(found - l->mac) : SIZE_MAX;
}
