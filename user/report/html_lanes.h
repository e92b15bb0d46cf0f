/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lanes of the report's timeline: one a phone. Connections of the same device share one; one
 * whose device is not known goes to the device at its address, if there is a single one, else to a
 * lane for its address. Lanes with losses or unregistrations come first.
 *
 * Owns its lists. What it points to is the diagnosis', which must stay.
 */
#pragma once

#include "core/diagnosis.h"

#define KL_NO_LANE SIZE_MAX

struct kl_html_connection {
	uint64_t id;
	char device[KL_DEVICE_NAME];
	struct kl_address address;
	uint8_t mac[6];
	size_t lane;
	size_t mac_index; /* SIZE_MAX: not known */
};

struct kl_html_lane {
	const char *device; /* empty: not known */
	struct kl_address address;
	size_t first_connection, connections; /* among `connection` */
	uint64_t keepalives, lost, again, unregistered;
};

struct kl_html_lanes {
	struct kl_html_lane *lane;
	size_t count;
	struct kl_html_connection *connection; /* in the order of lanes */
	size_t connection_count, connection_room;
	struct kl_html_connection **by_id;
	uint8_t (*mac)[6]; /* of all lanes, in order */
	size_t mac_count;
	bool failed; /* while gathering: out of memory */
};

int kl_html_lanes_fill(struct kl_html_lanes *l, const struct kl_diagnosis *d); /* -ENOMEM */
void kl_html_lanes_done(struct kl_html_lanes *l);

/* The lane of this connection, of this alarm; KL_NO_LANE: none that is known. */
size_t kl_html_lane_of(const struct kl_html_lanes *l, uint64_t connection);
size_t kl_html_lane_of_alarm(const struct kl_html_lanes *l, const struct kl_alarm *a);
size_t kl_html_mac_index(const struct kl_html_lanes *l, const uint8_t mac[6]); /* SIZE_MAX: none */
